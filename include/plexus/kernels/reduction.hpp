// Sums down the columns of a matrix, in a fixed order: column sums (BP3) and the product of a vector with a
// matrix.
#pragma once

#include <plexus/core/context.hpp>
#include <plexus/core/for_each.hpp>
#include <plexus/kernels/epilogue.hpp>
#include <plexus/kernels/slices.hpp>

namespace plexus::inline PLEXUS_ABI {
namespace kernels {

// C(s, j) = Σᵢ weight(i)·x(i, j) over the rows i of slice s. A block owns 32 neighbouring columns, so every
// access is one row of 128 bytes. Warp w takes rows w, w + 8, …; the warps' sums are added in their order.
template <class T, class Weight, class Epilogue>
__global__ void __launch_bounds__(256)
    combine_rows_kernel(matrix_view<const T> x, Weight weight, int slice_rows, Epilogue epilogue) {
  constexpr int warps = 8;
  __shared__ float partial[warps][32];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int col = static_cast<int>(blockIdx.x) * 32 + lane;
  const int slice = static_cast<int>(blockIdx.y);
  const slice_range range = slice_of(x.rows, slice, slice_rows);
  float sum = 0;
  if (col < x.cols) {
    for (int row = range.begin + warp; row < range.end; row += warps)
      sum += weight(row) * static_cast<float>(x(row, col));
  }
  partial[warp][lane] = sum;
  __syncthreads();
  if (warp == 0 && col < x.cols) {
    float total = 0;
    for (int i = 0; i < warps; ++i) total += partial[i][lane];
    epilogue(slice, col, total);
  }
}

// With more slices than one, the epilogue gets the results of all of them, (slices, n): see sum_slices().
template <class T, class Weight, class Epilogue>
void combine_rows(cudaStream_t stream, matrix_view<T> x, const Weight& weight, const Epilogue& epilogue,
                  int slices = 1) {
  using element = std::remove_const_t<T>;
  const launch_shape shape{dim3(static_cast<unsigned>(divide_up(x.cols, 32)), static_cast<unsigned>(slices)),
                           dim3(256)};
  launch("launching sums down columns", stream, shape, combine_rows_kernel<element, Weight, Epilogue>, x,
         weight, slice_length(x.rows, slices), epilogue);
}

// Slices that give a device work where the columns are few and the rows many.
inline int row_slices(const context& context, int rows, int cols) {
  return slices_to_fill(context, rows, static_cast<std::size_t>(cols), divide_up(cols, 32), 2,
                        shortest_row_slice);
}

struct equal_weights {
  PLEXUS_FN float operator()(int) const { return 1; }
};

// The sums of 16 neighbouring columns by one thread, in a CPU's vector registers. Rows are added up in
// chunks: the rounding error grows with a chunk's length and with their number, and not with the product of
// the two.
template <class T>
struct column_strip_sums {
  static constexpr int width = 16, chunk = 128;
  matrix_view<const T> x;
  float* out;

  PLEXUS_FN void operator()(std::size_t strip) const {
    const int first = static_cast<int>(strip) * width;
    if (first + width <= x.cols) return add_up<width>(first);
    for (int col = first; col < x.cols; ++col) add_up<1>(col);
  }

 private:
  template <int Width>
  PLEXUS_FN void add_up(int first) const {
    float sums[Width] = {};
    for (int begin = 0; begin < x.rows; begin += chunk) {
      const int end = begin + chunk < x.rows ? begin + chunk : x.rows;
      float part[Width] = {};
      for (int row = begin; row < end; ++row) {
        const T* from = x.row(row) + first;
        for (int i = 0; i < Width; ++i) part[i] += static_cast<float>(from[i]);
      }
      for (int i = 0; i < Width; ++i) sums[i] += part[i];
    }
    for (int i = 0; i < Width; ++i) out[first + i] = sums[i];
  }
};

}  // namespace kernels

// out(j) = Σᵢ x(i, j): BP3, the gradient of the bias from δ (n, out).
template <class T>
void column_sums(context& context, matrix_view<T> x, float* out) {
  if constexpr (platform::on_cpu) {
    using strip_sums = kernels::column_strip_sums<std::remove_const_t<T>>;
    const auto strips = static_cast<std::size_t>(divide_up(x.cols, strip_sums::width));
    for_each(context.stream(), strips, strip_sums{x, out});
  } else {
    const int slices = kernels::row_slices(context, x.rows, x.cols);
    kernels::in_slices(context, slices, 1, x.cols, store{matrix(out, 1, x.cols)}, [&](const auto& epilogue) {
      kernels::combine_rows(context.stream(), x, kernels::equal_weights{}, epilogue, slices);
    });
  }
}

}  // namespace plexus::inline PLEXUS_ABI
