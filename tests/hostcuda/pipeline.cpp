// __pipeline_memcpy_async: when the data arrives, and what is refused.
#include <hostcuda/cuda_pipeline.hpp>

#include <cstring>
#include <vector>

#include "engine_support.hpp"
#include "runtime_support.hpp"

using namespace hostcuda_tests;

namespace {

constexpr int stale = -7;

// Copies one int a thread in two batches and notes what shared memory holds after each step.
__global__ void watch(const int* from, int* seen) {
  __shared__ int tile[64];
  const unsigned i = threadIdx.x;
  const auto note = [&](unsigned step) {
    seen[step * 64 + 2 * i] = tile[2 * i], seen[step * 64 + 2 * i + 1] = tile[2 * i + 1];
  };
  tile[2 * i] = tile[2 * i + 1] = stale;
  __pipeline_memcpy_async(&tile[2 * i], &from[2 * i], 4);
  note(0);
  __pipeline_wait_prior(0);  // nothing is committed
  note(1);
  __pipeline_commit();
  __pipeline_memcpy_async(&tile[2 * i + 1], &from[2 * i + 1], 4);
  __pipeline_commit();
  note(2);
  __pipeline_wait_prior(2);
  note(3);
  __pipeline_wait_prior(1);
  note(4);
  __pipeline_wait_prior(0);
  note(5);
}

// Sums rows of `from` through two buffers, one copy ahead. Waits for `ahead` batches too few.
__global__ void sum_rows(const int* from, int rows, int too_few, int* out) {
  __shared__ int buffer[2][32];
  const unsigned i = threadIdx.x;
  buffer[0][i] = buffer[1][i] = 1000;
  const auto fetch = [&](int row) {
    if (row < rows) __pipeline_memcpy_async(&buffer[row % 2][i], &from[row * 32 + static_cast<int>(i)], 4);
    __pipeline_commit();
  };
  int sum = 0;
  fetch(0);
  for (int row = 0; row < rows; ++row) {
    fetch(row + 1);
    __pipeline_wait_prior(static_cast<std::size_t>(1 + too_few));
    __syncthreads();
    sum += buffer[row % 2][31 - i];
    __syncthreads();
  }
  out[i] = sum;
}

__global__ void copy(char* to, const char* from, std::size_t size, std::size_t zero_fill) {
  alignas(16) __shared__ char tile[64];
  for (char& byte : tile) byte = 9;
  __pipeline_memcpy_async(tile + 16, from, size, zero_fill);
  __pipeline_commit();
  __pipeline_wait_prior(0);
  for (int i = 0; i < 48; ++i) to[i] = tile[i];
}

// A first block leaves a copy behind that the second must not get.
__global__ void leave(const int* from, int* out) {
  __shared__ int value;
  value = stale;
  if (blockIdx.x == 0) __pipeline_memcpy_async(&value, from, 4);
  __pipeline_commit();
  if (blockIdx.x == 1) __pipeline_wait_prior(0);
  out[blockIdx.x] = value;
}

}  // namespace

TEST_CASE("an asynchronous copy arrives when it is waited for", "[pipeline]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const fresh_device restored;
  settings().order = GENERATE(thread_order::forward, thread_order::reverse);
  std::vector<int> from(64), seen(6 * 64, 0);
  for (int i = 0; i < 64; ++i) from[static_cast<std::size_t>(i)] = 3 * i + 1;
  REQUIRE(launch({1, 32}, watch, from.data(), seen.data()) == cudaSuccess);
  int wrong = 0;
  for (std::size_t i = 0; i < 64; ++i) {
    for (std::size_t step = 0; step < 6; ++step) {
      const bool arrived = i % 2 == 0 ? step >= 4 : step >= 5;
      wrong += seen[step * 64 + i] != (arrived ? from[i] : stale);
    }
  }
  REQUIRE(wrong == 0);
}

TEST_CASE("a double buffer is right with its waits, and wrong without one", "[pipeline]") {
  const stream_mode_scope mode(stream_mode::immediate);
  constexpr int rows = 7;
  std::vector<int> from(rows * 32), out(32), expected(32, 0);
  for (std::size_t i = 0; i < from.size(); ++i) {
    from[i] = static_cast<int>(i * i % 101);
    expected[31 - i % 32] += from[i];
  }
  REQUIRE(launch({1, 32}, sum_rows, from.data(), rows, 0, out.data()) == cudaSuccess);
  REQUIRE(out == expected);
  REQUIRE(launch({1, 32}, sum_rows, from.data(), rows, 1, out.data()) == cudaSuccess);
  REQUIRE(out != expected);
}

TEST_CASE("copies have their size, and zeros behind them", "[pipeline]") {
  const stream_mode_scope mode(stream_mode::immediate);
  alignas(16) char from[32];
  for (int i = 0; i < 32; ++i) from[i] = static_cast<char>(i + 40);
  const std::size_t size = GENERATE(4u, 8u, 16u), zeros = GENERATE(0u, 3u, 4u);
  char to[48];
  REQUIRE(launch({1, 1}, copy, to, static_cast<const char*>(from), size, zeros) == cudaSuccess);
  for (std::size_t i = 0; i < 48; ++i) {
    const bool inside = i >= 16 && i < 16 + size;
    const int expected = !inside ? 9 : i < 16 + size - zeros ? from[i - 16] : 0;
    CHECK(to[i] == expected);
  }
}

TEST_CASE("wrong sizes and misaligned addresses are faults", "[pipeline]") {
  const stream_mode_scope mode(stream_mode::immediate);
  alignas(16) char from[64] = {};
  char to[48];
  const auto run = [&](int offset, std::size_t size, std::size_t zeros) {
    const cudaError_t error = launch({1, 1}, copy, to, static_cast<const char*>(from) + offset, size, zeros);
    const std::string text = last_report();
    reset_device();
    REQUIRE_THAT(text, Catch::Matchers::ContainsSubstring("__pipeline_memcpy_async"));
    return error;
  };
  CHECK(run(0, 12, 0) == cudaErrorLaunchFailure);
  CHECK(run(0, 8, 9) == cudaErrorLaunchFailure);
  CHECK(run(2, 4, 0) == cudaErrorMisalignedAddress);
  CHECK(run(8, 16, 0) == cudaErrorMisalignedAddress);
}

TEST_CASE("what a block never waited for does not reach the next", "[pipeline]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const fresh_device restored;
  settings().workers = 1;
  const int from = 5;
  int out[2] = {0, 0};
  REQUIRE(launch({2, 1}, leave, &from, static_cast<int*>(out)) == cudaSuccess);
  REQUIRE((out[0] == stale && out[1] == stale));
}

TEST_CASE("outside a kernel there is nothing to copy for", "[pipeline]") {
  REQUIRE_THROWS_AS(__pipeline_commit(), detail::kernel_fault);
}
