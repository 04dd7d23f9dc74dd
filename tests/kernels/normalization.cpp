// Normalisation against its formulas in double: by the functions of the layers, which on a CPU give a row to
// one thread, and by warps and blocks, as a GPU shares it.
#include "device_matrix.hpp"
#include "support/by_warps.hpp"
#include "support/catch.hpp"
#include "support/worst.hpp"

#include <plexus/core/precision.hpp>
#include <plexus/kernels/channel_sums.hpp>
#include <plexus/kernels/normalization.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace {

using namespace plexus::kernel_test;
namespace kernels = plexus::kernels;

enum class path { layers, warps, blocks };

constexpr float epsilon = 1e-5f;

template <class T>
double number(T value) {
  return static_cast<double>(static_cast<float>(value));
}

// The worst error in units of the magnitude of what a result is the sum or the difference of.
struct worst_error {
  double worst = 0;
  void operator()(float found, double expected, double magnitude) {
    worst = support::worse(worst, std::abs(number(found) - expected) / (magnitude + 1e-30));
  }
};

// A few roundings of FP32.
constexpr double tolerance = 1e-6;

// What is normalised together, in double. at(i) and slope(i) are its values and their δ, of factors gamma(i).
struct reference {
  double count = 0, mean = 0, variance = 0, scale = 0, size = 0;  // size: of what x̂ is the difference of
  double mean_slope = 0, mean_product = 0, slope_size = 0, product_size = 0;

  template <class At>
  reference(int values, const At& at) : count(values) {
    for (int i = 0; i < values; ++i) mean += at(i) / count;
    double largest = 0;
    for (int i = 0; i < values; ++i) {
      variance += (at(i) - mean) * (at(i) - mean) / count;
      largest = std::max(largest, std::abs(at(i)));
    }
    scale = 1 / std::sqrt(variance + static_cast<double>(epsilon));
    size = (largest + std::abs(mean)) * scale;
  }

  // The means of g and of g·x̂, which backward subtracts.
  template <class At, class Slope>
  void differentiate(const At& at, const Slope& slope) {
    for (int i = 0; i < static_cast<int>(count); ++i) {
      mean_slope += slope(i) / count;
      mean_product += slope(i) * normalized(at(i)) / count;
      slope_size += std::abs(slope(i)) / count;
    }
    product_size = slope_size * size;
  }
  // The square of how far the mean is rounded adds to the variance.
  double variance_size() const { return variance + tolerance * std::pow(size / scale, 2); }
  double scale_size() const { return scale * (1 + tolerance * size * size); }

  double normalized(double x) const { return scale * (x - mean); }
  double backward(double x, double slope) const {
    return scale * (slope - mean_slope - normalized(x) * mean_product);
  }
  double backward_size(double x, double slope) const {
    return scale * (std::abs(slope) + slope_size + size * std::abs(mean_product) +
                    std::abs(normalized(x)) * product_size);
  }
};

// ---- By channels, as batch_norm puts the kernels together

template <class T, int Channels, int Pixels>
struct channels_problem {
  static constexpr int size = Channels * Pixels;

  plexus::context on;
  path way;
  device_matrix_of<T> x, delta;
  device_matrix gamma, beta;

  channels_problem(generator& random, path by, int samples, float offset)
      : way(by),
        x(device_matrix_of<T>::random(random, samples, size, {5, 1}, offset)),
        delta(device_matrix_of<T>::random(random, samples, size, {3, 2})),
        gamma(device_matrix::random(random, 1, Channels, {})),
        beta(device_matrix::random(random, 1, Channels, {})) {}

  template <class Terms, class Epilogue>
  void sum(const Terms& terms, const Epilogue& epilogue) {
    if (way == path::layers) {
      plexus::sum_channels<Channels, Pixels>(on, x.rows(), terms, epilogue);
    } else if constexpr (Pixels == 1) {
      kernels::sum_rows(on.stream(), kernels::column_terms<Terms>{terms, x.rows(), Channels}, epilogue);
    } else {
      plexus::for_each_row_by_block(
          on.stream(), Channels, kernels::channel_sums<Pixels, Terms, Epilogue>{terms, x.rows(), epilogue});
    }
  }

  template <class Function>
  void for_each_value(const Function& function) {
    const int rows = kernels::rows_of_values<Channels, Pixels>(x.rows());
    if (way == path::layers) {
      plexus::for_each_row(on.stream(), rows, function);
    } else {
      support::by_warps(on.stream(), rows, function);
    }
  }

  reference channel(int c) const {
    reference of(x.rows() * Pixels, [&](int i) { return value(x, c, i); });
    of.differentiate([&](int i) { return value(x, c, i); }, [&](int i) { return value(delta, c, i); });
    return of;
  }
  // Value i of the channel.
  static double value(const device_matrix_of<T>& matrix, int c, int i) {
    return number(matrix(i / Pixels, c * Pixels + i % Pixels));
  }

