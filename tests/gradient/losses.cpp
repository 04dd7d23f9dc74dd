// Losses by themselves: their slopes against central differences, their extremes, and every kind of group.
#include <plexus/inspect/central_differences.hpp>
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/loss_rows.hpp"
#include "support/worst.hpp"

#include <limits>

namespace px = plexus;
using support::differentiate;
using support::sharing;

namespace {

// A user's loss of each form: ln cosh(a − y), and ‖a − y‖.
struct log_cosh {
  PLEXUS_FN px::loss_term operator()(float a, float y) const { return {logf(coshf(a - y)), tanhf(a - y)}; }
};

struct euclidean {
  template <class Group, class Target, class Gradient>
  PLEXUS_FN float operator()(Group group, const float* a, Target y, int width, Gradient gradient) const {
    float sum = 0;
    for (int j = group.rank(); j < width; j += group.size()) sum += (a[j] - y(j)) * (a[j] - y(j));
    const float distance = sqrtf(group.sum(sum));
    for (int j = group.rank(); j < width; j += group.size()) gradient(j, (a[j] - y(j)) / distance);
    return distance;
  }
};

// Values in (−3, 3), and targets in (0, 1) of which a third are 0 and a third 1.
std::vector<float> outputs(std::size_t size) {
  std::vector<float> a(size);
  for (std::size_t i = 0; i < size; ++i) a[i] = 6 * px::random_stream{31, 0}.uniform(i) - 3;
  return a;
}
std::vector<float> soft_targets(std::size_t size) {
  std::vector<float> y(size);
  for (std::size_t i = 0; i < size; ++i) {
    const float u = px::random_stream{31, 1}.uniform(i);
    y[i] = i % 3 == 0 ? u : u < 0.5f ? 0.0f : 1.0f;
  }
  return y;
}
std::vector<int> class_numbers(std::size_t size, int classes) {
  std::vector<int> labels(size);
  for (std::size_t i = 0; i < size; ++i)
    labels[i] = static_cast<int>(px::random_stream{31, 2}.uniform(i) * static_cast<float>(classes));
  return labels;
}

// How far an output is from where its loss has a kink, or a slope with one; by default there is none.
struct nowhere {
  double operator()(float, float) const { return std::numeric_limits<double>::infinity(); }
};
// Where |a − y| = distance.
struct at_distance {
  float distance;
  double operator()(float a, float y) const { return std::abs(std::abs(a - y) - distance); }
};
// Where the output is as far on its side as the margin demands.
struct at_margin {
  float margin;
  double operator()(float a, float y) const { return std::abs((y > 0 ? a : -a) - margin); }
};

template <class Loss, class Kink = nowhere>
void check_slopes(const Loss& loss, const std::vector<float>& y, const std::vector<int>& labels,
                  const Kink& kink = {}) {
  constexpr int n = 4, width = 7;
  std::vector<float> a = outputs(n * width);
  const std::vector<float> found = differentiate(loss, a, width, y, labels).gradient;
  double worst = 0;
  int checked = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const float kept = a[i];
    const float target = labels.empty()                                     ? y[i]
                         : labels[i / width] == static_cast<int>(i % width) ? 1.0f
                                                                            : 0.0f;
    if (kink(kept, target) < 0.05) continue;
    const auto loss_at = [&](float v) {
      a[i] = v;
      return differentiate(loss, a, width, y, labels).loss;
    };
    const px::inspect::central_differences around(loss_at, kept, 1, loss_at(kept));
    const double numeric = around.slope(around.noise()).slope;
    a[i] = kept;
    worst = support::worse(worst, std::abs(numeric - static_cast<double>(found[i])));
    ++checked;
  }
  CHECK(worst < 5e-5);
  CHECK(checked > n * width / 2);
}

template <class Loss, class Kink = nowhere>
void check_slopes(const Loss& loss, const Kink& kink = {}) {
  check_slopes(loss, soft_targets(4 * 7), {}, kink);
  check_slopes(loss, {}, class_numbers(4, 7), kink);
}

// One output's loss and slope.
template <class Loss>
std::pair<double, double> at(const Loss& loss, float a, float y) {
  const auto found = differentiate(loss, {a}, 1, {y});
  return {found.loss, found.gradient[0]};
}

template <class Loss>
void check_at(const Loss& loss, float a, float y, double value, double slope) {
  CAPTURE(a, y);
  const auto [found, found_slope] = at(loss, a, y);
  CHECK(found == Approx(value).epsilon(1e-6).margin(1e-37));
  CHECK(found_slope == Approx(slope).epsilon(1e-6).margin(1e-37));
}

