// Atomic operations: their values, and that they are atomic over OS threads.
#include "engine_support.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

using namespace hostcuda_tests;

namespace {

constexpr unsigned blocks = 64, threads = 32, rounds = 50;

template <class T>
__global__ void add_up(T* sum) {
  for (unsigned i = 0; i < rounds; ++i) atomicAdd(sum, 1);
}

__global__ void draw_tickets(unsigned* counter, int* drawn) {
  for (unsigned i = 0; i < rounds; ++i) atomicAdd(&drawn[atomicAdd(counter, 1u)], 1);
}

__global__ void gather(const int* values, int* least, int* most, unsigned* bits, unsigned long long* odd) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  atomicMin(least, values[i]);
  atomicMax(most, values[i]);
  atomicOr(bits, 1u << i % 32);
  atomicXor(odd, static_cast<unsigned long long>(values[i]));
}

// A float maximum by compare-and-swap, as CUDA code writes it.
__global__ void greatest(const float* values, float* result) {
  auto* bits = reinterpret_cast<int*>(result);
  int seen = *bits;
  const float mine = values[blockIdx.x * blockDim.x + threadIdx.x];
  while (mine > __int_as_float(seen)) {
    const int before = atomicCAS(bits, seen, __float_as_int(mine));
    if (before == seen) break;
    seen = before;
  }
}

template <class T>
void check_adding() {
  T sum = 1;
  REQUIRE(launch({blocks, threads}, add_up<T>, &sum) == cudaSuccess);
  CHECK(sum == static_cast<T>(1 + blocks * threads * rounds));
}

}  // namespace

TEST_CASE("atomicAdd loses nothing over OS threads", "[hostcuda]") {
  fresh_device device;
  device.workers(4);
  check_adding<int>();
  check_adding<unsigned>();
  check_adding<unsigned long long>();
  check_adding<float>();
  check_adding<double>();
}

TEST_CASE("atomicAdd returns each value once", "[hostcuda]") {
  fresh_device device;
  device.workers(4);
  unsigned counter = 0;
  std::vector<int> drawn(blocks * threads * rounds);
  REQUIRE(launch({blocks, threads}, draw_tickets, &counter, drawn.data()) == cudaSuccess);
  CHECK(counter == drawn.size());
  CHECK(drawn == std::vector<int>(drawn.size(), 1));
}

TEST_CASE("minimum, maximum and bits over OS threads", "[hostcuda]") {
  fresh_device device;
  device.workers(4);
  std::vector<int> values(blocks * threads);
  for (unsigned i = 0; i < values.size(); ++i) values[i] = static_cast<int>(i * 2654435761u);
  int least = 0x7fffffff, most = -0x7fffffff;
  unsigned bits = 0;
  unsigned long long odd = 0, expected_odd = 0;
  REQUIRE(launch({blocks, threads}, gather, values.data(), &least, &most, &bits, &odd) == cudaSuccess);
  for (const int value : values) expected_odd ^= static_cast<unsigned long long>(value);
  CHECK(least == *std::min_element(values.begin(), values.end()));
  CHECK(most == *std::max_element(values.begin(), values.end()));
  CHECK(bits == 0xffffffffu);
  CHECK(odd == expected_odd);
}

TEST_CASE("compare-and-swap builds other operations", "[hostcuda]") {
  if (detail::race_check) return;  // its first read is a race, which such code accepts
  fresh_device device;
  device.workers(4);
  std::vector<float> values(blocks * threads);
  for (unsigned i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 7919u % 4001u) / 8;
  float result = -1;
  REQUIRE(launch({blocks, threads}, greatest, values.data(), &result) == cudaSuccess);
  CHECK(result == *std::max_element(values.begin(), values.end()));
}

TEST_CASE("atomic operations return the value before, and wrap as CUDA's do", "[hostcuda]") {
  int i = 10;
  CHECK(atomicSub(&i, 3) == 10);
  CHECK(i == 7);
  CHECK(atomicExch(&i, -5) == 7);
  CHECK(atomicMin(&i, -4) == -5);
  CHECK(i == -5);
  CHECK(atomicMax(&i, 20) == -5);
  CHECK(i == 20);
  CHECK(atomicCAS(&i, 19, 1) == 20);
  CHECK(i == 20);
  CHECK(atomicCAS(&i, 20, 1) == 20);
  CHECK(i == 1);
  CHECK(atomicAnd(&i, 6) == 1);
  CHECK(i == 0);
  CHECK(atomicOr(&i, 5) == 0);
  CHECK(atomicXor(&i, 6) == 5);
  CHECK(i == 3);

  unsigned u = 2;
  CHECK(atomicInc(&u, 3) == 2);
  CHECK(atomicInc(&u, 3) == 3);
  CHECK(u == 0);
  CHECK(atomicInc(&u, 3) == 0);
  CHECK(atomicDec(&u, 3) == 1);
  CHECK(atomicDec(&u, 3) == 0);
  CHECK(u == 3);
  u = 9;
  CHECK(atomicDec(&u, 3) == 9);
  CHECK(u == 3);
  CHECK(atomicMin(&u, 0xffffffffu) == 3);
  CHECK(atomicMax(&u, 0xffffffffu) == 3);
  CHECK(u == 0xffffffffu);
  CHECK(atomicAdd(&u, 2) == 0xffffffffu);
  CHECK(u == 1);

  float f = 1.5f;
  CHECK(atomicExch(&f, 2.5f) == 1.5f);
  CHECK(atomicAdd(&f, 1) == 2.5f);
  CHECK(f == 3.5f);
}
