// Convolutions as layers call them: forward, the gradient of the images and that of the filters. Formulas at
// kernels/convolution.hpp. They pick the tile, or on a CPU the BLAS.
#pragma once

#include <plexus/kernels/convolution.hpp>
#include <plexus/linalg/gemm.hpp>
#include <plexus/linalg/lowered_convolution.hpp>

#include <limits>
#include <string>

namespace plexus::inline PLEXUS_ABI {

namespace detail {

// The pixels of all images, which are the columns of a product.
inline int all_pixels(int samples, extent2d image) {
  const long long pixels = static_cast<long long>(samples) * image.area();
  constexpr int most = std::numeric_limits<int>::max() - 256;  // a block's last columns may lie beyond them
  if (pixels > most) {
    throw error("convolving images",
                std::to_string(samples) + " images of " + std::to_string(image.area()) +
                    " pixels are more than " + std::to_string(most),
                "give smaller batches or smaller images");
  }
  return static_cast<int>(pixels);
}

// A convolution's product by the kernels of this library. `Known` is what is known of a group's product when
// this is compiled. To a CPU the tile does not matter.
template <gemm_shape Known, class OperandA, class OperandB, class Epilogue>
void launch_convolution(const context& context, const OperandA& a, const OperandB& b, const gemm_shape& shape,
                        int groups, const Epilogue& epilogue) {
  if constexpr (platform::on_cpu) {
    kernels::launch_convolution<kernels::small_gemm_tile>(context.stream(), a, b, shape, groups, epilogue);
  } else {
    // With so many columns the choice no longer depends on how many, and each tile of a GEMM has room for
    // them.
    constexpr int many = 65535 * 32;
    device_traits of_group = context.device();  // groups run at once, each on its share of the device
    of_group.multiprocessors = std::max(1, of_group.multiprocessors / groups);
    const gemm_choice choice = choose_gemm(gemm_tiles, {shape.m, std::min(shape.n, many), shape.k}, of_group,
                                           context.parts().size / static_cast<std::size_t>(groups));
    constexpr bool may_slice = kernels::may_be_sliced(Known.k, shortest_gemm_slice);
    kernels::in_slices<may_slice>(
        context, choice.slices, groups * shape.m, shape.n, epilogue, [&](const auto& into) {
          with_gemm_tile<Known>(choice.tile, [&]<class Tile>() {
            kernels::launch_convolution<Tile>(context.stream(), a, b, shape, groups, into, choice.slices);
          });
        });
  }
}

}  // namespace detail

// epilogue(sample, feature, z + bias[output]) of all z (n, outputs · pixels) for images x (n, channels ·
// pixels) and filters w, one a row of `ld` elements. The bias is a const float* or no_bias_term.
template <convolution_shape Of, class T, class Bias, class Epilogue>
void convolve(context& context, matrix_view<const T> x, const T* w, int ld, Bias bias,
              const Epilogue& epilogue) {
  if (x.rows == 0) return;
  if constexpr (lowered_convolution::is_there) {
    if (context.policy() != gemm_policy::native)
      return lowered_convolution::forward<Of>(context.stream(), x, w, ld, bias, epilogue);
  }
  constexpr int pixels = Of.output().area();
  const gemm_shape shape{Of.group_outputs(), detail::all_pixels(x.rows, Of.output()), Of.depth()};
  detail::launch_convolution<gemm_shape{Of.group_outputs(), any_extent, Of.depth()}>(
      context, kernels::filter_rows<T>{w, shape.m, ld},
      kernels::taps_by_pixels<kernels::patch_reader<T>>{{x, Of}, shape.n}, shape, Of.groups,
      kernels::image_epilogue<Epilogue, Bias>(epilogue, bias, pixels));
}

// epilogue(sample, feature, dx) of all dx (n, channels · pixels) for delta (n, outputs · pixels).
template <convolution_shape Of, class T, class Epilogue>
void convolve_back(context& context, matrix_view<const T> delta, const T* w, int ld,
                   const Epilogue& epilogue) {
  if (delta.rows == 0) return;
  if constexpr (lowered_convolution::is_there) {
    if (context.policy() != gemm_policy::native)
      return lowered_convolution::back<Of>(context.stream(), delta, w, ld, epilogue);
  }
  constexpr int pixels = Of.image.area(), depth = Of.group_outputs() * Of.window.area();
  const gemm_shape shape{Of.group_channels(), detail::all_pixels(delta.rows, Of.image), depth};
  detail::launch_convolution<gemm_shape{Of.group_channels(), any_extent, depth}>(
      context, kernels::filters_of_channels<T>(w, ld, Of),
      kernels::taps_by_pixels<kernels::delta_reader<T>>{{delta, Of}, shape.n}, shape, Of.groups,
      kernels::image_epilogue<Epilogue, no_bias_term>(epilogue, {}, pixels));
}

// dw (outputs, channels / groups · window), of the images x and delta; zero of no images.
template <convolution_shape Of, class T>
void filter_gradient(context& context, matrix_view<const T> delta, matrix_view<const T> x, float* dw) {
  require(delta.rows == x.rows, "computing the gradient of filters",
          "images and their gradients are not equally many", "give a row of each for every sample");
  if (x.rows == 0) {
    return fill_zero(context.stream(), view<float>{dw, static_cast<std::size_t>(Of.outputs) * Of.depth()});
  }
  if constexpr (lowered_convolution::is_there) {
    if (context.policy() != gemm_policy::native)
      return lowered_convolution::filter_gradient<Of>(context.stream(), delta, x, dw);
  }
  const gemm_shape shape{Of.group_outputs(), Of.depth(), detail::all_pixels(x.rows, Of.output())};
  detail::launch_convolution<gemm_shape{Of.group_outputs(), Of.depth(), any_extent}>(
      context, kernels::delta_rows<T>(delta, Of),
      kernels::pixels_by_taps<kernels::patch_reader<T>>{{x, Of}, shape.n}, shape, Of.groups,
      store{matrix(dw, Of.outputs, Of.depth())});
}

}  // namespace plexus::inline PLEXUS_ABI
