// Two warps fill a tile together, then each multiplies it by itself with wmma. With -DWITHOUT_BARRIER a warp
// loads what the other may not have written yet: a race inside the load that the line marked RACE asks for.
#include <hostcuda/mma.hpp>

#include "engine_support.hpp"

#include <cstdio>
#include <vector>

using namespace hostcuda_tests;
namespace wmma = nvcuda::wmma;

__global__ void __launch_bounds__(64) square(float* out) {
  alignas(32) __shared__ __half tile[16 * 16];
  for (unsigned i = threadIdx.x; i < 256; i += 64) tile[i] = __half(i % 17 == 0 ? 2.0f : 0.0f);
#if !defined(WITHOUT_BARRIER)
  __syncthreads();
#endif
  wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> a;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::row_major> b;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
  wmma::fill_fragment(sum, 0.0f);
  wmma::load_matrix_sync(a, tile, 16);  // RACE
  wmma::load_matrix_sync(b, tile, 16);
  wmma::mma_sync(sum, a, b, sum);
  wmma::store_matrix_sync(out + threadIdx.x / 32 * 256, sum, 16, wmma::mem_row_major);
}

int main() {
  alignas(32) static float out[512];
  if (launch({1, 64}, square, static_cast<float*>(out)) != cudaSuccess) return 2;
  int wrong = 0;
  for (int i = 0; i < 512; ++i) wrong += out[i] != (i % 256 % 17 == 0 ? 4.0f : 0.0f);
  std::printf("%d wrong\n", wrong);
  return wrong == 0 ? 0 : 3;
}
