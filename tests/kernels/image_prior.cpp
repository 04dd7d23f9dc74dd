// The kernels of activation maximisation against plain loops in double.
#include <plexus/core/buffer.hpp>
#include <plexus/core/context.hpp>
#include <plexus/kernels/image_prior.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace px = plexus;
namespace kernels = plexus::kernels;

namespace {

constexpr int count = 3, channels = 2, pixels = 7 * 5, width = channels * pixels;

struct batch {
  px::context on;
  std::vector<float> x = support::random_values(count * width), g = support::random_values(count * width, 8);
  px::buffer<float> x_there = px::to_device(on.stream(), x), g_there = px::to_device(on.stream(), g);

  px::matrix_view<float> values() const { return px::matrix(x_there.data(), count, width); }
  px::matrix_view<float> gradient() const { return px::matrix(g_there.data(), count, width); }
  std::vector<float> result() const { return px::to_host(on.stream(), x_there.view()); }
};

}  // namespace

TEST_CASE("A step of ascent", "[image_prior]") {
  batch b;
  std::fill_n(b.g.begin() + width, width, 0.0f);  // an image without gradient decays and stays in range
  px::copy_to_device<float>(b.on.stream(), b.g_there.data(), b.g);
  px::for_each_row(b.on.stream(), count,
                   kernels::ascend{b.values(), b.gradient(), 0.5f, 0.25f, -1.0f, 0.75f});
  const auto after = b.result();
  int at_edge = 0;
  for (int i = 0; i < count; ++i) {
    double squares = 0;
    for (int j = 0; j < width; ++j) {
      const double g = static_cast<double>(b.g[static_cast<std::size_t>(i * width + j)]);
      squares += g * g;
    }
    const double scale = squares > 0 ? 0.5 / std::sqrt(squares / width) : 0;
    for (int j = 0; j < width; ++j) {
      const auto at = static_cast<std::size_t>(i * width + j);
      const double moved = 0.75 * (static_cast<double>(b.x[at]) + scale * static_cast<double>(b.g[at]));
      at_edge += moved < -1 || moved > 0.75;
      CHECK(static_cast<double>(after[at]) == Approx(std::clamp(moved, -1.0, 0.75)).margin(1e-6));
    }
  }
  CHECK(at_edge > 10);
}

TEST_CASE("A blur in both directions", "[image_prior]") {
  batch b;
  const px::extent2d extent{7, 5};
  const px::buffer<float> between(b.x.size());
  kernels::blur pass{b.x_there.data(), between.data(), extent, false, 4, -0.3f};
  double weights[5];
  for (int d = 0; d < 5; ++d) weights[d] = std::exp(-0.3 * d * d);
  px::for_each(b.on.stream(), b.x.size(), pass);
  const auto along_rows = px::to_host(b.on.stream(), between.view());
  pass.from = between.data();
  pass.to = b.x_there.data();
  pass.is_vertical = true;
  px::for_each(b.on.stream(), b.x.size(), pass);
  const auto after = b.result();
  for (int image = 0; image < count * channels; ++image) {
    for (int y = 0; y < 7; ++y) {
      for (int x = 0; x < 5; ++x) {
        const auto mean = [&](int reach) {
          double sum = 0, total = 0;
          for (int v = std::max(0, y - reach); v <= std::min(6, y + reach); ++v) {
            for (int u = std::max(0, x - 4); u <= std::min(4, x + 4); ++u) {
              const double weight = weights[std::abs(v - y)] * weights[std::abs(u - x)];
              sum += weight * static_cast<double>(b.x[static_cast<std::size_t>(image * pixels + v * 5 + u)]);
              total += weight;
            }
          }
          return Approx(sum / total).margin(1e-6);
        };
        const auto at = static_cast<std::size_t>(image * pixels + y * 5 + x);
        CHECK(static_cast<double>(along_rows[at]) == mean(0));
        CHECK(static_cast<double>(after[at]) == mean(4));
      }
    }
  }
}

