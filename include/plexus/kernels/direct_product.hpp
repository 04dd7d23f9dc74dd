// A product too small for tiles: each element a loop of its own.
#pragma once

#include <plexus/core/for_each.hpp>
#include <plexus/kernels/gemm.hpp>

namespace plexus::inline PLEXUS_ABI::kernels {

template <layout L, class T, class Epilogue>
struct direct_products {
  matrix_view<const T> a;
  matrix_view<const T> b;
  Epilogue epilogue;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const int depth = L == layout::tn ? a.rows : a.cols;
    for (int col = group.rank(); col < epilogue.c.cols; col += group.size()) {
      float sum = 0;
      for (int k = 0; k < depth; ++k) {
        sum += static_cast<float>(L == layout::tn ? a(k, row) : a(row, k)) *
               static_cast<float>(L == layout::nt ? b(col, k) : b(k, col));
      }
      epilogue(row, col, sum);
    }
  }
};

template <layout L, class T, class Epilogue>
void direct_product(cudaStream_t stream, matrix_view<const T> a, matrix_view<const T> b,
                    const Epilogue& epilogue) {
  for_each_row(stream, epilogue.c.rows, direct_products<L, T, Epilogue>{a, b, epilogue});
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
