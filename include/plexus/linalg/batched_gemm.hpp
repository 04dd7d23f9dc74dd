// batched_gemm(): many products of the same shape at once, where each alone would leave most of a device
// idle.
#pragma once

#include <plexus/kernels/batched_gemm.hpp>
#include <plexus/linalg/multiply.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace plexus::inline PLEXUS_ABI {

// The sizes of each product; throws plexus::error where the stacks do not hold `count` matrices that fit.
inline gemm_shape checked_batch(layout l, int count, matrix_shape a, matrix_shape b, matrix_shape c) {
  constexpr const char* doing = "multiplying a batch of matrices";
  if (count < 0)
    throw error(doing, std::to_string(count) + " products are asked for", "give their number, 0 or more");
  if (count == 0) return {0, 0, 0};
  for (const auto& [name, stack] : {std::pair{"A", a}, std::pair{"B", b}, std::pair{"C", c}}) {
    if (stack.rows % count == 0) continue;
    throw error(doing,
                std::string(name) + "'s " + std::to_string(stack.rows) + " rows are not " +
                    std::to_string(count) + " matrices of equal height",
                "stack one matrix for each product, one below the other");
  }
  return checked_shape(l, any_shape, {a.rows / count, a.cols}, {b.rows / count, b.cols},
                       {c.rows / count, c.cols});
}

template <layout L, class Epilogue>
void batched_tiled_gemm(const context& context, int count, [[maybe_unused]] const gemm_shape& shape,
                        matrix_view<const float> a, matrix_view<const float> b, const Epilogue& epilogue) {
  if constexpr (platform::on_cpu) {
    kernels::launch_batched_gemm<L, kernels::small_gemm_tile>(context.stream(), count, a, b, epilogue);
  } else {
    const gemm_tile tile = choose_batched_tile(gemm_tiles, count, shape, context.device());
    with_gemm_tile<any_shape>(tile, [&]<class Tile>() {
      kernels::launch_batched_gemm<L, Tile>(context.stream(), count, a, b, epilogue);
    });
  }
}

// On tensor cores.
template <layout L, sixteen_bit_float T, class Epilogue>
void batched_tiled_gemm(const context& context, int count, [[maybe_unused]] const gemm_shape& shape,
                        matrix_view<const T> a, matrix_view<const T> b, const Epilogue& epilogue) {
  using namespace kernels;
  if constexpr (!platform::on_cpu) {
    if (choose_batched_tile(tensor_gemm_tiles, count, shape, context.device()) == gemm_tile::large)
      return launch_batched_tensor_gemm<L, large_tensor_tile>(context.stream(), count, a, b, epilogue);
  }
  launch_batched_tensor_gemm<L, small_tensor_tile>(context.stream(), count, a, b, epilogue);
}

template <layout L, class T, class Epilogue>
void batched_product(context& context, int count, matrix_view<const T> a, matrix_view<const T> b,
                     const Epilogue& epilogue) {
  const gemm_shape shape = checked_batch(L, count, shape_of(a), shape_of(b), shape_of(epilogue.c));
  if (count == 0 || shape.m == 0 || shape.n == 0) return;
  const gemm_policy policy = context.policy() == gemm_policy::tuned ? default_gemm_policy : context.policy();
  if (shape.multiplications() <= direct_multiplications(policy))
    return kernels::batched_direct_product<L>(context.stream(), count, a, b, epilogue);
  if (policy == gemm_policy::vendor) {
    return pass_epilogue_after(
        context, epilogue, [&](const auto& plain) { vendor::batched_gemm<L>(context, count, a, b, plain); });
  }
  if constexpr (platform::on_cpu) {  // one kernel for all epilogues, as at gemm()
    pass_epilogue_after(context, epilogue, [&](const auto& plain) {
      batched_tiled_gemm<L>(context, count, shape, a, b, plain);
    });
  } else {
    batched_tiled_gemm<L>(context, count, shape, a, b, epilogue);
  }
}

// C_i = epilogue of A_i·B_iᵀ, A_i·B_i or A_iᵀ·B_i for i = 0 … count − 1; shapes at `layout`. Each operand is
// a stack: a matrix of the rows of all its `count` matrices, one matrix below the other. The epilogue counts
// the rows of all of C. By the context's policy: the vendor's BLAS, or of products of a few multiplications
// each element by a loop, or tiles as the table picks them; tune() does not measure it, and
// gemm_policy::tuned is the default one here. The order of the sums is fixed: same call, same device, same
// bits. Throws plexus::error where the stacks do not fit.
template <layout L, class Epilogue>
void batched_gemm(context& context, int count, matrix_view<const float> a, matrix_view<const float> b,
                  Epilogue epilogue) {
  batched_product<L>(context, count, a, b, epilogue);
}

// The same on tensor cores.
template <layout L, sixteen_bit_float T, class Epilogue>
void batched_gemm(context& context, int count, matrix_view<const T> a, matrix_view<const T> b,
                  Epilogue epilogue) {
  batched_product<L>(context, count, a, b, epilogue);
}

}  // namespace plexus::inline PLEXUS_ABI
