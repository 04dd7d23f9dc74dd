// The order of threads and blocks: what a setting promises, and the bugs that it shows.
#include "engine_support.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

using namespace hostcuda_tests;

namespace {

constexpr unsigned phases = 3;

// Who was the n-th to come, in each phase.
__global__ void sign_in(int* count, int* list, unsigned size) {
  const int thread = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  for (unsigned phase = 0; phase < phases; ++phase) {
    list[phase * size + static_cast<unsigned>(atomicAdd(&count[phase], 1))] = thread;
    __syncthreads();
  }
}

std::vector<int> signed_in(unsigned blocks, unsigned threads) {
  const unsigned size = blocks * threads;
  std::vector<int> count(phases), list(phases * size, -1);
  REQUIRE(launch({blocks, threads}, sign_in, count.data(), list.data(), size) == cudaSuccess);
  return list;
}

std::vector<int> phase_of(const std::vector<int>& list, unsigned phase) {
  const auto size = static_cast<std::ptrdiff_t>(list.size() / phases);
  return {list.begin() + phase * size, list.begin() + (phase + 1) * size};
}

// Right only if thread t - 1 has written before thread t reads: a barrier is missing.
__global__ void take_from_left(int* out) {
  __shared__ int values[64];
  values[threadIdx.x] = static_cast<int>(threadIdx.x) + 100;
  out[threadIdx.x] = threadIdx.x == 0 ? 0 : values[threadIdx.x - 1];
  values[threadIdx.x] = -1;
}

int wrong_values() {
  std::vector<int> out(64, -1);
  REQUIRE(launch({1, 64}, take_from_left, out.data()) == cudaSuccess);
  int wrong = 0;
  for (int i = 1; i < 64; ++i) wrong += out[static_cast<unsigned>(i)] != i + 99;
  return wrong;
}

}  // namespace

TEST_CASE("threads and blocks go forward, or in reverse", "[hostcuda]") {
  fresh_device device;
  device.workers(1);
  std::vector<int> expected(3 * 70);
  std::iota(expected.begin(), expected.end(), 0);

  device.order(thread_order::forward);
  std::vector<int> list = signed_in(3, 70);
  for (unsigned phase = 0; phase < phases; ++phase) CHECK(phase_of(list, phase) == expected);

  device.order(thread_order::reverse);
  std::reverse(expected.begin(), expected.end());
  list = signed_in(3, 70);
  for (unsigned phase = 0; phase < phases; ++phase) CHECK(phase_of(list, phase) == expected);
}

TEST_CASE("a shuffled order is a permutation that the seed decides", "[hostcuda]") {
  fresh_device device;
  device.workers(1);
  const auto order_of_seed = [&](std::uint64_t seed) {
    device.order(thread_order::shuffled, seed);
    return signed_in(5, 70);
  };
  const std::vector<int> list = order_of_seed(1);
  CHECK(list == order_of_seed(1));
  CHECK(list != order_of_seed(2));
  std::vector<int> blocks;
  for (unsigned phase = 0; phase < phases; ++phase) {
    std::vector<int> threads = phase_of(list, phase);
    CHECK(!std::is_sorted(threads.begin(), threads.begin() + 70));
    CHECK(threads != phase_of(list, (phase + 1) % phases));  // each phase has its own
    for (int i = 0; i < 5; ++i) blocks.push_back(threads[static_cast<unsigned>(i) * 70] / 70);
    std::sort(threads.begin(), threads.end());
    for (int i = 0; i < 350; ++i) REQUIRE(threads[static_cast<unsigned>(i)] == i);
  }
  blocks.resize(5);
  CHECK(!std::is_sorted(blocks.begin(), blocks.end()));
}

TEST_CASE("a missing barrier that the forward order hides shows in the others", "[hostcuda]") {
  if (detail::race_check) return;  // which reports it in every order
  fresh_device device;
  CHECK(wrong_values() == 63);  // without waiting, thread t - 1 has already gone on to write -1
  device.order(thread_order::reverse);
  CHECK(wrong_values() > 0);
  device.order(thread_order::shuffled, 4);
  CHECK(wrong_values() > 0);
}