template <class Loss>
void check_nan(const Loss& loss) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const auto one = differentiate(loss, {1, nan, 2}, 3, {0, 1, 0});
  CHECK(std::isnan(one.loss));
  if constexpr (!std::is_same_v<Loss, px::hinge>) CHECK(std::isnan(one.gradient[1]));  // it has two slopes
  CHECK(std::isnan(differentiate(loss, {nan, nan, nan}, 3, {0, 1, 0}).loss));
}

// By every group that there is for it, at every width that matters, against terms summed in double.
template <class Loss>
void check_groups(const Loss& loss) {
  for (const int width : {1, 3, 10, 31, 32, 33, 40, 256, 257, 1000}) {
    CAPTURE(width);
    constexpr std::size_t n = 9;  // more than one block of warps
    const std::size_t size = n * static_cast<std::size_t>(width);
    const std::vector<float> a = outputs(size), y = soft_targets(size);
    double sum = 0, worst = 0;
    std::vector<double> slopes;
    for (std::size_t i = 0; i < size; ++i) {
      const px::loss_term term = loss(a[i], y[i]);
      sum += static_cast<double>(term.value) / static_cast<double>(size);
      slopes.push_back(static_cast<double>(term.slope) / static_cast<double>(size));
    }
    for (const auto& found :
         {differentiate(loss, a, width, y), differentiate<sharing::by_a_warp>(loss, a, width, y),
          differentiate<sharing::by_a_block>(loss, a, width, y)}) {
      CHECK(found.loss == Approx(sum).epsilon(1e-5));
      for (std::size_t i = 0; i < size; ++i) {
        worst = support::worse(worst, std::abs(static_cast<double>(found.gradient[i]) - slopes[i]) /
                                          (std::abs(slopes[i]) + 0.01 / static_cast<double>(size)));
      }
    }
    CHECK(worst < 5e-6);  // the device's exponential is not the host's
  }
}

// Softmax, with the maximum taken out, and −Σ t ln p + Σ y ln y · entropy in double.
template <sharing Sharing, class Loss>
void check_softmax(const Loss& loss, int width, double smoothing, const std::vector<float>& weights,
                   double entropy) {
  constexpr std::size_t n = 9;
  const auto columns = static_cast<std::size_t>(width);
  const std::vector<float> a = outputs(n * columns), y = soft_targets(n * columns);
  double cost = 0, worst = 0;
  const auto found = differentiate<Sharing>(loss, a, width, y);
  for (std::size_t row = 0; row < n; ++row) {
    double largest = -INFINITY, sum = 0, mass = 0;
    for (std::size_t j = 0; j < columns; ++j) largest = std::fmax(largest, a[row * columns + j]);
    for (std::size_t j = 0; j < columns; ++j)
      sum += std::exp(static_cast<double>(a[row * columns + j]) - largest);
    const auto target = [&](std::size_t j) {
      const auto given = static_cast<double>(y[row * columns + j]);
      return static_cast<double>(weights[j]) * ((1 - smoothing) * given + smoothing / width);
    };
    const auto log_p = [&](std::size_t j) {
      return static_cast<double>(a[row * columns + j]) - largest - std::log(sum);
    };
    for (std::size_t j = 0; j < columns; ++j) {
      const auto given = static_cast<double>(y[row * columns + j]);
      mass += target(j);
      cost += (-target(j) * log_p(j) + (given == 0 ? 0 : entropy * given * std::log(given))) / n;
    }
    for (std::size_t j = 0; j < columns; ++j) {
      const double expected = (std::exp(log_p(j)) * mass - target(j)) / n;
      worst =
          support::worse(worst, std::abs(static_cast<double>(found.gradient[row * columns + j]) - expected));
    }
  }
  CHECK(found.loss == Approx(cost).epsilon(1e-5).margin(1e-6));
  CHECK(worst < 1e-5);
}

}  // namespace

TEST_CASE("Slopes are central differences of losses", "[gradient]") {
  check_slopes(px::quadratic{});
  check_slopes(px::mean_squared{});
  check_slopes(px::mean_absolute{}, at_distance{0});
  check_slopes(px::huber{}, at_distance{1});
  check_slopes(px::huber{.delta = 1.75f}, at_distance{1.75f});
  check_slopes(px::smooth_l1{}, at_distance{1});
  check_slopes(px::smooth_l1{.beta = 1.75f}, at_distance{1.75f});
  check_slopes(px::smooth_l1{.beta = 0}, at_distance{0});
  check_slopes(px::mean_absolute_percentage{.epsilon = 50}, at_distance{0});
  check_slopes(px::hinge{}, at_margin{1});
  check_slopes(px::hinge{.margin = 0.5f}, at_margin{0.5f});
  check_slopes(px::binary_cross_entropy{});
  check_slopes(px::binary_cross_entropy{.positive_weight = 2.5f});
  check_slopes(px::softmax_cross_entropy{});
  check_slopes(px::softmax_cross_entropy{.label_smoothing = 0.3f});
  check_slopes(px::kl_divergence{});
  check_slopes(px::summed{px::binary_cross_entropy{}});
  check_slopes(log_cosh{});
  check_slopes(euclidean{});
  const px::stream on;
  const px::buffer<float> weights = px::to_device<float>(on.get(), {0.5f, 2, 1, 0, 1.25f, 3, 0.75f});
  on.synchronize();
  check_slopes(px::softmax_cross_entropy{.class_weights = weights.view()});
  check_slopes(px::softmax_cross_entropy{.label_smoothing = 0.3f, .class_weights = weights.view()});
}

