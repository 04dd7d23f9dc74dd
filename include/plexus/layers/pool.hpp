// Pooling of images: each output is the maximum or the mean of a window of its channel, (n, C, H, W) →
// (n, C, oh, ow). Nothing is learnt.
#pragma once

#include <plexus/core/for_each.hpp>
#include <plexus/kernels/epilogue.hpp>
#include <plexus/kernels/pooling.hpp>
#include <plexus/layers/layer.hpp>
#include <plexus/layers/window.hpp>

namespace plexus::inline PLEXUS_ABI {

namespace detail {

// A layer that pools by the kernels of Kind.
template <class Kind, class InputShape, window_shape Of>
struct pool_layer
    : basic_layer<InputShape,
                  shape<image_traits<InputShape>::channels, Of.output().height, Of.output().width>> {
  static constexpr int channels = image_traits<InputShape>::channels;
  static constexpr const char* name = Kind::name;
  static constexpr int kept_bytes = Kind::keeps_taps ? channels * Of.output().area() : 0;

  template <class Precision, class Output>
  static void forward(context& on, const layer_parameters<Precision>&,
                      matrix_view<const typename Precision::storage> x,
                      const basic_layer_memory<Output, typename Precision::storage>& out) {
    for_each_row(on.stream(), x.rows * channels,
                 Kind::template forward<Of, channels>(x, out.a, out.pass.kept));
  }

  template <class Precision, class InputDelta>
  static void backward(context& on, const layer_parameters<Precision>&, float*,
                       matrix_view<const typename Precision::storage>,
                       matrix_view<const typename Precision::storage> delta, const layer_pass& pass,
                       const InputDelta& dx) {
    compute_input_delta(dx, [&](const auto& epilogue) {
      for_each_row(on.stream(), delta.rows * channels,
                   Kind::template backward<Of, channels>(delta, pass.kept, epilogue));
    });
  }
};

struct pooling_by_maximum {
  static constexpr const char* name = "max_pool";
  static constexpr bool keeps_taps = true;
  template <window_shape Of, int Channels, class T, class Out>
  static auto forward(matrix_view<const T> x, matrix_view<Out> a, unsigned char* taps) {
    return kernels::max_pool_forward<Of, Channels, T, Out>{x, a, taps};
  }
  template <window_shape Of, int Channels, class T, class Epilogue>
  static auto backward(matrix_view<const T> delta, const unsigned char* taps, const Epilogue& dx) {
    using share = kernels::maximum_share<Channels, Of.output().area(), T>;
    return kernels::pool_backward<Of, Channels, share, Epilogue>{{delta, taps}, dx};
  }
};

struct pooling_by_mean {
  static constexpr const char* name = "average_pool";
  static constexpr bool keeps_taps = false;
  template <window_shape Of, int Channels, class T, class Out>
  static auto forward(matrix_view<const T> x, matrix_view<Out> a, unsigned char*) {
    return kernels::average_pool_forward<Of, Channels, T, Out>{x, a};
  }
  template <window_shape Of, int Channels, class T, class Epilogue>
  static auto backward(matrix_view<const T> delta, const unsigned char*, const Epilogue& dx) {
    using share = kernels::mean_share<Channels, Of.output().area(), Of.window.area(), T>;
    return kernels::pool_backward<Of, Channels, share, Epilogue>{{delta}, dx};
  }
};

// The window is the image.
struct pooling_by_mean_of_all {
  static constexpr const char* name = "global_average_pool";
  static constexpr bool keeps_taps = false;
  template <window_shape Of, int Channels, class T, class Out>
  static auto forward(matrix_view<const T> x, matrix_view<Out> a, unsigned char*) {
    return kernels::channel_means<Channels, Of.image.area(), T, Out>{x, a};
  }
  template <window_shape Of, int Channels, class T, class Epilogue>
  static auto backward(matrix_view<const T> delta, const unsigned char*, const Epilogue& dx) {
    return kernels::channel_mean_gradients<Channels, Of.image.area(), T, Epilogue>{delta, dx};
  }
};

template <class Kind, extent2d Window, class... Options>
struct pool {
  static_assert(Window.height > 0 && Window.width > 0 && Window.height <= 32767 && Window.width <= 32767,
                "plexus: a pool's window has 1 to 32,767 pixels each way");
  static_assert(!Kind::keeps_taps || Window.area() <= 256,
                "plexus::max_pool: a window has at most 256 pixels; two smaller pools give the same maximum");
  static_assert((is_pool_option<Options> && ...), "plexus: a pool's options are stride and padding");

 private:
  static constexpr window_options options = window_options_of<Options...>(Window);
  static_assert(options.are_given_once(), "plexus: a pool's stride and padding are each given at most once");
  static_assert(options.are_positive() && options.padding.height <= Window.height / 2 &&
                    options.padding.width <= Window.width / 2,
                "plexus: a pool's stride is at least 1, and its padding at most half its window");

 public:
  using expected = images_at_least<Window.height, Window.width, 1>;
  template <class InputShape>
  static constexpr bool accepts =
      image_traits<InputShape>::is_image&& options.over(image_traits<InputShape>::extent, Window).fits();
  template <class InputShape>
  using layer = pool_layer<Kind, InputShape, options.fitting_over(image_traits<InputShape>::extent, Window)>;
};

}  // namespace detail

// Window is a number or extent2d{height, width}; stride<…> is the window's extent unless it is given, and
// padding<…> is left out of account. What is kept for backward is which pixel of each window was its maximum,
// the first one of equal ones.
template <extent2d Window, class... Options>
struct max_pool : detail::pool<detail::pooling_by_maximum, Window, Options...> {};

// The same with means, in which padding counts as zeros.
template <extent2d Window, class... Options>
struct average_pool : detail::pool<detail::pooling_by_mean, Window, Options...> {};

// The mean of each channel: (n, C, H, W) → (n, C, 1, 1).
struct global_average_pool {
  using expected = images_at_least<1, 1, 1>;
  template <class InputShape>
  static constexpr bool accepts = image_traits<InputShape>::is_image;
  template <class InputShape>
  using layer =
      detail::pool_layer<detail::pooling_by_mean_of_all, InputShape,
                         window_shape{image_traits<InputShape>::extent, image_traits<InputShape>::extent}>;
};

}  // namespace plexus::inline PLEXUS_ABI
