// What is said of a window that walks over images, in any order behind a layer's other arguments:
// conv2d<16, 3, relu, stride<2>, padding<1>>.
#pragma once

#include <plexus/kernels/convolution_shape.hpp>
#include <plexus/layers/bias.hpp>

#include <algorithm>
#include <array>

namespace plexus::inline PLEXUS_ABI {

// From one position to the next.
template <int Height, int Width = Height>
struct stride {};

// So many zeros before and behind each row and column; max_pool leaves them out of account.
template <int Height, int Width = Height>
struct padding {};

// No padding: what is not said.
using valid = padding<0>;

// As much padding as makes the output as large as the image; an odd number's larger half lies behind it, as
// PyTorch has it.
struct same {};

// From one tap of the window to the next.
template <int Height, int Width = Height>
struct dilation {};

// Channels and outputs are cut into so many groups, each of which sees its own channels alone.
template <int Count>
struct groups {};

namespace detail {

struct window_options {
  extent2d stride = 1, padding = 0, dilation = 1;
  int groups = 1;
  bool is_same = false, has_bias = true;

  // How often each kind was given: a second one would overwrite the first one in silence.
  enum kind { strides, paddings, dilations, group_counts, biases };
  std::array<int, biases + 1> given{};

  template <int H, int W>
  constexpr void set(plexus::stride<H, W>) {
    stride = {H, W};
    ++given[strides];
  }
  template <int H, int W>
  constexpr void set(plexus::padding<H, W>) {
    padding = {H, W};
    ++given[paddings];
  }
  template <int H, int W>
  constexpr void set(plexus::dilation<H, W>) {
    dilation = {H, W};
    ++given[dilations];
  }
  template <int Count>
  constexpr void set(plexus::groups<Count>) {
    groups = Count;
    ++given[group_counts];
  }
  constexpr void set(same) {
    is_same = true;
    ++given[paddings];
  }
  constexpr void set(with_bias) { ++given[biases]; }
  constexpr void set(no_bias) {
    has_bias = false;
    ++given[biases];
  }

  constexpr bool are_given_once() const { return *std::max_element(given.begin(), given.end()) <= 1; }
  constexpr bool are_positive() const {
    return stride.height > 0 && stride.width > 0 && dilation.height > 0 && dilation.width > 0 &&
           padding.height >= 0 && padding.width >= 0 && groups > 0;
  }

  constexpr window_shape over(extent2d image, extent2d window) const {
    window_shape result{image, window, stride, dilation, padding, padding};
    if (is_same) {
      const extent2d all{dilation.height * (window.height - 1), dilation.width * (window.width - 1)};
      result.padding = {all.height / 2, all.width / 2};
      result.padding_after = {all.height - all.height / 2, all.width - all.width / 2};
    }
    return result;
  }

  // The same for a layer's type. A window that does not fit is refused by name; nothing else shall be said of
  // it, so here it is given an image that it fits into.
  constexpr window_shape fitting_over(extent2d image, extent2d window) const {
    const window_shape result = over(image, window);
    if (result.fits()) return result;
    return over({dilation.height * window.height, dilation.width * window.width}, window);
  }
};

template <class Option>
inline constexpr bool is_window_option = requires(window_options options) {
  options.set(Option{});
};

template <class Option>
inline constexpr bool is_pool_option = false;
template <int H, int W>
inline constexpr bool is_pool_option<stride<H, W>> = true;
template <int H, int W>
inline constexpr bool is_pool_option<padding<H, W>> = true;

template <class... Options>
constexpr window_options window_options_of(extent2d default_stride) {
  window_options result;
  result.stride = default_stride;
  (result.set(Options{}), ...);
  return result;
}

}  // namespace detail

}  // namespace plexus::inline PLEXUS_ABI
