// Skinny products: C has few rows, or few columns. A tile would idle; these read the long operand at
// the pace of memory, once for each group of rows of the short one, which it is multiplied by on its way.
#pragma once

#include <plexus/core/group.hpp>
#include <plexus/core/launch.hpp>
#include <plexus/kernels/packet.hpp>
#include <plexus/kernels/slices.hpp>

namespace plexus::inline PLEXUS_ABI::kernels {

inline constexpr int skinny_group = 8;  // rows of the short operand

// Whether that is the way of a product with `few` rows, or columns, where the long operand has rows of
// `length`: with more of them a tile of 32 is more than half in use, and along shorter ones a warp is not.
constexpr bool is_skinny(int few, int length) { return few <= 2 * skinny_group && length >= 128; }

// What a warp or a block has to do, by its number: the groups of the short operand are neighbours, so that
// the second one finds the long operand in a cache.
struct skinny_place {
  int first;  // row of the short operand
  int part;   // of the long operand
};
__device__ inline skinny_place skinny_place_of(int index, int short_rows) {
  const int groups = divide_up(short_rows, skinny_group);
  return {index % groups * skinny_group, index / groups};
}

// Row `row` of a group that the operand may not fill: beyond its end its last one, whose result nobody wants.
__device__ inline int row_in_group(int first, int row, int rows) {
  return first + row < rows ? first + row : rows - 1;
}

// Rows of the long operand: they share what a warp reads of the short one.
inline constexpr int skinny_rows_per_warp = 2;

// C(i, j) = Σₖ x(i, k)·w(j, k), x being short, and both contiguous along k. A warp computes two columns of C
// for a group of rows.
template <int Vector, class Epilogue>
__global__ void __launch_bounds__(256)
    skinny_by_rows_kernel(matrix_view<const float> x, matrix_view<const float> w, Epilogue epilogue) {
  constexpr int warps = 8;
  const int lane = warp_group::rank();
  const auto [first, pair] =
      skinny_place_of(static_cast<int>(blockIdx.x) * warps + static_cast<int>(threadIdx.x) / 32, x.rows);
  const int first_col = pair * skinny_rows_per_warp;
  if (first_col >= w.rows) return;

  const float* left_rows[skinny_group];
  const float* right_rows[skinny_rows_per_warp];
  PLEXUS_UNROLL
  for (int i = 0; i < skinny_group; ++i) left_rows[i] = x.row(row_in_group(first, i, x.rows));
  PLEXUS_UNROLL
  for (int j = 0; j < skinny_rows_per_warp; ++j) right_rows[j] = w.row(row_in_group(first_col, j, w.rows));

  float sums[skinny_rows_per_warp * skinny_group] = {};
  for (int k = lane * Vector; k < x.cols; k += 32 * Vector) {
    packet<Vector> right[skinny_rows_per_warp];
    PLEXUS_UNROLL
    for (int j = 0; j < skinny_rows_per_warp; ++j) right[j] = load_packet<Vector>(right_rows[j] + k);
    PLEXUS_UNROLL
    for (int i = 0; i < skinny_group; ++i) {
      const packet<Vector> left = load_packet<Vector>(left_rows[i] + k);
      PLEXUS_UNROLL
      for (int j = 0; j < skinny_rows_per_warp; ++j) {
        PLEXUS_UNROLL
        for (int v = 0; v < Vector; ++v) sums[j * skinny_group + i] += left.at[v] * right[j].at[v];
      }
    }
  }
  constexpr int lanes_each = 32 / (skinny_rows_per_warp * skinny_group);
  const float sum = warp_group::sum_each(sums);
  const int own = lane / lanes_each, row = first + own % skinny_group, col = first_col + own / skinny_group;
  if (lane % lanes_each == 0 && row < x.rows && col < w.rows) epilogue(row, col, sum);
}

// C(m,n) = X(m,k)·W(n,k)ᵀ, m being small.
template <class Epilogue>
void skinny_by_rows(cudaStream_t stream, matrix_view<const float> x, matrix_view<const float> w,
                    const Epilogue& epilogue) {
  const int warps = divide_up(w.rows, skinny_rows_per_warp) * divide_up(x.rows, skinny_group);
  const launch_shape shape{dim3(static_cast<unsigned>(divide_up(warps, 8))), dim3(256)};
  const bool by_packets = in_packets<4>(x) && in_packets<4>(w);
  launch("launching a skinny product", stream, shape,
         by_packets ? skinny_by_rows_kernel<4, Epilogue> : skinny_by_rows_kernel<1, Epilogue>, x, w,
         epilogue);
}

// C(i, j) = Σₖ x(i, k)·w(k, j), x being short, and w contiguous along j. A block computes 32·Vector columns
// of C for a group of rows. Warp w takes the depths w, w + 8, …; the warps' sums are added in their order.
// Block (i, s) is that of slice s, whose results the epilogue gets as (s·m + i, j).
template <bool DepthIsContiguous, int Vector, class Epilogue>
__global__ void __launch_bounds__(256, 2)
    skinny_by_columns_kernel(matrix_view<const float> x, matrix_view<const float> w, int slice_depth,
                             Epilogue epilogue) {
  constexpr int warps = 8, cols = 32 * Vector;
  alignas(16) __shared__ float partial[warps][skinny_group][cols];
  const int rows = DepthIsContiguous ? x.rows : x.cols;
  const int slice = static_cast<int>(blockIdx.y);
  const auto [first, strip] = skinny_place_of(static_cast<int>(blockIdx.x), rows);
  const int first_col = strip * cols;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int own_col = warp_group::rank() * Vector;

  const std::ptrdiff_t left_step = DepthIsContiguous ? 1 : x.ld;
  const float* left_rows[skinny_group];
  PLEXUS_UNROLL
  for (int i = 0; i < skinny_group; ++i) {
    const int row = row_in_group(first, i, rows);
    left_rows[i] = DepthIsContiguous ? x.row(row) : x.data + row;
  }
  packet<Vector> sums[skinny_group] = {};
  if (first_col + own_col < w.cols) {
    const slice_range depths = slice_of(w.rows, slice, slice_depth);
    for (int k = depths.begin + warp; k < depths.end; k += warps) {
      const packet<Vector> right = load_packet<Vector>(w.row(k) + first_col + own_col);
      PLEXUS_UNROLL
      for (int i = 0; i < skinny_group; ++i) {
        const float left = left_rows[i][k * left_step];
        PLEXUS_UNROLL
        for (int v = 0; v < Vector; ++v) sums[i].at[v] += left * right.at[v];
      }
    }
  }
  PLEXUS_UNROLL
  for (int i = 0; i < skinny_group; ++i) store_packet(&partial[warp][i][own_col], sums[i]);
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < skinny_group * cols; i += 32 * warps) {
    const int row = i / cols, col = i % cols;
    float sum = 0;
    for (const auto& of_warp : partial) sum += of_warp[row][col];
    if (first + row < rows && first_col + col < w.cols)
      epilogue(slice * rows + first + row, first_col + col, sum);
  }
}

