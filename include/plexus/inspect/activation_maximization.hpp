// Images that excite a chosen unit most: gradient ascent on a network's input, from random images and with an
// image prior, x ← r(x + η ∂a/∂x). J. Yosinski et al., "Understanding neural networks through deep
// visualization", 2015 (arXiv 1506.06579).
#pragma once

#include <plexus/core/buffer.hpp>
#include <plexus/core/initializers.hpp>
#include <plexus/core/random.hpp>
#include <plexus/kernels/image_prior.hpp>
#include <plexus/layers/shape.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace plexus::inline PLEXUS_ABI::inspect {

// ---- What is to be excited

// Outputs [first, first + count) of a layer, of which the mean counts.
struct output_range {
  int first, count;
};

inline void require_number(const char* what, int number, int count) {
  if (number >= 0 && number < count) return;
  throw error("choosing what to excite",
              "the layer has no " + std::string(what) + " " + std::to_string(number),
              "choose one from 0 to " + std::to_string(count - 1));
}

// One output: a dense layer's unit, or any value of an image by its number.
struct unit {
  int number;

  template <class Shape>
  output_range in() const {
    require_number("unit", number, Shape::size);
    return {number, 1};
  }
};

// All positions of a channel of a layer whose outputs are images.
struct channel {
  int number;

  template <class Shape>
  output_range in() const {
    using image = image_traits<Shape>;
    static_assert(image::is_image, "plexus::inspect::channel: the layer's outputs are no images");
    require_number("channel", number, image::channels);
    return {number * image::extent.area(), image::extent.area()};
  }
};

// One position of a channel, counted from the upper left.
struct position {
  int channel, row, column;

  template <class Shape>
  output_range in() const {
    const extent2d extent = image_traits<Shape>::extent;
    const output_range all = inspect::channel{channel}.in<Shape>();
    require_number("row", row, extent.height);
    require_number("column", column, extent.width);
    return {all.first + row * extent.width + column, 1};
  }
};

// ---- How

// The four priors. Each is left out where it is 0, and the blur where the inputs are no images.
struct image_prior {
  float decay = 1e-4f;  // L2: an image's values lose this share of themselves at each step
  float blur = 0.5f;    // standard deviation of a Gaussian, in pixels, at most 5 …
  int blur_every = 4;   // … which is applied after so many steps
  // Percent of the pixels that are not 0 already: those of the smallest norm become zero …
  float clip_norm = 0;
  // … and percent of those that contribute to the activation at all: those that do least, and all others.
  float clip_contribution = 0;

  void validate() const {
    constexpr const char* doing = "configuring an image prior";
    require(decay >= 0 && decay < 1, doing, "the decay is not in [0, 1)", "choose one such as 1e-4");
    require(blur >= 0 && blur <= 5 && blur_every > 0, doing,
            "the blur is not in [0, 5] or not after a positive number of steps", "choose 0.5 every 4 steps");
    for (const float percent : {clip_norm, clip_contribution})
      require(percent >= 0 && percent < 100, doing, "a share of clipped pixels is not in [0, 100) percent",
              "choose one such as 30, or 0 for none");
  }
};

struct maximization {
  int steps = 200;
  float rate = 0.05f;  // the root mean square of what a step adds to the values of an image
  image_prior prior = {};
  // Where the images stay, such as 0 and 1 for pixels that are so. It includes 0, to which the priors draw.
  float lowest = -std::numeric_limits<float>::infinity(), highest = std::numeric_limits<float>::infinity();
  int starts = 4;  // random images to begin with: normal, in that range
  float start_mean = 0, start_deviation = 0.1f;
  plexus::seed seed = {};

  void validate() const {
    constexpr const char* doing = "configuring activation maximisation";
    require(steps >= 0 && starts > 0, doing, "the steps are negative or there is no start",
            "choose at least 0 steps and 1 start");
    require(std::isfinite(rate) && rate > 0, doing, "the rate is not a positive number",
            "choose a rate such as 0.05");
    require(lowest <= 0 && highest >= 0 && lowest < highest, doing, "the range of values does not include 0",
            "normalise the inputs, or choose a range that does");
    require(std::isfinite(start_mean) && std::isfinite(start_deviation) && start_deviation >= 0, doing,
            "the starts' mean or deviation is not finite, or that is negative", "choose 0 and 0.1");
    prior.validate();
  }
};

struct excited_image {
  std::vector<float> values;  // (input_size)
  float activation;           // the unit's, of this image; a channel's is the mean of its positions
};

namespace ascent {

// The images of all starts, on the device, and what each step does to them.
class ascending_images {
 public:
  ascending_images(cudaStream_t stream, int count, int channels, extent2d extent, const maximization& how)
      : stream_(stream),
        how_(how),
        channels_(channels),
        extent_(extent),
        x_(size_of(count)),
        g_(x_.size()),
        blurred_(how.prior.blur > 0 ? x_.size() : 0),
        count_(count) {
    normal{how.start_mean, how.start_deviation}(stream, x_.view(), random_stream{how.seed.value, 0}, {});
    fill_zero(stream, g_.view());
    for_each_long_row(stream, count_, kernels::ascend{values(), gradient(), 1, 0, how.lowest, how.highest});
  }

