// Convolution of images (a cross-correlation, as the field calls it so: filters are not flipped):
// z(o, y, x) = b(o) + Σ w(o, c, r, s)·x(c, y·stride − padding + r·dilation, …), A = σ(Z); x (n, C, H, W),
// w (out, C / groups, kernel), z (n, out, oh, ow).
#pragma once

#include <plexus/core/for_each.hpp>
#include <plexus/kernels/channel_sums.hpp>
#include <plexus/layers/layer.hpp>
#include <plexus/layers/window.hpp>
#include <plexus/linalg/convolve.hpp>

#include <type_traits>

namespace plexus::inline PLEXUS_ABI {

// Out filters of Kernel, a number or extent2d{height, width}. Options, in any order: stride, padding or same,
// dilation, groups, no_bias.
template <int Out, extent2d Kernel, class Activation = identity, class... Options>
struct conv2d {
  static_assert(Out > 0 && Kernel.height > 0 && Kernel.width > 0,
                "plexus::conv2d: there is at least one filter, of at least one pixel");
  static_assert(
      activation<Activation>,
      "plexus::conv2d: an activation has float operator()(float) const and float derivative(float) const");
  static_assert((detail::is_window_option<Options> && ...),
                "plexus::conv2d: options are stride, padding, same, valid, dilation, groups and no_bias");

 private:
  static constexpr detail::window_options options = detail::window_options_of<Options...>(1);
  static_assert(options.are_given_once(),
                "plexus::conv2d: each option is given at most once; same and valid are paddings");
  static_assert(options.are_positive(),
                "plexus::conv2d: stride, dilation and groups are at least 1, padding at least 0");
  static_assert(!options.is_same || options.stride == extent2d(1),
                "plexus::conv2d: same goes with a stride of 1");
  static_assert(options.dilation.height * Kernel.height <= 32767 &&
                    options.dilation.width * Kernel.width <= 32767,
                "plexus::conv2d: a filter reaches over at most 32,767 pixels");
  static_assert(Out % options.groups == 0, "plexus::conv2d: the filters are a multiple of the groups");

  template <class InputShape>
  static constexpr convolution_shape shape_over{
      options.fitting_over(image_traits<InputShape>::extent, Kernel), image_traits<InputShape>::channels, Out,
      options.groups};
  template <class InputShape>
  using output_over =
      shape<Out, shape_over<InputShape>.output().height, shape_over<InputShape>.output().width>;

 public:
  using expected = images_at_least<options.dilation.height*(Kernel.height - 1) + 1,
                                   options.dilation.width*(Kernel.width - 1) + 1, options.groups>;
  template <class InputShape>
  static constexpr bool accepts = image_traits<InputShape>::is_image&& image_traits<InputShape>::channels %
                                          options.groups ==
                                      0 &&
                                  options.over(image_traits<InputShape>::extent, Kernel).fits();

  template <class InputShape>
  struct layer : basic_layer<InputShape, output_over<InputShape>, Activation> {
    static constexpr convolution_shape of = shape_over<InputShape>;
    static constexpr int pixels = of.output().area();

    static constexpr const char* name = "conv2d";
    static constexpr std::size_t multiply_adds = std::size_t{Out} * pixels * of.depth();
    static constexpr bool has_bias = options.has_bias;
    static constexpr auto parameters = [] {
      // What one output sees, and how many outputs see one input, as PyTorch counts them.
      constexpr fan size{of.depth(), Out * Kernel.area()};
      std::array<parameter_spec, has_bias ? 2 : 1> specs{};
      specs[0] = {"weight", {Out, of.group_channels(), Kernel.height, Kernel.width}, size, true};
      if constexpr (has_bias) specs[1] = {"bias", {Out}, size, false};
      return specs;
    }();

    template <class Precision, class Output>
    static void forward(context& on, const layer_parameters<Precision>& w,
                        matrix_view<const typename Precision::storage> x,
                        const basic_layer_memory<Output, typename Precision::storage>& out) {
      // The bias is one a channel, and not one a column of the outputs: convolve() adds it.
      compute_activated<Activation>(out, no_bias_term{}, [&](const auto& epilogue) {
        const auto filters = w.matrix(Out, of.depth());
        if constexpr (has_bias) {
          convolve<of, Precision>(on, x, filters.data, filters.ld, w.arena + bias_offset, epilogue);
        } else {
          convolve<of, Precision>(on, x, filters.data, filters.ld, no_bias_term{}, epilogue);
        }
      });
    }

    // The same four equations as dense: BP4, BP3 and BP2, with sums over the pixels that share a weight.
    template <class Precision, class InputDelta>
    static void backward(context& on, const layer_parameters<Precision>& w, float* dw,
                         matrix_view<const typename Precision::storage> x,
                         matrix_view<const typename Precision::storage> delta, const layer_pass&,
                         const InputDelta& dx) {
      if (dw != nullptr) {
        filter_gradient<of, Precision>(on, delta, x, dw);
        if constexpr (has_bias) {
          sum_channels<Out, pixels>(on, delta.rows, kernels::pixel_terms<typename Precision::storage>{delta},
                                    store{plexus::matrix(dw + bias_offset, 1, Out)});
        }
      }
      compute_input_delta(dx, [&](const auto& epilogue) {
        const auto filters = w.matrix(Out, of.depth());
        convolve_back<of, Precision>(on, delta, filters.data, filters.ld, epilogue);
      });
    }

   private:
    static constexpr std::size_t bias_offset = padded(static_cast<std::size_t>(Out) * of.depth());
  };
};

}  // namespace plexus::inline PLEXUS_ABI
