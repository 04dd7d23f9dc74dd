// Launches: which threads run, with which arguments, and what is refused.
#include "engine_support.hpp"
#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

using namespace hostcuda_tests;
using Catch::Matchers::ContainsSubstring;

namespace {

__global__ void visit(int* visits) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  atomicAdd(&visits[block * blockDim.x * blockDim.y * blockDim.z + thread], 1);
}

struct pair {
  int first;
  double second;
};

__global__ void keep(float x, pair both, const int* from, double* to) {
  to[0] = x;
  to[1] = both.first;
  to[2] = both.second;
  to[3] = *from;
}

__global__ void mark(int* reached) {
  if (threadIdx.x == 0) *reached = 1;
}

__global__ void look_at_shared(unsigned count, int* failures) {
  auto* bytes = static_cast<unsigned char*>(dynamic_shared_memory());
  auto* values = static_cast<float*>(dynamic_shared_memory());
  if (reinterpret_cast<std::uintptr_t>(bytes) % 128 != 0) atomicAdd(failures, 1);
  for (unsigned i = threadIdx.x; i < count; i += blockDim.x) {
    if (!std::isnan(values[i])) atomicAdd(failures, 1);  // also where the block before has written
    values[i] = 0;
  }
}

__global__ void launch_inside(cudaError_t* error) {
  *error = launch({1, 1}, mark, static_cast<int*>(nullptr));
}

int launches_of_mark(const shape& with, cudaError_t expected) {
  int reached = 0;
  CHECK(launch(with, mark, &reached) == expected);
  CHECK(cudaGetLastError() == expected);
  return reached;
}

}  // namespace

TEST_CASE("every thread of every block runs once, with its own indices", "[hostcuda]") {
  const auto order = GENERATE(from_range(std::begin(all_orders), std::end(all_orders)));
  const auto workers = GENERATE(1, 2, 3);
  fresh_device device;
  device.order(order, 7).workers(workers);
  const shape shapes[] = {
      {1, 1}, {1, 33}, {dim3(3, 2, 5), dim3(4, 3, 7)}, {dim3(7, 1, 2), dim3(1, 1, 64)}, {100, 5}};
  for (const shape& one : shapes) {
    const unsigned threads = one.block.x * one.block.y * one.block.z;
    std::vector<int> visits(static_cast<std::size_t>(one.grid.x) * one.grid.y * one.grid.z * threads);
    REQUIRE(launch(one, visit, visits.data()) == cudaSuccess);
    CHECK(visits == std::vector<int>(visits.size(), 1));
  }
}

TEST_CASE("a block may have 1024 threads", "[hostcuda]") {
  fresh_device device;
  std::vector<int> visits(1024);
  REQUIRE(launch({1, dim3(32, 8, 4)}, visit, visits.data()) == cudaSuccess);
  CHECK(visits == std::vector<int>(1024, 1));
}

TEST_CASE("arguments are converted to the kernel's parameters", "[hostcuda]") {
  fresh_device device;
  int from = 11;
  double to[4] = {};
  REQUIRE(launch({1, 1}, keep, 3, pair{5, 0.25}, &from, to) == cudaSuccess);
  CHECK(to[0] == 3);
  CHECK(to[1] == 5);
  CHECK(to[2] == 0.25);
  CHECK(to[3] == 11);
}

TEST_CASE("arguments are copied when the launch is enqueued", "[hostcuda]") {
  fresh_device device;
  settings().streams = stream_mode::deferred;
  int from = 1;
  pair both{2, 3};
  double to[4] = {-1, -1, -1, -1};
  REQUIRE(start({1, 1}, keep, 4.0f, both, &from, to) == cudaSuccess);
  both = {20, 30};
  from = 10;
  CHECK(to[1] == -1);  // nothing has run
  REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
  CHECK(to[1] == 2);
  CHECK(to[2] == 3);
  CHECK(to[3] == 10);  // what a pointer leads to is as it is then
}

