// The gradients of weight_gradients.hpp from operands of 16 bits, on tensor cores. The sums of δ's columns
// (BP3) are a product too, with an operand of ones: it takes the pieces of δ that lie in shared memory for
// dW.
#pragma once

#include <plexus/core/precision.hpp>
#include <plexus/kernels/epilogue.hpp>
#include <plexus/kernels/tensor_gemm.hpp>
#include <plexus/kernels/weight_gradients.hpp>

namespace plexus::inline PLEXUS_ABI::kernels {

// The operand B of ones: all its places are one place.
template <class T>
struct operand_of_ones {
  using element = T;
  static constexpr bool depth_is_contiguous = true;
  static constexpr int ld = 16, size = 16 * ld;  // what a fragment reads from there

  __device__ static constexpr int position(int, int) { return 0; }
  __device__ static constexpr int position_at(int, int) { return 0; }
};

template <sixteen_bit_float T>
struct gradient_block<T> {
  using tile_shape = small_tensor_tile;
  struct column_sum_tile : tile_shape {  // each warp adds up 16 columns
    static constexpr int warp_m = 16;
  };
  static constexpr int threads = tensor_arrangement<tile_shape>::threads;
  static_assert(tile_shape::block_m == gradient_tile::size && tile_shape::block_n == gradient_tile::size &&
                    threads == gradient_tile::threads && 16 * threads / 32 == gradient_tile::size,
                "a block computes a tile, and its warps all column sums");

  using staged = staged_operand<T, gradient_tile::size, false, tile_shape::stages>;
  using loader = tensor_matrix_loader<staged, threads>;
  using ones = operand_of_ones<T>;
  static_assert(gradient_tile::slice % staged::depth == 0, "a part of the batch has whole pieces");

  __device__ static void find(const weight_gradient<T>& gradient, gradient_tile tile, int begin, int end,
                              float* arena) {
    alignas(128) __shared__ T shared[2 * staged::size];
    alignas(128) __shared__ T shared_ones[ones::size];
    for (int i = static_cast<int>(threadIdx.x); i < ones::size; i += threads) shared_ones[i] = T(1.0f);

    const int warp = static_cast<int>(threadIdx.x) / 32;
    const int warp_row = warp / 2 * tile_shape::warp_m, warp_col = warp % 2 * tile_shape::warp_n;
    const bool sums_columns = tile.first_in == 0 && gradient.db != gradient.none;
    tensor_sums<tile_shape, staged, staged> dw;
    tensor_sums<column_sum_tile, staged, ones> db;
    for_each_piece<tile_shape>(
        loader(gradient.delta, tile.first_out, begin), loader(gradient.x, tile.first_in, begin), shared,
        begin, end, [&](const T* delta, const T* x) {
          dw.multiply_add(delta + staged::position_at(warp_row, 0), x + staged::position_at(warp_col, 0));
          if (sums_columns) db.multiply_add(delta + staged::position_at(16 * warp, 0), shared_ones);
        });

    __syncthreads();  // the slabs lie where the pieces lay
    static_assert(threads / 32 * epilogue_slabs<tile_shape>::size * sizeof(float) <= sizeof shared);
    float* const slabs = reinterpret_cast<float*>(shared) + warp * epilogue_slabs<tile_shape>::size;
    const int out = gradient.delta.cols, in = gradient.x.cols;
    finish<tile_shape>(dw, slabs, tile.first_out + warp_row, tile.first_in + warp_col, out, in,
                       store{matrix(arena + gradient.dw, out, in)});
    if (sums_columns) {
      finish<column_sum_tile>(db, slabs, tile.first_out + 16 * warp, 0, out, 1,
                              store{matrix(arena + gradient.db, out, 1)});
    }
  }
};

}  // namespace plexus::inline PLEXUS_ABI::kernels
