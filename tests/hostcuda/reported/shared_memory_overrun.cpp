// Writes one float behind the dynamic shared memory that the launch gave; without an argument it stays
// inside.
#include "engine_support.hpp"

#include <cstdio>

using namespace hostcuda_tests;

__global__ void fill(int count, float* total) {
  auto* values = static_cast<float*>(dynamic_shared_memory());
  for (int i = 0; i < count; ++i) values[i] = 1;  // REPORTED
  for (int i = 0; i < count; ++i) *total += values[i];
}

int main(int arguments, char**) {
  float total = 0;
  if (launch({1, 1, 101 * sizeof(float)}, fill, 100 + arguments, &total) != cudaSuccess) return 2;
  std::printf("%g\n", static_cast<double>(total));
  return total == 101.0f ? 0 : 3;
}
