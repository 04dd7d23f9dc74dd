// What ends a kernel early: reports, and what is left behind.
#include "engine_support.hpp"
#include "support/catch.hpp"

#include <stdexcept>
#include <string>

using namespace hostcuda_tests;
using Catch::Matchers::ContainsSubstring;

namespace {

__global__ void skip_barrier() {
  if (threadIdx.x < 16) {
    __syncthreads();
  } else {
    __syncwarp();
  }
}

__global__ void wait_for_absent_lanes(unsigned mask) {
  if (threadIdx.x == 3) __shfl_sync(mask, 1.0f, 0);
  __syncthreads();
}

// Different arguments, different directions of a shuffle of the same argument, different uses of a vote.
enum class pair_of_operations { ballot_and_xor, shfl_and_up, any_and_all };

__global__ void meet_in_different_operations(pair_of_operations pair) {
  const bool first = threadIdx.x < 8;
  switch (pair) {
    case pair_of_operations::ballot_and_xor:
      first ? __ballot_sync(0xffffu, 1) : static_cast<unsigned>(__shfl_xor_sync(0xffffu, 1, 1));
      break;
    case pair_of_operations::shfl_and_up:
      first ? __shfl_sync(0xffffu, 1.0f, 0) : __shfl_up_sync(0xffffu, 1.0f, 1u);
      break;
    case pair_of_operations::any_and_all:
      first ? __any_sync(0xffffu, 1) : __all_sync(0xffffu, 1);
      break;
  }
}

__global__ void speak_for_others() {
  if (threadIdx.x == 5) __syncwarp(0xfu);
}

__global__ void trap() {
  if (blockIdx.x == 2 && threadIdx.y == 1) __trap();
}

__global__ void throw_up() {
  if (threadIdx.x == 33) throw std::runtime_error("lost its balance");
  __syncthreads();
}

struct counted {
  int* alive;
  explicit counted(int* count) : alive(count) { atomicAdd(alive, 1); }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;
  ~counted() { atomicAdd(alive, -1); }
};

__global__ void wait_with_something_held(int* alive, int* most, bool trapped) {
  const counted one(alive);
  __syncthreads();
  if (threadIdx.x == 0) *most = *alive;
  __syncthreads();
  if (threadIdx.x == 10) {
    if (trapped) __trap();
    return;
  }
  if (threadIdx.x < 10) __syncwarp();
  __syncthreads();
}

__global__ void trap_early(int* blocks_run) {
  atomicAdd(blocks_run, 1);
  __trap();
}

}  // namespace

TEST_CASE("a barrier that half the block skips: who waits for what", "[hostcuda]") {
  const auto order = GENERATE(from_range(std::begin(all_orders), std::end(all_orders)));
  fresh_device device;
  device.order(order);
  CHECK(launch({1, 32}, skip_barrier) == cudaErrorLaunchTimeout);
  CHECK_THAT(last_report(),
             ContainsSubstring("skip_barrier()") && ContainsSubstring("block (0, 0, 0)") &&
                 ContainsSubstring("16 of 32 threads, the first (0, 0, 0), wait at the barrier at "
                                   "engine_faults.cpp:") &&
                 ContainsSubstring("lanes 0xffff0000 of warp 0, the first thread (16, 0, 0), wait in "
                                   "__syncwarp for lanes 0x0000ffff"));
}

TEST_CASE("a warp operation waits for lanes that do not come", "[hostcuda]") {
  fresh_device device;
  CHECK(launch({dim3(1, 1, 1), 32}, wait_for_absent_lanes, 0x18u) == cudaErrorLaunchTimeout);
  CHECK_THAT(last_report(),
             ContainsSubstring("31 of 32 threads") &&
                 ContainsSubstring("lanes 0x00000008 of warp 0, the first thread (3, 0, 0), wait in "
                                   "__shfl_sync for lanes 0x00000010"));
}

