// multiply(): a product in a network's precision. In FP32 it is gemm() of gemm.hpp; operands of 16 bits, and
// FP32 rounded to TF32, are multiplied by tensor cores. Sums and epilogues are in FP32 everywhere.
#pragma once

#include <plexus/core/precision.hpp>
#include <plexus/kernels/tensor_gemm.hpp>
#include <plexus/linalg/gemm.hpp>

namespace plexus::inline PLEXUS_ABI {

// An epilogue in a pass of its own, after product(plain epilogue). A C of 16 bits has no room for the sums
// that the epilogue is to see: they go to a matrix of their own.
template <class Epilogue, class Product>
void pass_epilogue_after(context& context, const Epilogue& epilogue, const Product& product) {
  if constexpr (std::is_same_v<decltype(epilogue.c), matrix_view<float>>) {
    product(plain_epilogue<Epilogue>{epilogue.c});
    pass_epilogue(context, epilogue);
  } else {
    const int rows = epilogue.c.rows, cols = epilogue.c.cols;
    const std::size_t size = static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols);
    const auto sums = matrix(context.room_for_sums(size), rows, cols);
    product(store{sums});
    for_each_row(context.stream(), rows, epilogue_pass_over<Epilogue>{sums, epilogue});
  }
}

template <layout L, gemm_shape Known, class T, class Epilogue>
void launch_tensor_gemm(cudaStream_t stream, const gemm_choice& choice, matrix_view<const T> a,
                        matrix_view<const T> b, const Epilogue& epilogue) {
  using namespace kernels;
  if constexpr (is_worthwhile(tensor_gemm_tiles, gemm_tile::large, at_most(Known))) {
    if (choice.tile == gemm_tile::large)
      return launch_tensor_gemm<L, large_tensor_tile>(stream, a, b, epilogue, choice.slices);
  }
  launch_tensor_gemm<L, small_tensor_tile>(stream, a, b, epilogue, choice.slices);
}

// A product on tensor cores, or by the vendor.
template <layout L, gemm_shape Known, class T, class Epilogue>
void tensor_product(context& context, const gemm_shape& shape, matrix_view<const T> a, matrix_view<const T> b,
                    const Epilogue& epilogue, const gemm_choice& by) {
  const cudaStream_t stream = context.stream();
  if (by.way == gemm_way::vendor) {
    pass_epilogue_after(context, epilogue,
                        [&](const auto& plain) { vendor::mixed_gemm<L>(context, a, b, plain); });
  } else if constexpr (platform::on_cpu) {  // one kernel for all epilogues, as at gemm()
    pass_epilogue_after(context, epilogue, [&](const auto& plain) {
      kernels::launch_tensor_gemm<L, kernels::small_tensor_tile>(stream, a, b, plain);
    });
  } else {
    const gemm_choice choice = by.way == gemm_way::tile ? by
                                                        : choose_gemm(tensor_gemm_tiles, shape,
                                                                      context.device(), context.parts().size);
    constexpr bool may_slice = kernels::may_be_sliced(Known.k, shortest_gemm_slice);
    kernels::in_slices<may_slice>(context, choice.slices, shape.m, shape.n, epilogue, [&](const auto& into) {
      launch_tensor_gemm<L, Known>(stream, choice, a, b, into);
    });
  }
}

template <class T>
inline constexpr element_type tensor_type = element_type::tf32;
template <>
inline constexpr element_type tensor_type<__half> = element_type::fp16;
template <>
inline constexpr element_type tensor_type<__nv_bfloat16> = element_type::bf16;

// gemm() on tensor cores.
template <layout L, gemm_shape Known, class T, class Epilogue>
void tensor_gemm(context& context, matrix_view<const T> a, matrix_view<const T> b, const Epilogue& epilogue) {
  const gemm_shape shape = checked_shape(L, Known, shape_of(a), shape_of(b), shape_of(epilogue.c));
  if (shape.m == 0 || shape.n == 0) return;
  run_by_choice(context, {L, tensor_type<T>, shape}, [&](const gemm_choice& by) {
    if constexpr (may_be_by_loops(Known)) {
      if (by.way == gemm_way::loops) return kernels::direct_product<L>(context.stream(), a, b, epilogue);
    }
    tensor_product<L, Known>(context, shape, a, b, epilogue, by);
  });
}

// gemm() of matrices whose elements have 16 bits.
template <layout L, gemm_shape Known = any_shape, sixteen_bit_float T, class Epilogue>
void gemm(context& context, matrix_view<const T> a, matrix_view<const T> b, Epilogue epilogue) {
  tensor_gemm<L, Known>(context, a, b, epilogue);
}

// A product in the precision of a network, whose operands' elements are Precision::storage. Of a single row
// TF32 makes nothing quicker.
template <class Precision, layout L, gemm_shape Known, class Epilogue>
void multiply(context& context, matrix_view<const typename Precision::storage> a,
              matrix_view<const typename Precision::storage> b, const Epilogue& epilogue) {
  if constexpr (std::is_same_v<Precision, tf32> && !platform::on_cpu) {
    if (epilogue.c.rows > 1) return tensor_gemm<L, Known>(context, a, b, epilogue);
  }
  gemm<L, Known>(context, a, b, epilogue);
}

}  // namespace plexus::inline PLEXUS_ABI