TEST_CASE("The slope of relative_squared holds the denominator constant", "[gradient]") {
  const px::relative_squared loss{.epsilon = 0.5f};
  for (const auto& [a, y] : {std::pair{1.5f, -0.25f}, {-2.0f, 3.0f}, {0.0f, 1.0f}, {0.75f, 0.5f}}) {
    const double outside = static_cast<double>(a) * static_cast<double>(a) + 0.5;
    const double difference = static_cast<double>(a) - static_cast<double>(y);
    check_at(loss, a, y, difference * difference / outside, 2 * difference / outside);
  }
}

TEST_CASE("Losses of each output by a thread, a warp and a block", "[gradient]") {
  check_groups(px::mean_squared{});
  check_groups(px::mean_absolute{});
  check_groups(px::huber{.delta = 0.5f});
  check_groups(px::smooth_l1{.beta = 0.5f});
  check_groups(px::mean_absolute_percentage{.epsilon = 0.25f});
  check_groups(px::relative_squared{});
  check_groups(px::hinge{});
  check_groups(px::binary_cross_entropy{.positive_weight = 3});
  check_groups(log_cosh{});
}

TEST_CASE("Losses of softmax by a thread and a warp", "[gradient]") {
  const px::stream on;
  const std::vector<float> ones(1000, 1.0f), numbers = soft_targets(1000);
  const px::buffer<float> weights = px::to_device(on.get(), numbers);
  on.synchronize();
  for (const int width : {1, 3, 10, 31, 32, 33, 40, 1000}) {
    CAPTURE(width);
    const auto check = [&]<sharing Sharing>() {
      check_softmax<Sharing>(px::softmax_cross_entropy{}, width, 0, ones, 0);
      check_softmax<Sharing>(px::softmax_cross_entropy{.label_smoothing = 0.1f}, width, 0.1f, ones, 0);
      check_softmax<Sharing>(
          px::softmax_cross_entropy{0.1f, {weights.data(), static_cast<std::size_t>(width)}}, width, 0.1f,
          numbers, 0);
      check_softmax<Sharing>(px::kl_divergence{}, width, 0, ones, 1);
    };
    check.operator()<sharing::as_the_pass_does>();
    check.operator()<sharing::by_a_warp>();
  }
}

TEST_CASE("Binary cross-entropy at the ends of the logits", "[gradient]") {
  const px::binary_cross_entropy loss;
  for (const float large : {20.0f, 88.0f, 104.0f, 1e4f, 1e30f}) {
    const double rest = std::exp(-static_cast<double>(large)), value = std::log1p(rest),
                 s = rest / (1 + rest);
    check_at(loss, large, 1, value, -s);
    check_at(loss, -large, 0, value, s);
    check_at(loss, large, 0, static_cast<double>(large) + value, 1 - s);
    check_at(loss, -large, 1, static_cast<double>(large) + value, s - 1);
    check_at(px::binary_cross_entropy{.positive_weight = 4}, -large, 1,
             4 * (static_cast<double>(large) + value), 4 * (s - 1));
    check_at(loss, large, 0.25f, 0.75 * static_cast<double>(large) + value, 0.75 - s);
  }
  for (const float zero : {0.0f, -0.0f}) {
    check_at(loss, zero, 1, std::log(2.0), -0.5);
    check_at(loss, zero, 0, std::log(2.0), 0.5);
    check_at(loss, zero, 0.5f, std::log(2.0), 0);
  }
}