namespace {

// A little more, so that rounding does not make one pixel less of it.
float share_of(int clipped) { return (static_cast<float>(clipped) + 0.01f) / pixels; }

// As many zeros as the rule makes of each image, all at the pixels with the least measure.
template <class Measure>
void require_clipped(const batch& b, int clipped, const Measure& measure) {
  const auto after = b.result();
  for (int i = 0; i < count; ++i) {
    std::vector<double> sorted;
    for (int p = 0; p < pixels; ++p) sorted.push_back(measure(i, p));
    std::sort(sorted.begin(), sorted.end());
    const double least_kept = sorted[static_cast<std::size_t>(clipped)];
    for (int p = 0; p < pixels; ++p) {
      for (int c = 0; c < channels; ++c) {
        const auto at = static_cast<std::size_t>(i * width + c * pixels + p);
        CHECK(after[at] == (measure(i, p) < least_kept ? 0.0f : b.x[at]));
      }
    }
  }
}

}  // namespace

TEST_CASE("Pixels of small norm are clipped", "[image_prior]") {
  for (const int clipped : {1, 17, pixels - 1}) {
    batch b;
    px::for_each_row(b.on.stream(), count,
                     kernels::clip_pixels<kernels::pixel_norm>{
                         b.values(), {b.values(), channels}, channels, share_of(clipped)});
    require_clipped(b, clipped, [&](int i, int p) {
      double sum = 0;
      for (int c = 0; c < channels; ++c)
        sum += std::pow(static_cast<double>(b.x[static_cast<std::size_t>(i * width + c * pixels + p)]), 2);
      return sum;
    });
  }
}

TEST_CASE("Pixels of small contribution are clipped", "[image_prior]") {
  batch b;
  px::for_each_row(b.on.stream(), count,
                   kernels::clip_pixels<kernels::pixel_contribution>{
                       b.values(), {b.values(), b.gradient(), channels}, channels, share_of(20)});
  require_clipped(b, 20, [&](int i, int p) {
    double sum = 0;
    for (int c = 0; c < channels; ++c) {
      const auto at = static_cast<std::size_t>(i * width + c * pixels + p);
      sum += static_cast<double>(b.x[at]) * static_cast<double>(b.g[at]);
    }
    return std::abs(sum);
  });
}

TEST_CASE("Pixels that count the same are all kept", "[image_prior]") {
  batch b;
  std::fill(b.x.begin(), b.x.end(), 0.5f);
  px::copy_to_device<float>(b.on.stream(), b.x_there.data(), b.x);
  px::for_each_row(
      b.on.stream(), count,
      kernels::clip_pixels<kernels::pixel_norm>{b.values(), {b.values(), channels}, channels, share_of(20)});
  CHECK(b.result() == b.x);
}

TEST_CASE("Pixels that count nothing are clipped, and a share of the others", "[image_prior]") {
  batch b;
  for (int p = 0; p < pixels - 10; ++p) {
    for (int c = 0; c < channels; ++c) b.g[static_cast<std::size_t>(c * pixels + p)] = 0;
  }
  std::fill_n(b.g.begin() + width, width, 0.0f);  // an image of which nothing counts
  px::copy_to_device<float>(b.on.stream(), b.g_there.data(), b.g);
  px::for_each_row(b.on.stream(), count,
                   kernels::clip_pixels<kernels::pixel_contribution>{
                       b.values(), {b.values(), b.gradient(), channels}, channels, 0.31f});
  const auto after = b.result();
  CHECK(std::count(after.begin(), after.begin() + width, 0.0f) == channels * (pixels - 10 + 3));
  CHECK(std::equal(after.begin() + width, after.begin() + 2 * width, b.x.begin() + width));
}

TEST_CASE("A step of ascent is as long for gradients of any size, and hides no NaN", "[image_prior]") {
  const auto step = [](batch& b) {
    px::copy_to_device<float>(b.on.stream(), b.g_there.data(), b.g);
    px::for_each_row(b.on.stream(), count, kernels::ascend{b.values(), b.gradient(), 0.5f, 0, -1.0f, 1.0f});
    return b.result();
  };
  batch as_it_is;
  const auto wanted = step(as_it_is);
  for (const float factor : {1e-30f, 1e30f}) {
    batch b;
    for (float& g : b.g) g *= factor;
    const auto after = step(b);
    for (std::size_t i = 0; i < after.size(); ++i) CHECK(after[i] == Approx(wanted[i]).margin(1e-5));
  }
  batch b;
  b.g[3] = std::numeric_limits<float>::quiet_NaN();
  const auto after = step(b);
  CHECK(std::isnan(after[0]));
  CHECK(after[width] == wanted[width]);
}
