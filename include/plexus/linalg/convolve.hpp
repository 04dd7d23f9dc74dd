// Convolutions as layers call them: forward, the gradient of the images and that of the filters. Formulas at
// kernels/convolution.hpp. They pick the tile, or on a CPU the BLAS.
#pragma once

#include <plexus/core/precision.hpp>
#include <plexus/kernels/direct_convolution.hpp>
#include <plexus/kernels/pointwise_convolution.hpp>
#include <plexus/kernels/tensor_convolution.hpp>
#include <plexus/linalg/gemm.hpp>
#include <plexus/linalg/lowered_convolution.hpp>

#include <limits>
#include <string>

namespace plexus::inline PLEXUS_ABI {

namespace detail {

// The pixels of all images are the columns of a product.
inline void require_countable_pixels(int samples, extent2d image) {
  const long long pixels = static_cast<long long>(samples) * image.area();
  constexpr int most = std::numeric_limits<int>::max() - 256;  // a block's last columns may lie beyond them
  if (pixels <= most) return;
  throw error("convolving images",
              std::to_string(samples) + " images of " + std::to_string(image.area()) +
                  " pixels are more than " + std::to_string(most),
              "give smaller batches or smaller images");
}

// launch.operator()<Tile>(), Tile being the chosen one of those that a product of such sizes may choose.
template <gemm_shape Known, class Launch>
void with_tensor_convolution_tile(gemm_tile tile, const Launch& launch) {
  if constexpr (is_worthwhile(tensor_convolution_tiles, gemm_tile::large, at_most(Known))) {
    if (tile == gemm_tile::large) return launch.template operator()<kernels::large_tensor_tile>();
  }
  if constexpr (is_worthwhile(tensor_convolution_tiles, gemm_tile::medium, at_most(Known))) {
    if (tile == gemm_tile::medium) return launch.template operator()<kernels::medium_tensor_tile>();
  }
  launch.template operator()<kernels::flat_tensor_tile>();
}

// A CPU, which has no TF32, multiplies it in FP32.
template <class Precision>
inline constexpr bool is_for_tensor_cores = sixteen_bit_float<typename Precision::storage> ||
                                            (std::is_same_v<Precision, tf32> && !platform::on_cpu);

// Whether a product without tiles takes fewer instructions (benchmarks/profile, conv-*), that is of how few
// outputs; its loops over them and over a window are unrolled.
template <class Precision>
inline constexpr int most_direct_outputs = is_for_tensor_cores<Precision> ? 8 : 16;
inline constexpr int most_unrolled = 512;

template <kernels::direct_walk Of, class Precision>
inline constexpr bool is_direct = Of.outputs <=
                                  most_direct_outputs<Precision>&& Of.outputs* Of.window.area() <=
                                  most_unrolled&& kernels::direct_arrangement<Of>::weights <= 4096;

// Every thread reads all deltas anew for each few of the taps.
template <convolution_shape Of, class Precision>
inline constexpr bool is_direct_gradient =
    Of.group_outputs() <= most_direct_outputs<Precision>&& Of.group_outputs() * Of.window.width <= 80 &&
    kernels::direct_gradient_arrangement<Of>::parts <= 8;

template <gemm_shape Known, class Precision, class Launch>
void with_convolution_tile(gemm_tile tile, const Launch& launch) {
  if constexpr (is_for_tensor_cores<Precision>) {
    with_tensor_convolution_tile<Known>(tile, launch);
  } else {
    with_gemm_tile<Known>(tile, launch);
  }
}

// With so many columns the choice no longer depends on how many, and each tile of a GEMM has room for them.
// Groups run at once, each on its share of the device.
template <class Precision>
gemm_choice choose_convolution(const context& context, gemm_shape of_group, int groups) {
  constexpr int many = 65535 * 32;
  of_group.n = std::min(of_group.n, many);
  device_traits device = context.device();
  device.multiprocessors = std::max(1, device.multiprocessors / groups);
  const std::size_t parts = context.parts().size / static_cast<std::size_t>(groups);
  if constexpr (is_for_tensor_cores<Precision>) {
    return choose_gemm(tensor_convolution_tiles, of_group, device, parts);
  } else {
    return choose_gemm(gemm_tiles, of_group, device, parts);
  }
}

// A convolution's product by the kernels of this library; the operands are those of its first group. `Known`
// is what is known of a group's product when this is compiled. To a CPU the tile does not matter.
template <gemm_shape Known, class Precision, class OperandA, class OperandB, class Epilogue>
void launch_convolution(const context& context, const OperandA& a, const OperandB& b, int groups,
                        const Epilogue& epilogue) {
  const auto launch = [&]<class Tile>(const auto& into, int slices) {
    if constexpr (is_for_tensor_cores<Precision>) {
      kernels::launch_tensor_convolution<Tile>(context.stream(), a, b, groups, into, slices);
    } else {
      kernels::launch_convolution<Tile>(context.stream(), a, b, groups, into, slices);
    }
  };
  if constexpr (platform::on_cpu) {
    using tile = std::conditional_t<is_for_tensor_cores<Precision>, kernels::flat_tensor_tile,
                                    kernels::small_gemm_tile>;
    launch.template operator()<tile>(epilogue, 1);
  } else {
    const gemm_choice choice =
        choose_convolution<Precision>(context, {a.extents, b.extents, a.depths}, groups);
    constexpr bool may_slice = kernels::may_be_sliced(Known.k, shortest_gemm_slice);
    kernels::in_slices<may_slice>(
        context, choice.slices, groups * a.extents, b.extents, epilogue, [&](const auto& into) {
          with_convolution_tile<Known, Precision>(
              choice.tile, [&]<class Tile>() { launch.template operator()<Tile>(into, choice.slices); });
        });
  }
}

// Whether images are matrices as they lie, with pixels enough for a tile's columns; to tensor cores they come
// in packets of 16 bytes, without which the loaders of convolutions take fewer instructions.
template <convolution_shape Of, class Precision>
inline constexpr bool is_pointwise = Of.window == extent2d(1) && Of.stride == extent2d(1) &&
                                     Of.stays_inside() && Of.groups == 1 && Of.image.area() >= 32 &&
                                     (!is_for_tensor_cores<Precision> ||
                                      Of.image.area() * sizeof(typename Precision::storage) % 16 == 0);

template <layout L, gemm_shape OfImage, class Precision, class Epilogue>
void launch_pointwise_convolution(const context& context,
                                  const kernels::pointwise_operands<typename Precision::storage>& operands,
                                  const Epilogue& epilogue) {
  using namespace kernels;
  const auto choose = [&](const auto& tiles) {
    return choose_batched_tile(tiles, operands.images.rows, OfImage, context.device());
  };
  if constexpr (is_for_tensor_cores<Precision>) {
    if constexpr (!platform::on_cpu && is_worthwhile(tensor_gemm_tiles, gemm_tile::large, OfImage)) {
      if (choose(tensor_gemm_tiles) == gemm_tile::large)
        return launch_pointwise_tensor_convolution<L, large_tensor_tile>(context.stream(), operands,
                                                                         epilogue);
    }
    launch_pointwise_tensor_convolution<L, small_tensor_tile>(context.stream(), operands, epilogue);
  } else if constexpr (platform::on_cpu) {
    kernels::launch_pointwise_convolution<L, small_gemm_tile>(context.stream(), operands, epilogue);
  } else {
    with_gemm_tile<OfImage>(choose(gemm_tiles), [&]<class Tile>() {
      kernels::launch_pointwise_convolution<L, Tile>(context.stream(), operands, epilogue);
    });
  }
}

}  // namespace detail

// epilogue(sample, feature, z + bias[output]) of all z (n, outputs · pixels) for images x (n, channels ·
// pixels) and filters w, one a row of `ld` elements. The bias is a const float* or no_bias_term.
template <convolution_shape Of, class Precision = fp32, class Bias, class Epilogue>
void convolve(context& context, matrix_view<const typename Precision::storage> x,
              const typename Precision::storage* w, int ld, Bias bias, const Epilogue& epilogue) {
  if (x.rows == 0) return;
  if constexpr (lowered_convolution::is_there) {
    if (context.policy() != gemm_policy::native)
      return lowered_convolution::forward<Of>(context.stream(), x, w, ld, bias, epilogue);
  }
  detail::require_countable_pixels(x.rows, Of.output());
  const kernels::filter_rows<typename Precision::storage> filters(w, ld, Of);
  const kernels::image_epilogue<Epilogue, Bias> into(epilogue, bias, Of.output().area());
  constexpr kernels::direct_walk walk = kernels::walk_forward(Of);
  if constexpr (detail::is_direct<walk, Precision>) {
    kernels::launch_direct_convolution<walk>(context.stream(), x, filters, Of.groups, into);
  } else if constexpr (detail::is_pointwise<Of, Precision>) {
    detail::launch_pointwise_convolution<layout::nn, gemm_shape{Of.outputs, Of.image.area(), Of.channels},
                                         Precision>(context, {filters.matrix(), x, Of.image.area()}, into);
  } else {
    detail::launch_convolution<gemm_shape{Of.group_outputs(), any_extent, Of.depth()}, Precision>(
        context, filters, kernels::taps_by_pixels(kernels::patches_of(x, Of)), Of.groups, into);
  }
}

// epilogue(sample, feature, dx) of all dx (n, channels · pixels) for delta (n, outputs · pixels).
template <convolution_shape Of, class Precision = fp32, class Epilogue>
void convolve_back(context& context, matrix_view<const typename Precision::storage> delta,
                   const typename Precision::storage* w, int ld, const Epilogue& epilogue) {
  if (delta.rows == 0) return;
  if constexpr (lowered_convolution::is_there) {
    if (context.policy() != gemm_policy::native)
      return lowered_convolution::back<Of>(context.stream(), delta, w, ld, epilogue);
  }
  detail::require_countable_pixels(delta.rows, Of.image);
  using T = typename Precision::storage;
  const kernels::filters_of_channels<T> filters(w, ld, Of);
  const kernels::image_epilogue<Epilogue, no_bias_term> into(epilogue, {}, Of.image.area());
  const auto launch_tiles = [&](const auto& deltas) {
    constexpr gemm_shape known{Of.group_channels(), any_extent, Of.group_outputs() * Of.window.area()};
    detail::launch_convolution<known, Precision>(context, filters, kernels::taps_by_pixels(deltas), Of.groups,
                                                 into);
  };
  constexpr kernels::direct_walk walk = kernels::walk_back(Of);
  if constexpr (Of.stride != extent2d(1)) {
    launch_tiles(kernels::strided_delta_reader<T>(delta, Of));
  } else if constexpr (detail::is_direct<walk, Precision>) {
    kernels::launch_direct_convolution<walk>(context.stream(), delta, filters, Of.groups, into);
  } else if constexpr (detail::is_pointwise<Of, Precision>) {
    detail::launch_pointwise_convolution<layout::tn, gemm_shape{Of.channels, Of.image.area(), Of.outputs},
                                         Precision>(
        context, {matrix_view<const T>{w, Of.outputs, Of.channels, ld}, delta, Of.image.area()}, into);
  } else {
    launch_tiles(kernels::received_deltas(delta, Of));
  }
}

// dw (outputs, channels / groups · window), of the images x and delta; zero of no images.
template <convolution_shape Of, class Precision = fp32>
void filter_gradient(context& context, matrix_view<const typename Precision::storage> delta,
                     matrix_view<const typename Precision::storage> x, float* dw) {
  require(delta.rows == x.rows, "computing the gradient of filters",
          "images and their gradients are not equally many", "give a row of each for every sample");
  if (x.rows == 0) {
    return fill_zero(context.stream(), view<float>{dw, static_cast<std::size_t>(Of.outputs) * Of.depth()});
  }
  if constexpr (lowered_convolution::is_there) {
    if (context.policy() != gemm_policy::native)
      return lowered_convolution::filter_gradient<Of>(context.stream(), delta, x, dw);
  }
  detail::require_countable_pixels(x.rows, Of.output());
  const store into{matrix(dw, Of.outputs, Of.depth())};
  if constexpr (detail::is_direct_gradient<Of, Precision>) {
    const int blocks = Of.groups * kernels::direct_gradient_arrangement<Of>::parts;
    const int slices = kernels::slices_to_fill(context, x.rows * Of.output().area(),
                                               static_cast<std::size_t>(Of.outputs) * Of.depth(), blocks, 4,
                                               kernels::shortest_direct_slice);
    kernels::in_slices(context, slices, Of.outputs, Of.depth(), into, [&](const auto& parts) {
      kernels::launch_direct_filter_gradient<Of>(context.stream(), delta, x, parts, slices);
    });
  } else {
    using T = typename Precision::storage;
    detail::launch_convolution<gemm_shape{Of.group_outputs(), Of.depth(), any_extent}, Precision>(
        context, kernels::delta_rows<T>(delta, Of), kernels::pixels_by_taps(kernels::patches_of(x, Of)),
        Of.groups, into);
  }
}

}  // namespace plexus::inline PLEXUS_ABI