TEST_CASE("Softmax's losses at the ends of the logits", "[gradient]") {
  const std::vector<float> ends{1e4f, -1e4f, 0};
  const auto right = differentiate(px::softmax_cross_entropy{}, ends, 3, {1, 0, 0});
  CHECK(right.loss == 0);
  CHECK(right.gradient == std::vector<float>{0, 0, 0});
  for (const auto& wrong : {differentiate(px::softmax_cross_entropy{}, ends, 3, {}, {1}),
                            differentiate(px::kl_divergence{}, ends, 3, {0, 1, 0})}) {
    CHECK(wrong.loss == Approx(2e4));
    CHECK(wrong.gradient == std::vector<float>{1, -1, 0});
  }
  const auto smooth = differentiate(px::softmax_cross_entropy{.label_smoothing = 0.75f}, ends, 3, {}, {0});
  CHECK(smooth.loss == Approx(0.25 * 2e4 + 0.25 * 1e4));
  CHECK(smooth.gradient == std::vector<float>{0.5f, -0.25f, -0.25f});
  // A target that the outputs meet.
  const auto met = differentiate(px::kl_divergence{}, {std::log(0.125f), std::log(0.25f), std::log(0.625f)},
                                 3, {0.125f, 0.25f, 0.625f});
  CHECK(met.loss == Approx(0).margin(1e-6));
  for (const float slope : met.gradient) CHECK(slope == Approx(0).margin(1e-6));
  CHECK(std::isnan(differentiate(px::kl_divergence{}, {0, 0}, 2, {-0.5f, 1}).loss));
}

TEST_CASE("Losses of values where outputs meet targets, at kinks and far away", "[gradient]") {
  for (const float a : {0.0f, -0.0f, 2.5f, -1e30f}) {
    check_at(px::mean_squared{}, a, a, 0, 0);
    check_at(px::mean_absolute{}, a, a, 0, 0);
    check_at(px::huber{}, a, a, 0, 0);
    check_at(px::smooth_l1{}, a, a, 0, 0);
    check_at(px::smooth_l1{.beta = 0}, a, a, 0, 0);
    check_at(px::mean_absolute_percentage{}, a, a, 0, 0);
  }
  check_at(px::relative_squared{}, 2.5f, 2.5f, 0, 0);
  check_at(px::huber{.delta = 0.5f}, 1.5f, 1, 0.125, 0.5);
  check_at(px::smooth_l1{.beta = 0.5f}, 1, 1.5f, 0.25, -1);
  check_at(px::hinge{}, 1, 1, 0, 0);
  check_at(px::hinge{}, -1, 0, 0, 0);
  check_at(px::hinge{}, 0, 0.25f, 1, -1);
  check_at(px::hinge{}, 0, -1, 1, 1);
  for (const float far : {1e20f, 1e30f}) {
    const auto value = static_cast<double>(far);
    check_at(px::mean_absolute{}, -far, far, 2 * value, -1);
    check_at(px::huber{.delta = 0.25f}, far, 0, 0.25 * value, 0.25);
    check_at(px::huber{.delta = 0.25f}, -far, 0, 0.25 * value, -0.25);
    check_at(px::smooth_l1{}, -far, 1, value, -1);
    check_at(px::mean_absolute_percentage{}, 0.5f * far, -far, 150, 100 / value);
    check_at(px::hinge{}, -far, 1, value, -1);
    check_at(px::hinge{}, far, 1, 0, 0);
  }
  check_at(px::huber{.delta = 0.25f}, 1e4f, 0, 0.25 * (1e4 - 0.125), 0.25);
  check_at(px::smooth_l1{}, 1e4f, 0, 1e4 - 0.5, 1);
  check_at(px::mean_absolute_percentage{}, 3, 0, 3e9, 1e9);
  check_at(px::relative_squared{}, 1e4f, 0, 1, 2e-4);
}

TEST_CASE("A NaN among the outputs is one in the loss", "[gradient]") {
  check_nan(px::mean_squared{});
  check_nan(px::mean_absolute{});
  check_nan(px::huber{});
  check_nan(px::smooth_l1{});
  check_nan(px::smooth_l1{.beta = 0});
  check_nan(px::mean_absolute_percentage{});
  check_nan(px::relative_squared{});
  check_nan(px::hinge{});
  check_nan(px::binary_cross_entropy{});
  check_nan(px::softmax_cross_entropy{.label_smoothing = 0.1f});
  check_nan(px::kl_divergence{});
}

TEST_CASE("Huber's loss is smooth_l1 times its width, and mean_squared twice quadratic over the outputs",
          "[gradient]") {
  const std::vector<float> a = outputs(60), y = soft_targets(60);
  const auto huber = differentiate(px::huber{.delta = 0.625f}, a, 12, y),
             smooth = differentiate(px::smooth_l1{.beta = 0.625f}, a, 12, y),
             mean = differentiate(px::mean_squared{}, a, 12, y),
             halved = differentiate(px::quadratic{}, a, 12, y);
  CHECK(huber.loss == Approx(0.625 * smooth.loss));
  CHECK(mean.loss == Approx(2 * halved.loss / 12));
  for (std::size_t i = 0; i < 60; ++i) {
    CHECK(huber.gradient[i] == Approx(0.625f * smooth.gradient[i]).margin(1e-9));
    CHECK(mean.gradient[i] == Approx(halved.gradient[i] / 6).margin(1e-9));
  }
}
