// A product too small for tiles: each element a loop of its own.
#pragma once

#include <plexus/core/for_each.hpp>
#include <plexus/kernels/gemm.hpp>

namespace plexus::inline PLEXUS_ABI::kernels {

// Row `row` of a product, which the epilogue counts as row `row_of_c`.
template <layout L, class Group, class T, class Epilogue>
PLEXUS_FN void direct_row(Group group, const matrix_view<const T>& a, const matrix_view<const T>& b, int row,
                          int row_of_c, const Epilogue& epilogue) {
  const int depth = L == layout::tn ? a.rows : a.cols;
  for (int col = group.rank(); col < epilogue.c.cols; col += group.size()) {
    float sum = 0;
    for (int k = 0; k < depth; ++k) {
      sum += static_cast<float>(L == layout::tn ? a(k, row) : a(row, k)) *
             static_cast<float>(L == layout::nt ? b(col, k) : b(k, col));
    }
    epilogue(row_of_c, col, sum);
  }
}

template <layout L, class T, class Epilogue>
struct direct_products {
  matrix_view<const T> a;
  matrix_view<const T> b;
  Epilogue epilogue;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    direct_row<L>(group, a, b, row, row, epilogue);
  }
};

template <layout L, class T, class Epilogue>
void direct_product(cudaStream_t stream, matrix_view<const T> a, matrix_view<const T> b,
                    const Epilogue& epilogue) {
  for_each_row(stream, epilogue.c.rows, direct_products<L, T, Epilogue>{a, b, epilogue});
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
