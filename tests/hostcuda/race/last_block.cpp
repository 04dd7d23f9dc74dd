// The block that finishes last adds up what the others left in global memory: a fence and an atomic counter
// order it. With -DWITHOUT_FENCE they do not.
#include "engine_support.hpp"

#include <cstdio>

using namespace hostcuda_tests;

constexpr unsigned blocks = 8;

__global__ void sum(const int* values, int* partial, unsigned* finished, int* total) {
  __shared__ bool last;
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = values[blockIdx.x];
#if !defined(WITHOUT_FENCE)
    __threadfence();
#endif
    last = atomicInc(finished, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 1) {
    int all = 0;
    for (unsigned i = 0; i < gridDim.x; ++i) all += partial[i];  // RACE
    *total = all;
  }
}

int main() {
  int values[blocks], partial[blocks], total = 0, expected = 0;
  unsigned finished = 0;
  for (unsigned i = 0; i < blocks; ++i) expected += values[i] = static_cast<int>(i * i + 1);
  if (launch({blocks, 32}, sum, values, partial, &finished, &total) != cudaSuccess) return 2;
  std::printf("total %d\n", total);
  return total == expected && finished == 0 ? 0 : 3;
}
