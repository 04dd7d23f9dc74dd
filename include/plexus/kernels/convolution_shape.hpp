// The sizes of windows that walk over images: of convolutions and of pooling.
#pragma once

#include <plexus/core/extent.hpp>

namespace plexus::inline PLEXUS_ABI {

// The positions of a window that begins `padding` before an image and walks by `stride` to at most
// `padding_after` behind it, its taps being `dilation` apart. 0 or less where it does not fit.
struct window_shape {
  extent2d image, window;
  extent2d stride = 1, dilation = 1, padding = 0, padding_after = 0;

  PLEXUS_FN constexpr extent2d output() const {
    return {positions(image.height + padding.height + padding_after.height, window.height, stride.height,
                      dilation.height),
            positions(image.width + padding.width + padding_after.width, window.width, stride.width,
                      dilation.width)};
  }
  constexpr bool fits() const { return output().height > 0 && output().width > 0; }
  // Whether no window reaches over an edge, and whether besides no two of them overlap or leave gaps.
  PLEXUS_FN constexpr bool stays_inside() const {
    return padding == extent2d(0) && padding_after == extent2d(0);
  }
  PLEXUS_FN constexpr bool is_tiling() const {
    return stays_inside() && stride == window && dilation == extent2d(1);
  }

 private:
  PLEXUS_FN static constexpr int positions(int extent, int taps, int step, int distance) {
    const int reach = distance * (taps - 1) + 1;
    return extent < reach ? 0 : (extent - reach) / step + 1;
  }
};

// Filters (outputs, channels / groups, window) over images (channels, image). Group g of the outputs sees
// group g of the channels.
struct convolution_shape : window_shape {
  int channels = 1, outputs = 1, groups = 1;

  constexpr int group_channels() const { return channels / groups; }
  constexpr int group_outputs() const { return outputs / groups; }
  constexpr int depth() const { return group_channels() * window.area(); }  // weights of one output
};

namespace kernels {

// Whether 0 ≤ i < end, by one comparison.
PLEXUS_FN inline bool is_within(int i, int end) {
  return static_cast<unsigned>(i) < static_cast<unsigned>(end);
}

}  // namespace kernels
}  // namespace plexus::inline PLEXUS_ABI