  matrix_view<float> values() const { return matrix(x_.data(), count_, width()); }
  matrix_view<float> gradient() const { return matrix(g_.data(), count_, width()); }

  std::vector<float> to_host() const { return plexus::to_host(stream_, x_.view()); }

  // After step `number`'s gradient has been found.
  void step(int number) {
    const image_prior& prior = how_.prior;
    for_each_long_row(
        stream_, count_,
        kernels::ascend{values(), gradient(), how_.rate, prior.decay, how_.lowest, how_.highest});
    if (prior.blur > 0 && (number + 1) % prior.blur_every == 0) blur();
    clip(kernels::pixel_norm{values(), channels_}, prior.clip_norm);
    clip(kernels::pixel_contribution{values(), gradient(), channels_}, prior.clip_contribution);
  }

 private:
  int width() const { return channels_ * extent_.area(); }
  std::size_t size_of(int count) const {
    return static_cast<std::size_t>(count) * static_cast<std::size_t>(width());
  }

  void blur() {
    const float deviation = how_.prior.blur;
    kernels::blur pass{x_.data(),
                       blurred_.data(),
                       extent_,
                       false,
                       static_cast<int>(std::ceil(3 * deviation)),
                       -1 / (2 * deviation * deviation)};
    for_each(stream_, x_.size(), pass);
    pass.from = blurred_.data();
    pass.to = x_.data();
    pass.is_vertical = true;
    for_each(stream_, x_.size(), pass);
  }

  template <class Measure>
  void clip(const Measure& measure, float percent) {
    if (percent == 0) return;
    for_each_long_row(stream_, count_,
                      kernels::clip_pixels<Measure>{values(), measure, channels_, percent / 100});
  }

  cudaStream_t stream_;
  const maximization& how_;
  int channels_;
  extent2d extent_;
  buffer<float> x_, g_, blurred_;
  int count_;
};

inline float mean_of(const float* values, int count) {
  double sum = 0;
  for (int i = 0; i < count; ++i) sum += static_cast<double>(values[i]);
  return static_cast<float>(sum / count);
}

}  // namespace ascent

// maximize_activation<L>(net, unit{7}): images that excite the unit, channel or position of layer L, from
// how.starts random images; the most exciting one first. What is climbed is the sum z before the layer's
// activation, which rises with it, but has a gradient where a rectifier has none. Of a channel that is the
// mean of z, while the mean of its activations is what the images are told and sorted by: where positions are
// off, the one may rise and the other fall. Take a `position` where that matters.
template <std::size_t L, class Network, class Target>
std::vector<excited_image> maximize_activation(Network& net, const Target& target, maximization how = {}) {
  using input = image_traits<typename Network::template layer_type<0>::input_shape>;
  using output = typename Network::template layer_type<L>::output_shape;
  how.validate();
  if (!input::is_image) how.prior.blur = 0;
  const output_range wanted = target.template in<output>();
  constexpr extent2d extent = input::is_image ? input::extent : extent2d(1, Network::input_size);
  ascent::ascending_images images(net.stream(), how.starts, input::channels, extent, how);

  std::vector<float> one(static_cast<std::size_t>(output::size));
  std::fill_n(one.begin() + wanted.first, wanted.count, 1.0f);  // a step does not depend on the length
  std::vector<float> all;
  for (int i = 0; i < how.starts; ++i) all.insert(all.end(), one.begin(), one.end());
  const buffer<float> dz = to_device(net.stream(), all);

  for (int step = 0; step < how.steps; ++step) {
    net.template input_gradient<L>(images.values(), matrix<const float>(dz.data(), how.starts, output::size),
                                   images.gradient());
    images.step(step);
  }

  const std::vector<float> x = images.to_host();
  const std::vector<float> activations = net.template activations<L>(x);
  const auto is_finite = [](float value) { return std::isfinite(value); };
  require(
      std::all_of(x.begin(), x.end(), is_finite) &&
          std::all_of(activations.begin(), activations.end(), is_finite),
      "maximising an activation", "an image or what it excites is no longer finite",
      "choose a lower rate, a range of values or a stronger decay, or look for weights that are not finite");
  std::vector<excited_image> result;
  for (int i = 0; i < how.starts; ++i) {
    const float activation =
        ascent::mean_of(activations.data() + i * output::size + wanted.first, wanted.count);
    const auto begin = x.begin() + std::ptrdiff_t{i} * Network::input_size;
    result.push_back({{begin, begin + Network::input_size}, activation});
  }
  std::stable_sort(result.begin(), result.end(), [](const excited_image& a, const excited_image& b) {
    return a.activation > b.activation;
  });
  return result;
}

}  // namespace plexus::inline PLEXUS_ABI::inspect
