// Reads a float4 from an address that is not a multiple of 16: on a GPU a misaligned address fault. With an
// offset of 0 (no argument) the program is right.
#include "engine_support.hpp"

#include <cstdio>

using namespace hostcuda_tests;

__global__ void sum_four(const float* from, float* to) {
  const float4& value = *reinterpret_cast<const float4*>(from + threadIdx.x * 4);  // REPORTED
  to[threadIdx.x] = value.x + value.y + value.z + value.w;
}

int main(int arguments, char**) {
  alignas(16) float values[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  float sums[2] = {};
  const int offset = arguments - 1;
  if (launch({1, 2}, sum_four, values + offset, sums) != cudaSuccess) return 2;
  std::printf("%g %g\n", static_cast<double>(sums[0]), static_cast<double>(sums[1]));
  return sums[1] == 26.0f ? 0 : 3;
}