  void check() {
    CAPTURE(Channels, Pixels, x.rows(), static_cast<int>(way), sizeof(T));
    const auto row = [] { return device_matrix(1, Channels, {}); };
    const auto matrix = [&] { return device_matrix(x.rows(), size, {1, 3}); };
    device_matrix mean = row(), variance = row(), dgamma = row(), dbeta = row(), y = matrix(), dx = matrix(),
                  dx_of_constants = matrix();
    const float share = 1 / static_cast<float>(x.rows() * Pixels);
    float *const m = mean.view().data, *const v = variance.view().data, *const factor = gamma.view().data;
    const kernels::moments of{m, v, epsilon};
    sum(kernels::pixel_terms<T>{x.view()}, kernels::store_scaled{m, share});
    sum(kernels::squared_deviations<T>{x.view(), m}, kernels::store_scaled{v, share});
    for_each_value(kernels::normalize_channels<Channels, Pixels, T, plexus::store>{
        x.view(), of, factor, beta.view().data, {y.view()}});
    sum(kernels::deviation_products<T>{delta.view(), x.view(), m},
        kernels::store_divided_by_deviation{dgamma.view().data, of});
    sum(kernels::pixel_terms<T>{delta.view()}, kernels::store_scaled{dbeta.view().data, 1});
    for_each_value(kernels::batch_normalized_backward<Channels, Pixels, T, plexus::store>{
        delta.view(), x.view(), of, factor, dgamma.view().data, dbeta.view().data, share, {dx.view()}});
    for_each_value(kernels::normalized_backward<Channels, Pixels, T, plexus::store>{
        delta.view(), of, factor, {dx_of_constants.view()}});
    for (device_matrix* result : {&mean, &variance, &dgamma, &dbeta, &y, &dx, &dx_of_constants}) {
      result->download(on.stream());
      REQUIRE(result->guards_intact());
    }

    worst_error worst;
    for (int c = 0; c < Channels; ++c) {
      const reference right = channel(c);
      const double g = number(gamma(0, c)), b = number(beta(0, c));
      worst(mean(0, c), right.mean, right.size / right.scale);
      worst(variance(0, c), right.variance, right.variance_size());
      worst(dgamma(0, c), right.count * right.mean_product, right.count * right.product_size);
      worst(dbeta(0, c), right.count * right.mean_slope, right.count * right.slope_size);
      for (int i = 0; i < x.rows() * Pixels; ++i) {
        const int sample = i / Pixels, place = c * Pixels + i % Pixels;
        const double a = value(x, c, i), slope = value(delta, c, i);
        worst(y(sample, place), g * right.normalized(a) + b, std::abs(g) * right.size + std::abs(b));
        worst(dx(sample, place), g * right.backward(a, slope), std::abs(g) * right.backward_size(a, slope));
        worst(dx_of_constants(sample, place), g * right.scale * slope, std::abs(g) * right.scale_size());
      }
    }
    CHECK(worst.worst <= tolerance);
  }
};

template <class T, int Channels, int Pixels>
void check_channels(generator& random, float offset = 0) {
  for (const path way : {path::layers, path::warps}) {
    for (const int samples : {1, 5, 33, 300})
      channels_problem<T, Channels, Pixels>(random, way, samples, offset).check();
  }
}

// ---- By samples, as layer_norm puts the kernels together

template <class T>
struct samples_problem {
  plexus::context on;
  path way;
  device_matrix_of<T> x, delta;
  device_matrix gamma, beta;

  samples_problem(generator& random, path by, int samples, int width, float offset)
      : way(by),
        x(device_matrix_of<T>::random(random, samples, width, {5, 1}, offset)),
        delta(device_matrix_of<T>::random(random, samples, width, {3, 2})),
        gamma(device_matrix::random(random, 1, width, {})),
        beta(device_matrix::random(random, 1, width, {})) {}

  template <class Function>
  void for_each_sample(const Function& function) {
    switch (way) {
      case path::layers:
        return plexus::for_each_row(on.stream(), x.rows(), function);
      case path::warps:
        return support::by_warps(on.stream(), x.rows(), function);
      case path::blocks:
        return plexus::for_each_row_by_block(on.stream(), x.rows(), function);
    }
  }

