// Local response normalisation against its formula in double: by the layer's functions, which on a CPU give a
// thread a whole tile, and by warps.
#include "device_matrix.hpp"
#include "support/by_warps.hpp"
#include "support/catch.hpp"
#include "support/worst.hpp"

#include <plexus/activations/tanh.hpp>
#include <plexus/layers/local_response_norm.hpp>

#include <array>
#include <cmath>

namespace {

using namespace plexus::kernel_test;
namespace kernels = plexus::kernels;

template <class Precision>
using storage = typename Precision::storage;

// One sample's formula, with the magnitude of what a result is the difference of.
struct reference {
  int channels, pixels, size;
  double alpha, beta, k;

  template <class X>
  double denominator(const X& x, int c, int pixel) const {
    double sum = 0;
    for (int j = c - size / 2; j <= c + (size - 1) / 2; ++j) {
      if (j >= 0 && j < channels) sum += x(j, pixel) * x(j, pixel);
    }
    return k + alpha / size * sum;
  }
  template <class X>
  double forward(const X& x, int c, int pixel) const {
    return x(c, pixel) * std::pow(denominator(x, c, pixel), -beta);
  }
  // Σ δ_j · ∂y_j / ∂x_c, of all channels j.
  template <class X, class Delta>
  std::array<double, 2> backward(const X& x, const Delta& delta, int c, int pixel) const {
    double sum = 0, magnitude = 0;
    for (int j = 0; j < channels; ++j) {
      const double d = denominator(x, j, pixel);
      const bool reaches = c >= j - size / 2 && c <= j + (size - 1) / 2;
      double slope = j == c ? std::pow(d, -beta) : 0;
      if (reaches) slope -= 2 * alpha / size * beta * x(c, pixel) * x(j, pixel) * std::pow(d, -beta - 1);
      sum += delta(j, pixel) * slope;
      magnitude += std::abs(delta(j, pixel) * slope);
    }
    return {sum, magnitude};
  }
};

template <class T>
auto image_of(const device_matrix_of<T>& x, int sample, int pixels) {
  return [&x, sample, pixels](int c, int pixel) {
    return static_cast<double>(static_cast<float>(x(sample, c * pixels + pixel)));
  };
}

enum class path { layer, warps };

template <class Precision, class Image, int Size, plexus::lrn Constants>
struct problem {
  using T = storage<Precision>;
  using input = typename Image::input_shape;
  using traits = plexus::image_traits<input>;
  using layer = typename plexus::local_response_norm<Size, Constants>::template layer<input>;
  static constexpr int pixels = traits::extent.area(), before = Size / 2, after = (Size - 1) / 2;
  static constexpr kernels::response_norm of{traits::channels, pixels, Constants.alpha / Size, Constants.beta,
                                             Constants.k};
  static constexpr reference right{traits::channels,
                                   pixels,
                                   Size,
                                   static_cast<double>(Constants.alpha),
                                   static_cast<double>(Constants.beta),
                                   static_cast<double>(Constants.k)};

  plexus::context on;
  device_matrix_of<T> x, delta;

  problem(generator& random, int samples, placement where)
      : x(device_matrix_of<T>::random(random, samples, input::size, where)),
        delta(device_matrix_of<T>::random(random, samples, input::size, where)) {}

  template <class Out>
  device_matrix_of<Out> forward(path way) {
    device_matrix_of<Out> y(x.rows(), x.cols(), {3, 1});
    if (way == path::layer) {
      layer::template forward<Precision>(on, {}, x.view(), plexus::basic_layer_memory<Out, T>{y.view(), {}});
    } else {
      support::by_warps(on.stream(), x.rows() * of.tiles_of_sample(),
                        kernels::response_norm_forward<before, after, T, Out>{of, x.view(), y.view()});
    }
    y.download(on.stream());
    REQUIRE(y.guards_intact());
    return y;
  }

  // The layer before is taken to be one of tanh, whose outputs are x.
  device_matrix backward(path way) {
    using derivative = plexus::activation_derivative<plexus::tanh, T>;
    device_matrix dx(x.rows(), x.cols(), {1, 2});
    if (way == path::layer) {
      layer::template backward<Precision>(
          on, {}, nullptr, x.view(), delta.view(), {},
          plexus::input_delta<derivative>{dx.view(), derivative{x.view(), {}}});
    } else {
      const plexus::times_derivative epilogue{dx.view(), derivative{x.view(), {}}};
      support::by_warps(
          on.stream(), x.rows() * of.tiles_of_sample(),
          kernels::response_norm_backward<before, after, T, plexus::times_derivative<derivative>>{
              of, x.view(), delta.view(), epilogue});
    }
    dx.download(on.stream());
    REQUIRE(dx.guards_intact());
    return dx;
  }

  void check(path way) {
    CAPTURE(traits::channels, pixels, Size, x.rows(), static_cast<int>(way));
    const auto y = forward<float>(way);
    const auto stored = forward<T>(way);
    const device_matrix dx = backward(way);
    double worst = 0;
    bool rounds_once = true;
    for (int n = 0; n < x.rows(); ++n) {
      const auto image = image_of(x, n, pixels), slopes = image_of(delta, n, pixels);
      for (int c = 0; c < traits::channels; ++c) {
        for (int pixel = 0; pixel < pixels; ++pixel) {
          const int place = c * pixels + pixel;
          const double expected = right.forward(image, c, pixel), a = image(c, pixel);
          const auto [slope, magnitude] = right.backward(image, slopes, c, pixel);
          const auto error = [](float found, double wanted, double size) {
            return std::abs(static_cast<double>(found) - wanted) / std::max(size, 1e-30);
          };
          worst = support::worse(worst, error(y(n, place), expected, std::abs(expected)));
          worst = support::worse(worst, error(dx(n, place), slope * (1 - a * a), magnitude));
          rounds_once &= static_cast<float>(stored(n, place)) == static_cast<float>(T(y(n, place)));
        }
      }
    }
    CHECK(worst <= 1e-5);
    CHECK(rounds_once);
  }
};

// For no samples, one and some.
template <class Precision, class Image, int Size, plexus::lrn Constants>
void check(generator& random) {
  for (const int samples : {0, 1, 3}) {
    for (const path way : {path::layer, path::warps}) {
      problem<Precision, Image, Size, Constants>(random, samples, {5, 1}).check(way);
    }
  }
}

}  // namespace

TEMPLATE_TEST_CASE("local response normalisation: every window, tile and precision", "", plexus::fp32,
                   plexus::mixed<plexus::fp16>, plexus::mixed<plexus::bf16>) {
  using plexus::image, plexus::lrn;
  generator random(17);
  check<TestType, image<1, 1, 1>, 5, lrn{.alpha = 2}>(random);
  check<TestType, image<6, 3, 11>, 1, lrn{.alpha = 1, .k = 0.5f}>(random);
  check<TestType, image<5, 8, 4>, 2, lrn{.alpha = 3, .beta = 0.5f}>(random);
  check<TestType, image<33, 1, 5>, 4, lrn{.alpha = 4, .beta = 1.25f, .k = 2}>(random);
  check<TestType, image<3, 2, 2>, 9, lrn{.alpha = 9}>(random);
  check<TestType, image<66, 5, 13>, 5, lrn{.alpha = 5, .k = 2}>(random);
}
