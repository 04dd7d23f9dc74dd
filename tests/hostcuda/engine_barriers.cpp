// Barriers of a block.
#include "engine_support.hpp"
#include "support/catch.hpp"

#include <string>
#include <vector>

using namespace hostcuda_tests;
using Catch::Matchers::ContainsSubstring;

namespace {

// Each thread adds its neighbours' values, `steps` times: wrong if any thread is a step ahead or behind.
__global__ void diffuse(const int* in, int* out, unsigned steps) {
  __shared__ int values[2][1024];
  const unsigned t = threadIdx.x, n = blockDim.x;
  values[0][t] = in[blockIdx.x * n + t];
  __syncthreads();
  for (unsigned step = 0; step < steps; ++step) {
    const int* now = values[step % 2];
    values[(step + 1) % 2][t] = now[(t + 1) % n] + 2 * now[t] - now[(t + n - 1) % n];
    __syncthreads();
  }
  out[blockIdx.x * n + t] = values[steps % 2][t];
}

std::vector<int> diffused(std::vector<int> values, unsigned block, unsigned steps) {
  for (unsigned step = 0; step < steps; ++step) {
    const std::vector<int> now = values;
    for (unsigned i = 0; i < values.size(); ++i) {
      const unsigned first = i / block * block, t = i % block;
      values[i] = now[first + (t + 1) % block] + 2 * now[i] - now[first + (t + block - 1) % block];
    }
  }
  return values;
}

// Threads from `staying` on return at once; then each round the highest thread left does.
__global__ void leave_one_by_one(unsigned staying, int* sum) {
  if (threadIdx.x >= staying) return;
  for (unsigned round = 0; threadIdx.x < staying - round; ++round) {
    const int here = __syncthreads_count(1);
    if (threadIdx.x == 0 && here == static_cast<int>(staying - round)) atomicAdd(sum, 1);
  }
}

__global__ void vote(int divisor, int* results) {
  const int mine = static_cast<int>(threadIdx.x) % divisor;
  const int count = __syncthreads_count(mine == 0 ? 16 : 0);  // any number but 0 is true
  const int all = __syncthreads_and(mine == 0);
  const int any = __syncthreads_or(mine == divisor - 1);
  const int none = __syncthreads_or(0);
  results[threadIdx.x] = count * 8 + all * 4 + any * 2 + none;
}

__global__ void part_ways() {
  if (threadIdx.x < 40) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

}  // namespace

TEST_CASE("a barrier parts what is before it from what is after", "[hostcuda]") {
  const auto order = GENERATE(from_range(std::begin(all_orders), std::end(all_orders)));
  const auto threads = GENERATE(1u, 2u, 31u, 32u, 33u, 256u);
  fresh_device device;
  device.order(order, 3).workers(2);
  constexpr unsigned blocks = 3, steps = 7;
  std::vector<int> in(threads * blocks), out(in.size(), -1);
  for (unsigned i = 0; i < in.size(); ++i) in[i] = static_cast<int>(i * 2654435761u % 1000u);
  REQUIRE(launch({blocks, threads}, diffuse, in.data(), out.data(), steps) == cudaSuccess);
  CHECK(out == diffused(in, threads, steps));
}

TEST_CASE("a block of 1024 threads meets at a barrier", "[hostcuda]") {
  fresh_device device;
  std::vector<int> in(1024), out(1024, -1);
  for (unsigned i = 0; i < 1024; ++i) in[i] = static_cast<int>(i * i % 1009u);
  REQUIRE(launch({1, 1024}, diffuse, in.data(), out.data(), 2) == cudaSuccess);
  CHECK(out == diffused(in, 1024, 2));
}

TEST_CASE("threads that have returned no longer count at a barrier", "[hostcuda]") {
  const auto order = GENERATE(from_range(std::begin(all_orders), std::end(all_orders)));
  const auto staying = GENERATE(1u, 5u, 32u, 50u, 64u);
  fresh_device device;
  device.order(order, 11);
  int sum = 0;
  REQUIRE(launch({1, 64}, leave_one_by_one, staying, &sum) == cudaSuccess);
  CHECK(sum == static_cast<int>(staying));
}

TEST_CASE("a barrier counts, ands and ors", "[hostcuda]") {
  const auto [divisor, expected] =
      GENERATE(table<int, int>({{1, 70 * 8 + 4 + 2}, {2, 35 * 8 + 2}, {7, 10 * 8 + 2}}));
  fresh_device device;
  std::vector<int> results(70, -1);
  REQUIRE(launch({1, 70}, vote, divisor, results.data()) == cudaSuccess);
  CHECK(results == std::vector<int>(70, expected));
}

TEST_CASE("a barrier that half the block skips for another one is an error that names both", "[hostcuda]") {
  fresh_device device;
  device.order(thread_order::forward);
  CHECK(launch({1, 64}, part_ways) == cudaErrorLaunchFailure);
  CHECK_THAT(last_report(), ContainsSubstring("part_ways()") && ContainsSubstring("block (0, 0, 0)") &&
                                ContainsSubstring("thread (40, 0, 0)") && ContainsSubstring("40 threads") &&
                                ContainsSubstring("engine_barriers.cpp:"));
}
