// Blocks add to one total. Right with an atomic; with -DWITHOUT_ATOMIC two blocks may read the same old
// value.
#include "engine_support.hpp"

#include <cstdio>

using namespace hostcuda_tests;

__global__ void add(int* total) {
  if (threadIdx.x != 0) return;
#if defined(WITHOUT_ATOMIC)
  *total += 1;  // RACE
#else
  atomicAdd(total, 1);
#endif
}

int main() {
  int total = 0;
  if (launch({8, 32}, add, &total) != cudaSuccess) return 2;
  std::printf("total %d\n", total);
#if defined(WITHOUT_ATOMIC)
  return 0;
#else
  return total == 8 ? 0 : 3;
#endif
}
