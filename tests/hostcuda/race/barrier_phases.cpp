// Threads pass values to their right neighbour through two buffers of shared memory, one barrier a step. With
// -DONE_BUFFER there is one buffer: a thread may write its next value before its neighbour has read the last.
// This race is found only if a barrier does not order what follows it with what follows the next one.
#include "engine_support.hpp"

#include <cstdio>

using namespace hostcuda_tests;

constexpr unsigned threads = 32, steps = 5;

__global__ void __launch_bounds__(threads) pass_on(int* result) {
#if defined(ONE_BUFFER)
  constexpr unsigned buffers = 1;
#else
  constexpr unsigned buffers = 2;
#endif
  __shared__ int buffer[2][threads];
  int value = static_cast<int>(threadIdx.x);
  for (unsigned step = 0; step < steps; ++step) {
    buffer[step % buffers][threadIdx.x] = value;  // RACE
    __syncthreads();
    value = buffer[step % buffers][(threadIdx.x + threads - 1) % threads];
  }
  result[threadIdx.x] = value;
}

int main() {
  int result[threads];
  if (launch({1, threads}, pass_on, result) != cudaSuccess) return 2;
  int wrong = 0;
  for (unsigned i = 0; i < threads; ++i)
    wrong += result[i] != static_cast<int>((i + threads - steps) % threads);
  std::printf("%d wrong\n", wrong);
  return wrong == 0 ? 0 : 3;
}
