// Each block reverses its part of an array by way of shared memory, many blocks one after the other on each
// OS thread. With -DWITHOUT_BARRIER a thread reads what another may not have written yet: a race at the line
// marked RACE.
#include "engine_support.hpp"

#include <cstdio>
#include <vector>

using namespace hostcuda_tests;

constexpr unsigned threads = 64, blocks = 16;

__global__ void __launch_bounds__(threads) reverse(int* values) {
  __shared__ int tile[threads];
  int* mine = values + blockIdx.x * threads;
  tile[threadIdx.x] = mine[threadIdx.x];
#if !defined(WITHOUT_BARRIER)
  __syncthreads();
#endif
  mine[threadIdx.x] = tile[threads - 1 - threadIdx.x];  // RACE
}

int main() {
  std::vector<int> values(threads * blocks);
  for (unsigned i = 0; i < values.size(); ++i) values[i] = static_cast<int>(i);
  for (int round = 0; round < 2; ++round) {
    if (launch({blocks, threads}, reverse, values.data()) != cudaSuccess) return 2;
  }
  int wrong = 0;
  for (unsigned i = 0; i < values.size(); ++i) wrong += values[i] != static_cast<int>(i);
  std::printf("%d wrong\n", wrong);
  return wrong == 0 ? 0 : 3;
}