TEST_CASE("a graph replays a launch with the arguments it was captured with", "[hostcuda]") {
  fresh_device device;
  cudaStream_t stream = nullptr;
  REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  double to[4] = {-1, -1, -1, -1};
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t replay = nullptr;
  {
    int from = 0;
    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    pair both{2, 3};
    REQUIRE(start({1, 1, 0, stream}, keep, 4.0f, both, &from, to) == cudaSuccess);
    both = {20, 30};
    REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
    CHECK(to[0] == -1);
    REQUIRE(cudaGraphInstantiate(&replay, graph, 0) == cudaSuccess);
    for (int round = 0; round < 2; ++round) {
      to[1] = -1;
      REQUIRE(cudaGraphLaunch(replay, stream) == cudaSuccess);
      REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
      CHECK(to[1] == 2);
    }
  }
  cudaGraphExecDestroy(replay);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}

TEST_CASE("a configuration that the hardware refuses is refused", "[hostcuda]") {
  fresh_device device;
  CHECK(launches_of_mark({1, 1024}, cudaSuccess) == 1);
  CHECK(launches_of_mark({0, 1}, cudaErrorInvalidConfiguration) == 0);
  CHECK(launches_of_mark({dim3(1, 0, 1), 1}, cudaErrorInvalidConfiguration) == 0);
  CHECK(launches_of_mark({1, dim3(1, 1, 0)}, cudaErrorInvalidConfiguration) == 0);
  CHECK(launches_of_mark({1, 1025}, cudaErrorInvalidConfiguration) == 0);
  CHECK(launches_of_mark({1, dim3(33, 32)}, cudaErrorInvalidConfiguration) == 0);
  CHECK(launches_of_mark({1, dim3(1, 1, 65)}, cudaErrorInvalidConfiguration) == 0);
  CHECK(launches_of_mark({1, dim3(0x80000000u, 0x80000000u, 4)}, cudaErrorInvalidConfiguration) == 0);
  CHECK(launches_of_mark({dim3(1, 65536), 1}, cudaErrorInvalidConfiguration) == 0);
  CHECK(launches_of_mark({dim3(1, 1, 65536), 1}, cudaErrorInvalidConfiguration) == 0);
  CHECK(launches_of_mark({dim3(0x80000000u), 1}, cudaErrorInvalidConfiguration) == 0);
  CHECK(launches_of_mark({1, 1}, cudaSuccess) == 1);  // none of this is a fault of the device
}

TEST_CASE("more than 48 KB of dynamic shared memory must be asked for", "[hostcuda]") {
  fresh_device device;
  constexpr std::size_t free_for_all = 48 * 1024;
  CHECK(launches_of_mark({1, 1, free_for_all}, cudaSuccess) == 1);
  CHECK(launches_of_mark({1, 1, free_for_all + 1}, cudaErrorInvalidValue) == 0);
  int reached = 0;
  CHECK(launch({1, 1, free_for_all + 1}, mark, &reached) == cudaErrorInvalidValue);
  CHECK_THAT(last_report(), ContainsSubstring("mark(int*)") && ContainsSubstring("49153 bytes") &&
                                ContainsSubstring("cudaFuncSetAttribute"));
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);

  constexpr int more = 64 * 1024;
  REQUIRE(cudaFuncSetAttribute(mark, cudaFuncAttributeMaxDynamicSharedMemorySize, more) == cudaSuccess);
  CHECK(launches_of_mark({1, 1, more}, cudaSuccess) == 1);
  CHECK(launches_of_mark({1, 1, more + 1}, cudaErrorInvalidValue) == 0);
  int failures = 0;  // another kernel has not asked
  CHECK(launch({1, 1, more}, look_at_shared, 1, &failures) == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);

  int most = 0;
  REQUIRE(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0) == cudaSuccess);
  CHECK(cudaFuncSetAttribute(mark, cudaFuncAttributeMaxDynamicSharedMemorySize, most) == cudaSuccess);
  CHECK(launches_of_mark({1, 1, static_cast<std::size_t>(most)}, cudaSuccess) == 1);
  CHECK(cudaFuncSetAttribute(mark, cudaFuncAttributeMaxDynamicSharedMemorySize, most + 1) ==
        cudaErrorInvalidValue);
  CHECK(cudaFuncSetAttribute(mark, cudaFuncAttributeMaxDynamicSharedMemorySize, -1) == cudaErrorInvalidValue);
  cudaGetLastError();
}

