// Each block sums neighbours from a tile that asynchronous copies brought. With -DWITHOUT_BARRIER a thread
// waits only for its own copies, not for its neighbour's: a race at the line marked RACE.
#include <hostcuda/cuda_pipeline.hpp>

#include "engine_support.hpp"

#include <cstdio>
#include <vector>

using namespace hostcuda_tests;

constexpr unsigned threads = 64, blocks = 4;

__global__ void __launch_bounds__(threads) add_neighbour(const int* from, int* to) {
  __shared__ int tile[threads];
  __pipeline_memcpy_async(&tile[threadIdx.x], &from[blockIdx.x * threads + threadIdx.x], sizeof(int));
  __pipeline_commit();
  __pipeline_wait_prior(0);
#if !defined(WITHOUT_BARRIER)
  __syncthreads();
#endif
  const int neighbour = tile[(threadIdx.x + 1) % threads];  // RACE
  to[blockIdx.x * threads + threadIdx.x] = tile[threadIdx.x] + neighbour;
}

int main() {
  std::vector<int> from(threads * blocks), to(from.size());
  for (unsigned i = 0; i < from.size(); ++i) from[i] = static_cast<int>(i * i);
  for (int round = 0; round < 2; ++round) {
    if (launch({blocks, threads}, add_neighbour, static_cast<const int*>(from.data()), to.data()) !=
        cudaSuccess) {
      return 2;
    }
  }
  int wrong = 0;
  for (unsigned i = 0; i < from.size(); ++i) {
    const unsigned next = i / threads * threads + (i + 1) % threads;
    wrong += to[i] != from[i] + from[next];
  }
  std::printf("%d wrong\n", wrong);
  return wrong == 0 ? 0 : 3;
}
