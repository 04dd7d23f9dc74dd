// gemm(): the product that layers call. It picks the kernel, or the vendor's BLAS, for a shape.
#pragma once

#include <plexus/kernels/direct_product.hpp>
#include <plexus/kernels/gemm.hpp>
#include <plexus/kernels/gemv.hpp>
#include <plexus/kernels/reduction.hpp>
#include <plexus/kernels/skinny_gemm.hpp>
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

[[noreturn]] inline void throw_unknown_shape(const gemm_shape& known, const gemm_shape& shape) {
  const auto text = [](const gemm_shape& x) {
    const auto extent = [](int size) { return size == any_extent ? "any" : std::to_string(size); };
    return extent(x.m) + " x " + extent(x.n) + " x " + extent(x.k);
  };
  throw error("multiplying matrices",
              "the product is " + text(shape) + " and was compiled for " + text(known) + " (m x n x k)",
              "give matrices of these sizes, or leave the sizes open");
}

// The sizes of a product; throws plexus::error naming all shapes when they do not fit together, or are not
// the known ones.
inline gemm_shape checked_shape(layout l, const gemm_shape& known, matrix_shape a, matrix_shape b,
                                matrix_shape c) {
  const gemm_shape shape{l == layout::tn ? a.cols : a.rows, l == layout::nt ? b.rows : b.cols,
                         l == layout::tn ? a.rows : a.cols};
  const int depth_of_b = l == layout::nt ? b.cols : b.rows;
  if (shape.k != depth_of_b || shape.m != c.rows || shape.n != c.cols) throw_gemm_mismatch(l, a, b, c);
  if (!may_be(known.m, shape.m) || !may_be(known.n, shape.n) || !may_be(known.k, shape.k))
    throw_unknown_shape(known, shape);
  return shape;
}

// launch.operator()<Tile>(), Tile being the chosen one of those that a product of such sizes may choose.
template <gemm_shape Known, class Launch>
void with_gemm_tile(gemm_tile tile, const Launch& launch) {
  bool launched = false;
  const auto launch_if_chosen = [&]<gemm_tile Name, class Tile>() {
    if constexpr (is_worthwhile(gemm_tiles, Name, at_most(Known))) {
      if (tile != Name) return;
      launch.template operator()<Tile>();
      launched = true;
    }
  };
  launch_if_chosen.template operator()<gemm_tile::wide, kernels::wide_gemm_tile>();
  launch_if_chosen.template operator()<gemm_tile::large, kernels::large_gemm_tile>();
  launch_if_chosen.template operator()<gemm_tile::medium, kernels::medium_gemm_tile>();
  launch_if_chosen.template operator()<gemm_tile::small, kernels::small_gemm_tile>();
  launch_if_chosen.template operator()<gemm_tile::tall, kernels::tall_gemm_tile>();
  launch_if_chosen.template operator()<gemm_tile::flat, kernels::flat_gemm_tile>();
  require(launched, "launching a GEMM",
          "the chosen tile is none of those that were compiled for such a product",
          "choose one of gemm_candidates()");
}

template <layout L, gemm_shape Known, class Epilogue>
void tiled_gemm(const context& context, const gemm_choice& choice, const gemm_shape& shape,
                matrix_view<const float> a, matrix_view<const float> b, const Epilogue& epilogue) {
  constexpr bool may_slice = kernels::may_be_sliced(Known.k, shortest_gemm_slice);
  kernels::in_slices<may_slice>(context, choice.slices, shape.m, shape.n, epilogue, [&](const auto& into) {
    with_gemm_tile<Known>(choice.tile, [&]<class Tile>() {
      kernels::launch_gemm<L, Tile>(context.stream(), a, b, into, choice.slices);
    });
  });
}

// C(1,n) = x(1,k)·W(n,k)ᵀ
template <int KnownDepth, class Epilogue>
void sliced_gemv(const context& context, matrix_view<const float> x, matrix_view<const float> w,
                 const Epilogue& epilogue) {
  constexpr bool may_slice = kernels::may_be_sliced(KnownDepth, kernels::shortest_gemv_slice);
  const int slices = may_slice ? kernels::gemv_slices(context, w.rows, w.cols) : 1;
  kernels::in_slices<may_slice>(context, slices, 1, w.rows, epilogue, [&](const auto& into) {
    kernels::gemv<KnownDepth>(context.stream(), x, w, into, slices);
  });
}

// C(m,n) = X·W(k,n), m being small; X is (m,k), or (k,m).
template <bool DepthIsContiguous, int KnownDepth, class Epilogue>
void sliced_skinny_gemm(const context& context, matrix_view<const float> x, matrix_view<const float> w,
                        const Epilogue& epilogue) {
  constexpr bool may_slice = kernels::may_be_sliced(KnownDepth, kernels::shortest_row_slice);
  const int rows = DepthIsContiguous ? x.rows : x.cols;
  const int slices = may_slice ? kernels::skinny_slices(context, rows, w.cols, w.rows) : 1;
  kernels::in_slices<may_slice>(context, slices, rows, w.cols, epilogue, [&](const auto& into) {
    kernels::skinny_by_columns<DepthIsContiguous>(context.stream(), x, w, into, slices);
  });
}

