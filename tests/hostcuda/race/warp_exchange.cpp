// Lanes hand values to their neighbour through shared memory. With -DWITHOUT_SYNCWARP nothing makes a lane
// wait for the other's write.
#include "engine_support.hpp"

#include <cstdio>

using namespace hostcuda_tests;

__global__ void __launch_bounds__(64) exchange(int* result) {
  __shared__ int slot[64];
  slot[threadIdx.x] = static_cast<int>(threadIdx.x);
#if !defined(WITHOUT_SYNCWARP)
  __syncwarp();
#endif
  result[threadIdx.x] = slot[threadIdx.x ^ 1u];  // RACE
  const int sum = __shfl_xor_sync(0xffffffffu, result[threadIdx.x], 1);
  if (sum != static_cast<int>(threadIdx.x)) result[threadIdx.x] = -1;
}

int main() {
  int result[64];
  if (launch({1, 64}, exchange, result) != cudaSuccess) return 2;
  int wrong = 0;
  for (int i = 0; i < 64; ++i) wrong += result[i] != (i ^ 1);
  std::printf("%d wrong\n", wrong);
  return wrong == 0 ? 0 : 3;
}
