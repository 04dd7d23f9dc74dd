// What activation maximisation does to its images at each step: ascent, and the four priors of J. Yosinski,
// J. Clune, A. Nguyen, T. Fuchs, H. Lipson, "Understanding neural networks through deep visualization", 2015
// (arXiv 1506.06579), section 3. Images (n, channels · pixels) are in FP32; a group of threads takes one.
#pragma once

#include <plexus/core/extent.hpp>
#include <plexus/core/for_each.hpp>
#include <plexus/core/view.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace plexus::inline PLEXUS_ABI::kernels {

// x ← (1 − decay)(x + rate · g / rms(g)), within [lowest, highest]: with the gradient's length taken out, a
// rate fits any network and any unit. Squares of a small or large g have no place in FP32. NaN stays what it
// is.
struct ascend {
  matrix_view<float> x;
  matrix_view<const float> g;
  float rate, decay, lowest, highest;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int image) const {
    double squares = 0;
    for (int i = group.rank(); i < x.cols; i += group.size())
      squares += in_double(image, i) * in_double(image, i);
    squares = group.sum(squares);
    const double scale = squares == 0 ? 0 : static_cast<double>(rate) / sqrt(squares / x.cols);
    for (int i = group.rank(); i < x.cols; i += group.size()) {
      const auto step = static_cast<float>(scale * in_double(image, i));
      const float moved = (1 - decay) * (x(image, i) + step);
      x(image, i) = moved < lowest ? lowest : moved > highest ? highest : moved;
    }
  }

 private:
  PLEXUS_FN double in_double(int image, int i) const { return static_cast<double>(g(image, i)); }
};

// One direction of a Gaussian blur, with weights e^(exponent · distance²). Beyond the edge there is nothing,
// and the other weights count the more.
struct blur {
  const float* from;
  float* to;
  extent2d extent;
  bool is_vertical;
  int reach;
  float exponent;

  PLEXUS_FN void operator()(std::size_t i) const {
    const int row_length = extent.width;
    const int pixel = static_cast<int>(i % static_cast<std::size_t>(extent.area()));
    const int at = is_vertical ? pixel / row_length : pixel % row_length;
    const int last = (is_vertical ? extent.height : extent.width) - 1;
    const std::ptrdiff_t step = is_vertical ? row_length : 1;
    float sum = 0, total = 0;
    for (int d = -reach; d <= reach; ++d) {
      if (at + d < 0 || at + d > last) continue;
      const float weight = expf(exponent * static_cast<float>(d * d));
      sum += weight * from[static_cast<std::ptrdiff_t>(i) + d * step];
      total += weight;
    }
    to[i] = sum / total;
  }
};

// How much a pixel counts: its norm over the channels (squared, which leaves the order as it is) …
struct pixel_norm {
  matrix_view<const float> x;
  int channels;

  PLEXUS_FN float operator()(int image, int pixel) const {
    const int pixels = x.cols / channels;
    float sum = 0;
    for (int c = 0; c < channels; ++c) sum += x(image, c * pixels + pixel) * x(image, c * pixels + pixel);
    return sum;
  }
};

// … or what it contributes to the activation, to first order: |Σ x g| over the channels.
struct pixel_contribution {
  matrix_view<const float> x, g;
  int channels;

  PLEXUS_FN float operator()(int image, int pixel) const {
    const int pixels = x.cols / channels;
    float sum = 0;
    for (int c = 0; c < channels; ++c) sum += x(image, c * pixels + pixel) * g(image, c * pixels + pixel);
    return fabsf(sum);
  }
};

// Pixels that count nothing become zero, and of the others the share that counts least: fewer of them where
// several count the same. Where nothing counts, nothing changes.
template <class Measure>
struct clip_pixels {
  matrix_view<float> x;
  Measure measure;
  int channels;
  float share;  // in [0, 1)

  template <class Group>
  PLEXUS_FN void operator()(Group group, int image) const {
    const int pixels = x.cols / channels;
    const auto clipped =
        static_cast<int>(share * static_cast<float>(number_below(group, image, pixels, infinity())));
    const float least_kept = largest_with(group, image, pixels, clipped);
    for (int pixel = group.rank(); pixel < pixels; pixel += group.size()) {
      if (!(measure(image, pixel) < least_kept)) continue;
      for (int c = 0; c < channels; ++c) x(image, c * pixels + pixel) = 0;
    }
  }

 private:
  // The largest value that at most `count` pixels that count are below: bit by bit, since numbers that are
  // not negative are in the order of their bits.
  template <class Group>
  PLEXUS_FN float largest_with(Group group, int image, int pixels, int count) const {
    std::uint32_t value = 0;
    for (std::uint32_t bit = 1u << 30; bit != 0; bit >>= 1) {
      if (number_below(group, image, pixels, float_of(value | bit)) <= count) value |= bit;
    }
    return float_of(value);
  }

  // How many pixels that count are below a value.
  template <class Group>
  PLEXUS_FN int number_below(Group group, int image, int pixels, float value) const {
    int count = 0;
    for (int pixel = group.rank(); pixel < pixels; pixel += group.size()) {
      const float one = measure(image, pixel);
      count += one > 0 && one < value ? 1 : 0;
    }
    return group.sum(count);
  }

  PLEXUS_FN static float infinity() { return float_of(0x7f800000u); }

  PLEXUS_FN static float float_of(std::uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
  }
};

}  // namespace plexus::inline PLEXUS_ABI::kernels