// Slices that give a device work where the columns are few and the depth is long.
inline int skinny_slices(const context& context, int rows, int cols, int depth) {
  const int blocks = divide_up(cols, 128) * divide_up(rows, skinny_group);
  return slices_to_fill(context, depth, static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols),
                        blocks, 2, shortest_row_slice);
}

// C(m,n) = X·W(k,n), m being small. X is (m,k) where its depth is contiguous, else (k,m). With more slices
// than one, the epilogue gets the results of all of them, (slices·m, n): see sum_slices().
template <bool DepthIsContiguous, class Epilogue>
void skinny_by_columns(cudaStream_t stream, matrix_view<const float> x, matrix_view<const float> w,
                       const Epilogue& epilogue, int slices = 1) {
  const int rows = DepthIsContiguous ? x.rows : x.cols;
  const bool by_packets = in_packets<4>(w);
  const int blocks = divide_up(w.cols, by_packets ? 128 : 32) * divide_up(rows, skinny_group);
  const launch_shape shape{dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(slices)), dim3(256)};
  launch("launching a skinny product", stream, shape,
         by_packets ? skinny_by_columns_kernel<DepthIsContiguous, 4, Epilogue>
                    : skinny_by_columns_kernel<DepthIsContiguous, 1, Epilogue>,
         x, w, slice_length(w.rows, slices), epilogue);
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