TEST_CASE("dynamic shared memory begins as NaN in every block", "[hostcuda]") {
  fresh_device device;
  int failures = 0;
  for (const unsigned count : {1u, 7u, 1000u, 12288u, 3u}) {
    REQUIRE(launch({5, 32, count * sizeof(float)}, look_at_shared, count, &failures) == cudaSuccess);
    CHECK(failures == 0);
  }
}

TEST_CASE("a kernel that launches a kernel is told that it cannot", "[hostcuda]") {
  fresh_device device;
  cudaError_t error = cudaSuccess;
  REQUIRE(launch({1, 1}, launch_inside, &error) == cudaSuccess);
  CHECK(error == cudaErrorNotSupported);
}

TEST_CASE("several host threads launch at once", "[hostcuda]") {
  fresh_device device;
  device.workers(3);
  constexpr int hosts = 4, launches = 20, blocks = 50, threads = 32;
  std::vector<std::vector<int>> visits(hosts, std::vector<int>(blocks * threads));
  std::vector<std::thread> host_threads;
  for (std::vector<int>& mine : visits) {
    host_threads.emplace_back([&mine] {
      cudaStream_t stream = nullptr;
      cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
      for (int i = 0; i < launches; ++i) launch({blocks, threads, 0, stream}, visit, mine.data());
      cudaStreamDestroy(stream);
    });
  }
  for (std::thread& one : host_threads) one.join();
  for (const std::vector<int>& mine : visits) CHECK(mine == std::vector<int>(mine.size(), launches));
}

TEST_CASE("parallel_for calls the function once for each index", "[hostcuda]") {
  const auto workers = GENERATE(1, 2, 4);
  fresh_device device;
  device.workers(workers);
  for (const std::size_t count : {0u, 1u, 2u, 63u, 64u, 65u, 1000u, 100003u}) {
    std::vector<int> calls(count + 1);
    int* const to = calls.data();
    REQUIRE(loop(count, [to](std::size_t i) { to[i] += static_cast<int>(i % 5) + 1; }) == cudaSuccess);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < count; ++i) wrong += calls[i] != static_cast<int>(i % 5) + 1;
    CHECK(wrong == 0);
    CHECK(calls[count] == 0);
  }
}

TEST_CASE("heavy iterations of parallel_for go to several OS threads", "[hostcuda]") {
  fresh_device device;
  device.workers(2);
  const std::thread::id caller = std::this_thread::get_id();
  int elsewhere = 0;
  int* const count = &elsewhere;
  REQUIRE(loop(64, [caller, count](std::size_t) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            if (std::this_thread::get_id() != caller) atomicAdd(count, 1);
          }) == cudaSuccess);
  CHECK(elsewhere > 0);
}

TEST_CASE("what leaves the function of a parallel_for is an error with its text", "[hostcuda]") {
  const auto workers = GENERATE(1, 3);
  fresh_device device;
  device.workers(workers);
  CHECK(loop(1000, [](std::size_t i) {
          if (i == 700) throw std::runtime_error("the 700th");
        }) == cudaErrorLaunchFailure);
  CHECK_THAT(last_report(), ContainsSubstring("the 700th"));
  reset_device();
  CHECK(loop(1000, [](std::size_t i) {
          if (i == 700) throw i;
        }) == cudaErrorLaunchFailure);
  CHECK_THAT(last_report(), ContainsSubstring("an exception left the"));
  reset_device();
  if (detail::race_check) return;  // there it is a kernel
  CHECK(loop(10, [](std::size_t) { __syncthreads(); }) == cudaErrorLaunchFailure);
}
