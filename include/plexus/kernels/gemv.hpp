// The products of a single sample: matrix times vector and outer product, with any epilogue. (Vector times
// matrix is combine_rows(), in reduction.hpp.)
#pragma once

#include <plexus/core/for_each.hpp>
#include <plexus/kernels/packet.hpp>

namespace plexus::inline PLEXUS_ABI::kernels {

// C(0, j) = Σₖ x(k)·w(j, k): one warp for each row of w.
template <int Vector, class Epilogue>
struct row_product {
  matrix_view<const float> w;
  const float* x;
  Epilogue epilogue;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    float partial[Vector] = {};
    for (int k = group.rank() * Vector; k < w.cols; k += group.size() * Vector) {
      const packet<Vector> left = load_packet<Vector>(x + k);
      const packet<Vector> right = load_packet<Vector>(w.row(row) + k);
      for (int v = 0; v < Vector; ++v) partial[v] += left.at[v] * right.at[v];
    }
    float sum = 0;
    for (const float part : partial) sum += part;
    sum = group.sum(sum);
    if (group.rank() == 0) epilogue(0, row, sum);
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

// C(1,n) = x(1,k) · W(n,k)ᵀ
template <class Epilogue>
void gemv(cudaStream_t stream, matrix_view<const float> x, matrix_view<const float> w,
          const Epilogue& epilogue) {
  if (in_packets<4>(x) && in_packets<4>(w)) {
    for_each_row(stream, w.rows, row_product<4, Epilogue>{w, x.data, epilogue});
  } else {
    for_each_row(stream, w.rows, row_product<1, Epilogue>{w, x.data, epilogue});
  }
}

// C(m,n) = a(m) · b(n)ᵀ
template <class Epilogue>
void outer_product(cudaStream_t stream, strided_vector a, const float* b, const Epilogue& epilogue) {
  for_each_row(stream, epilogue.c.rows, outer_products<Epilogue>{a, b, epilogue});
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
