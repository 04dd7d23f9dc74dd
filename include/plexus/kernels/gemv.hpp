// The products of a single sample: matrix times vector and outer product, with any epilogue. (Vector times
// matrix is combine_rows(), in reduction.hpp.)
#pragma once

#include <plexus/core/for_each.hpp>
#include <plexus/kernels/gemm_shape.hpp>
#include <plexus/kernels/packet.hpp>
#include <plexus/kernels/slices.hpp>

namespace plexus::inline PLEXUS_ABI::kernels {

// C(s, j) = Σₖ x(k)·w(j, k) over the k of slice s; index = s·rows + j.
template <int Vector, class Epilogue>
struct row_product {
  matrix_view<const float> w;
  const float* x;
  int slice_depth;
  Epilogue epilogue;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int index) const {
    const int slice = index / w.rows, row = index % w.rows;
    const slice_range depths = slice_of(w.cols, slice, slice_depth);
    float partial[Vector] = {};
    for (int k = depths.begin + group.rank() * Vector; k < depths.end; k += group.size() * Vector) {
      const packet<Vector> left = load_packet<Vector>(x + k);
      const packet<Vector> right = load_packet<Vector>(w.row(row) + k);
      for (int v = 0; v < Vector; ++v) partial[v] += left.at[v] * right.at[v];
    }
    float sum = 0;
    for (const float part : partial) sum += part;
    sum = group.sum(sum);
    if (group.rank() == 0) epilogue(slice, row, sum);
  }
};

// The epilogue of Cᵀ.
template <class Epilogue>
struct transposed_epilogue {
  Epilogue epilogue;
  PLEXUS_FN void operator()(int row, int col, float acc) const { epilogue(col, row, acc); }
};

// C(i, j) = a(i)·b(j)
template <class Epilogue>
struct outer_products {
  strided_vector a;
  const float* b;
  Epilogue epilogue;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const float left = a(row);
    for (int col = group.rank(); col < epilogue.c.cols; col += group.size())
      epilogue(row, col, left * b[col]);
  }
};

// Slices that give a device work where the rows are few and long.
inline constexpr int shortest_gemv_slice = 4096;
inline int gemv_slices(const context& context, int rows, int depth) {
  return slices_to_fill(context, depth, static_cast<std::size_t>(rows), rows, 2, shortest_gemv_slice);
}

template <int KnownDepth, int Vector, class Epilogue>
void launch_gemv(cudaStream_t stream, matrix_view<const float> x, matrix_view<const float> w,
                 const Epilogue& epilogue, int slices) {
  constexpr int long_for_a_warp = 1024;
  const int depth = slice_length(w.cols, slices);
  const row_product<Vector, Epilogue> function{w, x.data, depth, epilogue};
  if constexpr (!platform::on_cpu && at_most(KnownDepth) > long_for_a_warp) {
    if (depth > long_for_a_warp) return for_each_row_by_block(stream, w.rows * slices, function);
  }
  for_each_row(stream, slices * w.rows, function);
}

// C(1,n) = x(1,k) · W(n,k)ᵀ. With more slices than one, the epilogue gets the results of all of them,
// (slices, n): see sum_slices(). KnownDepth is k where it is known when this is compiled.
template <int KnownDepth = any_extent, class Epilogue>
void gemv(cudaStream_t stream, matrix_view<const float> x, matrix_view<const float> w,
          const Epilogue& epilogue, int slices = 1) {
  if constexpr (KnownDepth == any_extent || KnownDepth % 4 == 0) {
    if (in_packets<4>(x) && in_packets<4>(w))
      return launch_gemv<KnownDepth, 4>(stream, x, w, epilogue, slices);
  }
  launch_gemv<KnownDepth, 1>(stream, x, w, epilogue, slices);
}

// C(m,n) = a(m) · b(n)ᵀ
template <class Epilogue>
void outer_product(cudaStream_t stream, strided_vector a, const float* b, const Epilogue& epilogue) {
  for_each_row(stream, epilogue.c.rows, outer_products<Epilogue>{a, b, epilogue});
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