  void check() {
    CAPTURE(x.rows(), x.cols(), static_cast<int>(way), sizeof(T));
    const auto matrix = [&] { return device_matrix(x.rows(), x.cols(), {1, 3}); };
    device_matrix mean(1, x.rows(), {}), scale(1, x.rows(), {}), dgamma(1, x.cols(), {}),
        y = matrix(), unkept = matrix(), dx = matrix();
    const kernels::sample_moments of{mean.view().data, scale.view().data};
    const auto normalize = [&](const kernels::sample_moments& kept, const device_matrix& to) {
      for_each_sample(kernels::normalize_sample<T, plexus::store>{
          x.view(), kept, epsilon, gamma.view().data, beta.view().data, {to.view()}});
    };
    normalize(of, y);
    normalize({nullptr, nullptr}, unkept);
    for_each_sample(kernels::normalized_sample_backward<T, plexus::store>{
        delta.view(), x.view(), of, gamma.view().data, {dx.view()}});
    plexus::sum_columns(on, kernels::normalized_products<T>{delta.view(), x.view(), of},
                        plexus::store{dgamma.view()});
    for (device_matrix* result : {&mean, &scale, &dgamma, &y, &unkept, &dx}) {
      result->download(on.stream());
      REQUIRE(result->guards_intact());
    }
    REQUIRE(bits(y) == bits(unkept));

    worst_error worst;
    std::vector<double> products(static_cast<std::size_t>(x.cols())), sizes(products.size());
    for (int sample = 0; sample < x.rows(); ++sample) {
      const auto at = [&](int i) { return number(x(sample, i)); };
      const auto slope = [&](int i) { return number(gamma(0, i)) * number(delta(sample, i)); };
      reference right(x.cols(), at);
      right.differentiate(at, slope);
      worst(mean(0, sample), right.mean, right.size / right.scale);
      worst(scale(0, sample), right.scale, right.scale_size());
      for (int i = 0; i < x.cols(); ++i) {
        const double g = number(gamma(0, i)), b = number(beta(0, i));
        worst(y(sample, i), g * right.normalized(at(i)) + b, std::abs(g) * right.size + std::abs(b));
        worst(dx(sample, i), right.backward(at(i), slope(i)), right.backward_size(at(i), slope(i)));
        products[static_cast<std::size_t>(i)] += number(delta(sample, i)) * right.normalized(at(i));
        sizes[static_cast<std::size_t>(i)] += std::abs(number(delta(sample, i))) * right.size;
      }
    }
    for (int i = 0; i < x.cols(); ++i)
      worst(dgamma(0, i), products[static_cast<std::size_t>(i)], sizes[static_cast<std::size_t>(i)]);
    CHECK(worst.worst <= tolerance);
  }
};

}  // namespace

TEST_CASE(
    "normalisation by channels: few and many pixels and channels, one of each, no multiples of a warp") {
  generator random(1);
  check_channels<float, 1, 1>(random);
  check_channels<float, 37, 1>(random);
  check_channels<float, 1, 40>(random);
  check_channels<float, 70, 2>(random);
  check_channels<float, 5, 7>(random);
  check_channels<float, 3, 64>(random);
  check_channels<float, 2, 601>(random);
}

TEST_CASE("normalisation by channels: values that are large against their spread") {
  generator random(2);
  check_channels<float, 5, 1>(random, 1e4f);
  check_channels<float, 2, 50>(random, -1e4f);
}

TEMPLATE_TEST_CASE("normalisation by channels: of values in 16 bits", "", plexus::mixed<plexus::fp16>,
                   plexus::mixed<plexus::bf16>) {
  generator random(3);
  check_channels<typename TestType::storage, 9, 1>(random);
  check_channels<typename TestType::storage, 3, 35>(random);
}

TEMPLATE_TEST_CASE("normalisation by samples: every width and group", "", plexus::fp32,
                   plexus::mixed<plexus::fp16>, plexus::mixed<plexus::bf16>) {
  generator random(4);
  for (const path way : {path::layers, path::warps, path::blocks}) {
    for (const int samples : {1, 13}) {
      for (const int width : {1, 2, 31, 32, 33, 255, 257, 1500})
        samples_problem<typename TestType::storage>(random, way, samples, width, 0).check();
    }
  }
}

TEST_CASE("normalisation by samples: values that are large against their spread") {
  generator random(5);
  for (const path way : {path::layers, path::warps, path::blocks})
    samples_problem<float>(random, way, 7, 300, 1e4f).check();
}

TEST_CASE("normalisation by samples: more samples than a grid has blocks in y", "[slow]") {
  generator random(6);
  for (const path way : {path::layers, path::warps}) samples_problem<float>(random, way, 65600, 3, 0).check();
}

TEST_CASE("running moments follow those of batches by their share, the variance unbiased") {
  const plexus::context on;
  const std::vector<float> running_mean{1, -2, 0}, running_variance{4, 1, 0.5f}, mean{3, 5, 0},
      variance{2, 1, 0};
  const auto follow = [&](int skipped) {
    const plexus::buffer<float> to_mean = plexus::to_device(on.stream(), running_mean),
                                to_variance = plexus::to_device(on.stream(), running_variance),
                                from_mean = plexus::to_device(on.stream(), mean),
                                from_variance = plexus::to_device(on.stream(), variance);
    const plexus::buffer<int> skip = plexus::to_device(on.stream(), std::vector<int>{skipped});
    plexus::for_each(on.stream(), 3,
                     kernels::follow_moments{to_mean.data(), to_variance.data(), from_mean.data(),
                                             from_variance.data(), 0.25f, 1.5f, skip.data()});
    return std::array{plexus::to_host(on.stream(), to_mean.view()),
                      plexus::to_host(on.stream(), to_variance.view())};
  };
  CHECK(follow(0) ==
        std::array{std::vector<float>{1.5f, -0.25f, 0}, std::vector<float>{3.75f, 1.125f, 0.375f}});
  CHECK(follow(1) == std::array{running_mean, running_variance});
}
