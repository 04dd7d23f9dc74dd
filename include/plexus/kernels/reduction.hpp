// Sums down columns, in a fixed order: column sums (BP3), the product of a vector with a matrix, and what
// normalisation adds up. What is added up are terms: a trivially copyable object with `rows`, `cols` and
// operator()(row, col), a matrix or something that is worked out from one.
#pragma once

#include <plexus/core/context.hpp>
#include <plexus/core/for_each.hpp>
#include <plexus/kernels/epilogue.hpp>
#include <plexus/kernels/slices.hpp>

namespace plexus::inline PLEXUS_ABI {
namespace kernels {

// The elements of a matrix as terms.
template <class T>
struct element_terms {
  matrix_view<const T> x;
  int rows = x.rows, cols = x.cols;
  PLEXUS_FN float operator()(int row, int col) const { return static_cast<float>(x(row, col)); }
};

// weight(i)·x(i, j)
template <class T, class Weight>
struct weighted_terms {
  matrix_view<const T> x;
  Weight weight;
  int rows = x.rows, cols = x.cols;
  PLEXUS_FN float operator()(int row, int col) const { return weight(row) * static_cast<float>(x(row, col)); }
};

// C(s, j) = Σᵢ terms(i, j) over the rows i of slice s. A block owns 32 neighbouring columns, so every access
// is one row of 128 bytes. Warp w takes rows w, w + 8, …; the warps' sums are added in their order.
template <class Terms, class Epilogue>
__global__ void __launch_bounds__(256) sum_rows_kernel(Terms terms, int slice_rows, Epilogue epilogue) {
  constexpr int warps = 8;
  __shared__ float partial[warps][32];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int col = static_cast<int>(blockIdx.x) * 32 + lane;
  const int slice = static_cast<int>(blockIdx.y);
  const slice_range range = slice_of(terms.rows, slice, slice_rows);
  float sum = 0;
  if (col < terms.cols) {
    for (int row = range.begin + warp; row < range.end; row += warps) sum += terms(row, col);
  }
  partial[warp][lane] = sum;
  __syncthreads();
  if (warp == 0 && col < terms.cols) {
    float total = 0;
    for (int i = 0; i < warps; ++i) total += partial[i][lane];
    epilogue(slice, col, total);
  }
}

// With more slices than one, the epilogue gets the results of all of them, (slices, n): see sum_slices().
template <class Terms, class Epilogue>
void sum_rows(cudaStream_t stream, const Terms& terms, const Epilogue& epilogue, int slices = 1) {
  const launch_shape shape{
      dim3(static_cast<unsigned>(divide_up(terms.cols, 32)), static_cast<unsigned>(slices)), dim3(256)};
  launch("launching sums down columns", stream, shape, sum_rows_kernel<Terms, Epilogue>, terms,
         slice_length(terms.rows, slices), epilogue);
}

// C(s, j) = Σᵢ weight(i)·x(i, j)
template <class T, class Weight, class Epilogue>
void combine_rows(cudaStream_t stream, matrix_view<T> x, const Weight& weight, const Epilogue& epilogue,
                  int slices = 1) {
  sum_rows(stream, weighted_terms<std::remove_const_t<T>, Weight>{x, weight}, epilogue, slices);
}

// Slices that give a device work where the columns are few and the rows many.
inline int row_slices(const context& context, int rows, int cols) {
  return slices_to_fill(context, rows, static_cast<std::size_t>(cols), divide_up(cols, 32), 2,
                        shortest_row_slice);
}

// The sums of 16 neighbouring columns by one thread, in a CPU's vector registers. Rows are added up in
// chunks: the rounding error grows with a chunk's length and with their number, and not with the product of
// the two.
template <class Terms, class Epilogue>
struct column_strip_sums {
  static constexpr int width = 16, chunk = 128;
  Terms terms;
  Epilogue epilogue;

  PLEXUS_FN void operator()(std::size_t strip) const {
    const int first = static_cast<int>(strip) * width;
    if (first + width <= terms.cols) return add_up<width>(first);
    for (int col = first; col < terms.cols; ++col) add_up<1>(col);
  }

 private:
  template <int Width>
  PLEXUS_FN void add_up(int first) const {
    const Terms of = terms;
    float sums[Width] = {};
    for (int begin = 0; begin < of.rows; begin += chunk) {
      const int end = begin + chunk < of.rows ? begin + chunk : of.rows;
      float part[Width] = {};
      for (int row = begin; row < end; ++row) {
        for (int i = 0; i < Width; ++i) part[i] += of(row, first + i);
      }
      for (int i = 0; i < Width; ++i) sums[i] += part[i];
    }
    for (int i = 0; i < Width; ++i) epilogue(0, first + i, sums[i]);
  }
};

}  // namespace kernels

// epilogue(0, j, Σᵢ terms(i, j)) for every column j.
template <class Terms, class Epilogue>
void sum_columns(context& context, const Terms& terms, const Epilogue& epilogue) {
  if constexpr (platform::on_cpu) {
    using strip_sums = kernels::column_strip_sums<Terms, Epilogue>;
    const auto strips = static_cast<std::size_t>(divide_up(terms.cols, strip_sums::width));
    for_each(context.stream(), strips, strip_sums{terms, epilogue});
  } else {
    const int slices = kernels::row_slices(context, terms.rows, terms.cols);
    kernels::in_slices(context, slices, 1, terms.cols, epilogue,
                       [&](const auto& into) { kernels::sum_rows(context.stream(), terms, into, slices); });
  }
}

// out(j) = Σᵢ x(i, j): BP3, the gradient of the bias from δ (n, out).
template <class T>
void column_sums(context& context, matrix_view<T> x, float* out) {
  sum_columns(context, kernels::element_terms<std::remove_const_t<T>>{x}, store{matrix(out, 1, x.cols)});
}

}  // namespace plexus::inline PLEXUS_ABI
