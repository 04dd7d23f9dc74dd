// gemm(): the product that layers call. It picks the kernel, or the vendor's BLAS, for a shape.
#pragma once

#include <plexus/kernels/direct_product.hpp>
#include <plexus/kernels/gemm.hpp>
#include <plexus/kernels/gemv.hpp>
#include <plexus/kernels/reduction.hpp>
#include <plexus/linalg/gemm_choices.hpp>
#include <plexus/linalg/vendor.hpp>

#include <string>

namespace plexus::inline PLEXUS_ABI {

struct matrix_shape {
  int rows, cols;
};
template <class T>
matrix_shape shape_of(matrix_view<T> x) {
  return {x.rows, x.cols};
}

[[noreturn]] inline void throw_gemm_mismatch(layout l, matrix_shape a, matrix_shape b, matrix_shape c) {
  const auto text = [](matrix_shape x) {
    return "(" + std::to_string(x.rows) + ", " + std::to_string(x.cols) + ")";
  };
  const std::string product = l == layout::nt ? "A·Bᵀ" : l == layout::nn ? "A·B" : "Aᵀ·B";
  throw error("multiplying matrices, C = " + product,
              "the shapes A " + text(a) + ", B " + text(b) + " and C " + text(c) + " do not fit",
              l == layout::nt   ? "give A (m, k), B (n, k) and C (m, n)"
              : l == layout::nn ? "give A (m, k), B (k, n) and C (m, n)"
                                : "give A (k, m), B (k, n) and C (m, n)");
}

// The sizes of a product; throws plexus::error naming all shapes when they do not fit together.
inline gemm_shape checked_shape(layout l, matrix_shape a, matrix_shape b, matrix_shape c) {
  const gemm_shape shape{l == layout::tn ? a.cols : a.rows, l == layout::nt ? b.rows : b.cols,
                         l == layout::tn ? a.rows : a.cols};
  const int depth_of_b = l == layout::nt ? b.cols : b.rows;
  if (shape.k != depth_of_b || shape.m != c.rows || shape.n != c.cols) throw_gemm_mismatch(l, a, b, c);
  return shape;
}

template <layout L, class Epilogue>
void launch_gemm(cudaStream_t stream, const gemm_choice& choice, matrix_view<const float> a,
                 matrix_view<const float> b, const Epilogue& epilogue) {
  using namespace kernels;
  switch (choice.tile) {
    case gemm_tile::wide:
      return launch_gemm<L, wide_gemm_tile>(stream, a, b, epilogue, choice.slices);
    case gemm_tile::large:
      return launch_gemm<L, large_gemm_tile>(stream, a, b, epilogue, choice.slices);
    case gemm_tile::medium:
      return launch_gemm<L, medium_gemm_tile>(stream, a, b, epilogue, choice.slices);
    case gemm_tile::small:
      return launch_gemm<L, small_gemm_tile>(stream, a, b, epilogue, choice.slices);
    case gemm_tile::tall:
      return launch_gemm<L, tall_gemm_tile>(stream, a, b, epilogue, choice.slices);
    case gemm_tile::flat:
      return launch_gemm<L, flat_gemm_tile>(stream, a, b, epilogue, choice.slices);
  }
}

template <layout L, class Epilogue>
void tiled_gemm(const context& context, const gemm_choice& choice, const gemm_shape& shape,
                matrix_view<const float> a, matrix_view<const float> b, const Epilogue& epilogue) {
  kernels::in_slices(context, choice.slices, shape.m, shape.n, epilogue,
                     [&](const auto& into) { launch_gemm<L>(context.stream(), choice, a, b, into); });
}

// By the kernels of this library, each for its shapes. To a CPU the tile does not matter, so that one kernel
// is compiled.
template <layout L, class Epilogue>
void native_gemm(const context& context, const gemm_shape& shape, matrix_view<const float> a,
                 matrix_view<const float> b, const Epilogue& epilogue) {
  const auto [m, n, k] = shape;
  const cudaStream_t stream = context.stream();
  if (L == layout::nt && m == 1) {
    const int slices = kernels::gemv_slices(context, n, k);
    kernels::in_slices(context, slices, 1, n, epilogue,
                       [&](const auto& into) { kernels::gemv(stream, a, b, into, slices); });
  } else if (L == layout::nt && n == 1) {
    const int slices = kernels::gemv_slices(context, m, k);
    kernels::in_slices(context, slices, 1, m, kernels::transposed_epilogue<Epilogue>{epilogue},
                       [&](const auto& into) { kernels::gemv(stream, b, a, into, slices); });
  } else if (L != layout::nt && m == 1) {
    const int slices = kernels::row_slices(context, k, n);
    kernels::in_slices(context, slices, 1, n, epilogue, [&](const auto& into) {
      kernels::combine_rows(stream, b, kernels::as_vector(a), into, slices);
    });
  } else if constexpr (platform::on_cpu) {
    kernels::launch_gemm<L, kernels::small_gemm_tile>(stream, a, b, epilogue);
  } else {
    tiled_gemm<L>(context, choose_gemm(gemm_tiles, shape, context.device(), context.parts().size), shape, a,
                  b, epilogue);
  }
}

// C(i, j) = epilogue of the product's element (i, j), C being epilogue.c. The product is A·Bᵀ, A·B or Aᵀ·B;
// shapes at `layout`. k = 0 makes every element 0. The order of C's sums is fixed: same call, same device,
// same bits.
template <layout L, class Epilogue>
void gemm(context& context, matrix_view<const float> a, matrix_view<const float> b, Epilogue epilogue) {
  const gemm_shape shape = checked_shape(L, shape_of(a), shape_of(b), shape_of(epilogue.c));
  if (shape.m == 0 || shape.n == 0) return;
  run_by_choice(context, {L, element_type::fp32, shape}, [&](const gemm_choice& by) {
    if (by.way == gemm_way::loops) {
      kernels::direct_product<L>(context.stream(), a, b, epilogue);
    } else if (by.way == gemm_way::vendor) {
      vendor::gemm<L>(context, a, b, epilogue);
    } else if (by.way == gemm_way::native && L != layout::nt && shape.k == 1) {
      kernels::outer_product(context.stream(), kernels::as_vector(a), b.data, epilogue);
    } else if constexpr (platform::on_cpu) {
      // C is still in the caches when the epilogue passes over it, and no kernel need be compiled for each
      // epilogue.
      native_gemm<L>(context, shape, a, b, plain_epilogue<Epilogue>{epilogue.c});
      pass_epilogue(context, epilogue);
    } else if (by.way == gemm_way::tile) {
      tiled_gemm<L>(context, by, shape, a, b, epilogue);
    } else {
      native_gemm<L>(context, shape, a, b, epilogue);
    }
  });
}

}  // namespace plexus::inline PLEXUS_ABI