TEST_CASE("lanes do not meet in different operations", "[hostcuda]") {
  const auto [pair, first, second] = GENERATE(table<pair_of_operations, std::string, std::string>(
      {{pair_of_operations::ballot_and_xor, "__ballot_sync", "__shfl_xor_sync"},
       {pair_of_operations::shfl_and_up, "__shfl_sync", "__shfl_up_sync"},
       {pair_of_operations::any_and_all, "__any_sync", "__all_sync"}}));
  fresh_device device;
  CHECK(launch({1, 16}, meet_in_different_operations, pair) == cudaErrorLaunchTimeout);
  CHECK_THAT(
      last_report(),
      ContainsSubstring("lanes 0x000000ff of warp 0, the first thread (0, 0, 0), wait in " + first) &&
          ContainsSubstring("lanes 0x0000ff00 of warp 0, the first thread (8, 0, 0), wait in " + second));
}

TEST_CASE("a lane must be in the mask it gives", "[hostcuda]") {
  fresh_device device;
  CHECK(launch({1, 32}, speak_for_others) == cudaErrorLaunchFailure);
  CHECK_THAT(last_report(), ContainsSubstring("thread (5, 0, 0)") && ContainsSubstring("__syncwarp") &&
                                ContainsSubstring("0x0000000f"));
}

TEST_CASE("a fault names kernel, block and thread, and ends the device until it is reset", "[hostcuda]") {
  fresh_device device;
  CHECK(launch({4, dim3(1, 2)}, trap) == cudaErrorLaunchFailure);
  CHECK_THAT(last_report(), ContainsSubstring("trap()") &&
                                ContainsSubstring("block (2, 0, 0), thread (0, 1, 0)") &&
                                ContainsSubstring("__trap"));
  CHECK(launch({1, 1}, trap) == cudaErrorLaunchFailure);
  CHECK(cudaDeviceSynchronize() == cudaErrorLaunchFailure);
  reset_device();
  CHECK(launch({1, 1}, trap) == cudaSuccess);
}

TEST_CASE("an exception that leaves a kernel is a fault with its text", "[hostcuda]") {
  fresh_device device;
  CHECK(launch({1, 64}, throw_up) == cudaErrorLaunchFailure);
  CHECK_THAT(last_report(), ContainsSubstring("thread (33, 0, 0)") && ContainsSubstring("lost its balance"));
}

TEST_CASE("the threads that a fault leaves waiting are unwound", "[hostcuda]") {
  const auto trapped = GENERATE(false, true);
  const auto order = GENERATE(from_range(std::begin(all_orders), std::end(all_orders)));
  fresh_device device;
  device.order(order, 5);
  int alive = 0, most = 0;
  const cudaError_t expected = trapped ? cudaErrorLaunchFailure : cudaSuccess;
  CHECK(launch({1, 96}, wait_with_something_held, &alive, &most, trapped) ==
        (trapped ? expected : cudaErrorLaunchTimeout));
  CHECK(most == 96);
  CHECK(alive == 0);
  reset_device();
  // The same fibers run a block to its end.
  int sound = 0;
  CHECK(loop(1, [&sound](std::size_t) { sound = 1; }) == cudaSuccess);
  CHECK(launch({1, 96}, wait_with_something_held, &alive, &most, true) == cudaErrorLaunchFailure);
}

TEST_CASE("after a fault no further block is begun", "[hostcuda]") {
  fresh_device device;
  device.workers(1);
  int blocks_run = 0;
  CHECK(launch({1000, 1}, trap_early, &blocks_run) == cudaErrorLaunchFailure);
  CHECK(blocks_run == 1);
}

TEST_CASE("what only a kernel may call says so elsewhere", "[hostcuda]") {
  CHECK_THROWS_AS(__syncthreads(), detail::kernel_fault);
  CHECK_THROWS_AS(__syncwarp(), detail::kernel_fault);
  CHECK_THROWS_AS(dynamic_shared_memory(), detail::kernel_fault);
}