// Computes a product of few rows or few columns, and says whether it is one. Left to the tiles are A·B of few
// columns (along k, in which A is contiguous, B is not) and A·Bᵀ whose few sums are so long that they are to
// be cut into slices.
template <layout L, gemm_shape Known, class Epilogue>
bool skinny_gemm(const context& context, const gemm_shape& shape, matrix_view<const float> a,
                 matrix_view<const float> b, const Epilogue& epilogue) {
  using kernels::is_skinny;
  const kernels::transposed_epilogue<Epilogue> transposed{epilogue};
  const auto is_one_pass = [&](int long_rows) {
    return kernels::gemv_slices(context, long_rows, shape.k) == 1;
  };
  if constexpr (L == layout::nt && is_skinny(at_least(Known.m), at_most(Known.k))) {
    if (is_skinny(shape.m, shape.k) && is_one_pass(shape.n))
      return kernels::skinny_by_rows(context.stream(), a, b, epilogue), true;
  }
  if constexpr (L == layout::nt && is_skinny(at_least(Known.n), at_most(Known.k))) {
    if (is_skinny(shape.n, shape.k) && is_one_pass(shape.m))
      return kernels::skinny_by_rows(context.stream(), b, a, transposed), true;
  }
  if constexpr (L != layout::nt && is_skinny(at_least(Known.m), at_most(Known.n))) {
    if (is_skinny(shape.m, shape.n))
      return sliced_skinny_gemm<L == layout::nn, Known.k>(context, a, b, epilogue), true;
  }
  if constexpr (L == layout::tn && is_skinny(at_least(Known.n), at_most(Known.m))) {
    if (is_skinny(shape.n, shape.m))
      return sliced_skinny_gemm<false, Known.k>(context, b, a, transposed), true;
  }
  return false;
}

// By the kernels of this library, each for its shapes. To a CPU the tile does not matter, so that one kernel
// is compiled.
template <layout L, gemm_shape Known, class Epilogue>
void native_gemm(const context& context, const gemm_shape& shape, matrix_view<const float> a,
                 matrix_view<const float> b, const Epilogue& epilogue) {
  if constexpr (L == layout::nt && may_be(Known.m, 1)) {
    if (shape.m == 1) return sliced_gemv<Known.k>(context, a, b, epilogue);
  }
  if constexpr (L == layout::nt && may_be(Known.n, 1)) {
    if (shape.n == 1)
      return sliced_gemv<Known.k>(context, b, a, kernels::transposed_epilogue<Epilogue>{epilogue});
  }
  if constexpr (L != layout::nt && may_be(Known.m, 1)) {
    if (shape.m == 1) {
      constexpr bool may_slice = kernels::may_be_sliced(Known.k, kernels::shortest_row_slice);
      const int slices = may_slice ? kernels::row_slices(context, shape.k, shape.n) : 1;
      return kernels::in_slices<may_slice>(context, slices, 1, shape.n, epilogue, [&](const auto& into) {
        kernels::combine_rows(context.stream(), b, kernels::as_vector(a), into, slices);
      });
    }
  }
  if constexpr (platform::on_cpu) {
    kernels::launch_gemm<L, kernels::small_gemm_tile>(context.stream(), a, b, epilogue);
  } else {
    if (skinny_gemm<L, Known>(context, shape, a, b, epilogue)) return;
    const gemm_choice choice = choose_gemm(gemm_tiles, shape, context.device(), context.parts().size);
    tiled_gemm<L, Known>(context, choice, shape, a, b, epilogue);
  }
}

// C(i, j) = epilogue of the product's element (i, j), C being epilogue.c. The product is A·Bᵀ, A·B or Aᵀ·B;
// shapes at `layout`. k = 0 makes every element 0. The order of C's sums is fixed: same call, same device,
// same bits. Sizes that are Known when the call is compiled make it compile the fewer kernels.
template <layout L, gemm_shape Known = any_shape, class Epilogue>
void gemm(context& context, matrix_view<const float> a, matrix_view<const float> b, Epilogue epilogue) {
  const gemm_shape shape = checked_shape(L, Known, shape_of(a), shape_of(b), shape_of(epilogue.c));
  if (shape.m == 0 || shape.n == 0) return;
  run_by_choice(context, {L, element_type::fp32, shape}, [&](const gemm_choice& by) {
    if constexpr (may_be_by_loops(Known)) {
      if (by.way == gemm_way::loops) return kernels::direct_product<L>(context.stream(), a, b, epilogue);
    }
    if (by.way == gemm_way::vendor) return vendor::gemm<L>(context, a, b, epilogue);
    if constexpr (L != layout::nt && may_be(Known.k, 1)) {
      if (by.way == gemm_way::native && shape.k == 1)
        return kernels::outer_product(context.stream(), kernels::as_vector(a), b.data, epilogue);
    }
    if constexpr (platform::on_cpu) {
      // C is still in the caches when the epilogue passes over it, and no kernel need be compiled for each
      // epilogue.
      native_gemm<L, Known>(context, shape, a, b, plain_epilogue<Epilogue>{epilogue.c});
      pass_epilogue(context, epilogue);
    } else if (by.way == gemm_way::tile) {
      tiled_gemm<L, Known>(context, by, shape, a, b, epilogue);
    } else {
      native_gemm<L, Known>(context, shape, a, b, epilogue);
    }
  });
}

}  // namespace plexus::inline PLEXUS_ABI
