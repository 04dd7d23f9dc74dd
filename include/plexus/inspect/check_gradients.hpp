// Are a network's gradients the slopes of its loss? For who writes an activation, a loss or a layer of his
// own.
#pragma once

#include <plexus/core/buffer.hpp>
#include <plexus/core/random.hpp>
#include <plexus/inspect/central_differences.hpp>
#include <plexus/inspect/text_table.hpp>
#include <plexus/losses/loss.hpp>
#include <plexus/network.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace plexus::inline PLEXUS_ABI::inspect {

struct gradient_options {
  std::size_t values = 50;  // of each tensor at most so many are checked, spread over it; 0 for all
  plexus::seed seed = {};   // which ones
};

// What was found of one tensor: a parameter, or the input. Of the gradient a that backward computes and the
// slope b that differences of the loss give, known to ± u (central_differences.hpp), the relative error is
//
//   |a − b| / max(|a| + |b|, 1000 u)
//
// so that a difference as large as b's own uncertainty counts as 10⁻³ at most, and a gradient of twice its
// size, or of the wrong sign, as 1/3 and 1. One that is not finite counts as infinite.
struct checked_tensor {
  std::string name;                // as net.parameters() has it, or "input"
  std::vector<std::size_t> shape;  // the input's is (n, …)
  std::size_t checked = 0;         // so many values, of which …
  // … so many are exactly 0 by backward and by differences: the loss does not depend on them …
  std::size_t zeros = 0;
  // … so many are left out since the loss has no slope there: a kink, as relu has one at 0, is so near that
  // 10 u > |a| + |b| …
  std::size_t kinks = 0;
  // … and of so many the check can say nothing, because they drown in the rounding of the loss: as before,
  // but no kink is to blame. Whatever backward computes below 10 u, the error of such a value is below 10⁻².
  std::size_t faint = 0;

  // The worst of those that are not left out: its error, its place in row-major order, and both numbers.
  double error = 0;
  std::size_t place = 0;
  double by_backward = 0, by_differences = 0;

  // The worst is not above the tolerance, and enough is known to say so: at most a tenth of the values is
  // left out, and of those that are not zero at most half are faint.
  bool passed(double tolerance = 1e-2) const {
    return error <= tolerance && 10 * kinks <= checked && 2 * faint <= checked - zeros;
  }
};

struct gradient_check {
  std::vector<checked_tensor> tensors;  // as in net.parameters(), and last the input
  double noise = 0;                     // the loss's rounding, as a standard deviation

  double worst() const {
    double error = 0;
    for (const checked_tensor& one : tensors) error = std::max(error, one.error);
    return error;
  }
  // All tensors do, and not by being zero all.
  bool passed(double tolerance = 1e-2) const {
    return std::ranges::all_of(tensors, [&](const auto& one) { return one.passed(tolerance); }) &&
           std::ranges::any_of(tensors, [](const auto& one) { return one.zeros < one.checked; });
  }
};

// A table with a line for each tensor.
inline std::string to_string(const gradient_check& check) {
  const auto number = [](const char* format, double value) {
    char text[32];
    std::snprintf(text, sizeof text, format, value);
    return std::string(text);
  };
  text_table table({"tensor", "shape", "checked", "zeros", "kinks", "faint", "worst error", "at", "backward",
                    "differences"},
                   2);
  for (const checked_tensor& one : check.tensors) {
    std::vector<std::size_t> at(one.shape.size());
    for (std::size_t rest = one.place, i = at.size(); i-- > 0; rest /= one.shape[i])
      at[i] = rest % one.shape[i];
    table.add({one.name, extents_text(one.shape), std::to_string(one.checked), std::to_string(one.zeros),
               std::to_string(one.kinks), std::to_string(one.faint), number("%.1e", one.error),
               extents_text(at), number("%.6g", one.by_backward), number("%.6g", one.by_differences)});
  }
  return table.text();
}

namespace gradients {

// Puts back, at the end, the parameters bit for bit and the totals.
template <class Network>
class kept_network {
 public:
  explicit kept_network(Network& net) : net_(net), totals_(net.totals()) {
    for (const named_parameter& tensor : net.parameters())
      values_.push_back(to_host(net.stream(), tensor.values));
  }
  kept_network(const kept_network&) = delete;
  kept_network& operator=(const kept_network&) = delete;
  ~kept_network() {
    try {
      const auto tensors = net_.parameters();
      for (std::size_t i = 0; i < tensors.size(); ++i)
        copy_to_device<float>(net_.stream(), tensors[i].values.data, values_[i]);
      net_.restore_totals(totals_);
    } catch (const error&) {  // the device is lost, and what lay there with it
    }
  }

  const std::vector<float>& values(std::size_t tensor) const { return values_[tensor]; }

 private:
  Network& net_;
  typename Network::unwatched_scope unwatched_{net_};
  batch_totals totals_;
  std::vector<std::vector<float>> values_;
};

// The size that values usually have: their root mean square, or 1 where all are zero.
inline double scale_of(std::span<const float> values) {
  double squares = 0;
  for (const float value : values) squares += static_cast<double>(value) * static_cast<double>(value);
  const double scale = std::sqrt(squares / static_cast<double>(values.size()));
  return std::isfinite(scale) && scale > 0 ? scale : 1;
}

// `count` places of `size`, or all of them: one, at random, in each of `count` equal parts.
inline std::vector<std::size_t> places(std::size_t size, std::size_t count, random_stream random) {
  if (count == 0 || count > size) count = size;
  std::vector<std::size_t> chosen(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t begin = size / count * i + size % count * i / count,
                      end = size / count * (i + 1) + size % count * (i + 1) / count;
    const double within = static_cast<double>(random.uniform(i)) * static_cast<double>(end - begin);
    chosen[i] = begin + static_cast<std::size_t>(within);
  }
  return chosen;
}

// A tensor while it is being checked.
class measured_tensor {
 public:
  checked_tensor result;
  std::vector<std::size_t> places;
  std::vector<float> gradient;  // by backward, all of it
  std::vector<central_differences> differences;

  void judge(double noise) {
    result.checked = places.size();
    double worst = -1;
    for (std::size_t i = 0; i < places.size(); ++i) {
      const double a = gradient[places[i]];
      const slope_estimate b = differences[i].slope(noise);
      const bool is_unsure = std::isfinite(a) && !(10 * b.uncertainty <= std::abs(a) + std::abs(b.slope));
      const bool is_zero = a == 0 && b.slope == 0;
      if (is_unsure) ++(b.at_kink ? result.kinks : is_zero ? result.zeros : result.faint);
      if (is_unsure && b.at_kink) continue;
      const double error = relative_error(a, b);
      if (error <= worst) continue;
      worst = result.error = error;
      result.place = places[i];
      result.by_backward = a;
      result.by_differences = b.slope;
    }
  }

 private:
  static double relative_error(double a, const slope_estimate& b) {
    if (!std::isfinite(a)) return std::numeric_limits<double>::infinity();
    const double apart = std::abs(a - b.slope);
    return apart == 0 ? 0 : apart / std::max(std::abs(a) + std::abs(b.slope), 1000 * b.uncertainty);
  }
};

// The standard deviation of the loss's rounding, from a sample of it at each value that changes the loss.
// Their median, which kinks do not move; that of a normal distribution's magnitudes is 0.674 of its
// deviation.
inline double noise_of(const std::vector<measured_tensor>& all, double loss) {
  std::vector<double> samples;
  for (const measured_tensor& tensor : all) {
    for (const central_differences& one : tensor.differences) {
      if (one.noise() > 0) samples.push_back(one.noise());
    }
  }
  const double least = std::abs(loss) * 0x1p-26;  // there is no loss without any
  if (samples.empty()) return least;
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::ranges::nth_element(samples, middle);
  return std::max(least, *middle / 0.674);
}

// The checks of batches in device memory; x (n, in) is changed and put back.
template <class Network, class Loss>
class checker {
 public:
  checker(Network& net, const Loss& loss, matrix_view<float> x, target_view y)
      : net_(net), loss_(loss), x_(x), y_(y), kept_(net) {}

  gradient_check run(std::span<const float> inputs, const gradient_options& how) {
    const buffer<float> dx(inputs.size());
    net_.backward(x_, y_, loss_, matrix(dx.data(), x_.rows, x_.cols));
    std::vector<measured_tensor> all;
    for (const named_parameter& tensor : net_.gradients())
      all.push_back({{tensor.name, tensor.shape}, {}, to_host(net_.stream(), tensor.values), {}});
    all.push_back({{"input", input_shape()}, {}, to_host(net_.stream(), dx.view()), {}});

    const double loss = mean_loss();
    require(std::isfinite(loss), "checking gradients", "the loss is not finite",
            "give a network and samples whose loss is a number");
    const auto parameters = net_.parameters();
    for (std::size_t t = 0; t < all.size(); ++t) {
      all[t].places = places(all[t].gradient.size(), how.values, {how.seed.value, t});
      if (t < parameters.size()) {
        measure(all[t], parameters[t].values.data, kept_.values(t), loss);
      } else {
        measure(all[t], x_.data, inputs, loss);
      }
    }

    net_.backward(x_, y_, loss_);  // leaves the gradients of the batch, and not of its last variation

    gradient_check result{{}, noise_of(all, loss)};
    for (measured_tensor& tensor : all) {
      tensor.judge(result.noise);
      result.tensors.push_back(std::move(tensor.result));
    }
    return result;
  }

 private:
  // (n, …)
  std::vector<std::size_t> input_shape() const {
    std::vector<std::size_t> shape = used_extents(Network::template layer_type<0>::input_shape::extents);
    shape.insert(shape.begin(), static_cast<std::size_t>(x_.rows));
    return shape;
  }

  // As training sees it: layers that draw at random draw the same until the next update.
  double mean_loss() {
    net_.reset_totals();
    net_.backward(x_, y_, loss_);
    return net_.totals().loss / divisor_of<Loss>(static_cast<double>(x_.rows));
  }

  void measure(measured_tensor& tensor, float* at, std::span<const float> values, double loss) {
    const double scale = scale_of(values);
    for (const std::size_t i : tensor.places) {
      const auto set = [&](float v) { copy_to_device<float>(net_.stream(), at + i, std::span(&v, 1)); };
      tensor.differences.emplace_back(
          [&](float v) {
            set(v);
            return mean_loss();
          },
          values[i], scale, loss);
      set(values[i]);
    }
  }

  Network& net_;
  const Loss& loss_;
  matrix_view<float> x_;
  target_view y_;
  kept_network<Network> kept_;
};

inline void require_targets(const char* doing, std::span<const int> labels, int n, int width) {
  detail::require_size(doing, labels.size(), n, 1);
  require_labels(labels, width, doing, {}, "the network's outputs");
}
inline void require_targets(const char* doing, std::span<const float> values, int n, int width) {
  detail::require_size(doing, values.size(), n, width);
  require_finite(values, width, "target", doing);
}

inline target_view target_of(const buffer<int>& labels, int) { return {labels.data(), nullptr, 0}; }
inline target_view target_of(const buffer<float>& values, int width) {
  return {nullptr, values.data(), width};
}

// For samples (n, in) in host memory, and labels (n) or targets (n, out).
template <class Network, class Loss, class Target>
gradient_check check(Network& net, const Loss& loss, std::span<const float> x, std::span<const Target> y,
                     const gradient_options& how) {
  static_assert(
      std::is_same_v<typename Network::precision, fp32>,
      "plexus::inspect::check_gradients: a network in FP32, since differences of 16 bits are rounding: "
      "check the same layers without the precision");
  constexpr const char* doing = "checking gradients";
  constexpr int in = Network::input_size, out = Network::output_size;
  const int n = detail::sample_count(x, in, doing);
  require(n > 0, doing, "the batch is empty", "give at least one sample");
  require_finite(x, in, "input", doing);
  require_targets(doing, y, n, out);
  const buffer<float> inputs(x.size());
  const buffer<Target> targets(y.size());
  copy_to_device(net.stream(), inputs.data(), x);
  copy_to_device(net.stream(), targets.data(), y);
  return checker<Network, Loss>(net, loss, matrix(inputs.data(), n, in), target_of(targets, out)).run(x, how);
}

}  // namespace gradients

// Compares the gradients that net.backward() computes, of each parameter and of the input, with differences
// of the loss over samples x (n, input_size) and targets y (n, output_size), both in host memory. Each value
// takes 16 passes of the batch, so give a few samples. The error of right gradients stays below 10⁻³ in small
// networks, and below the default tolerance of passed() among the many kinks of a deep one; wrong ones are
// above it where they are wrong by more than the loss's rounding hides, and passed() is false too where that
// hides most of a tensor: then give a smaller loss, of targets near 0 for example. The bias of a layer before
// batch_norm is such a tensor, whose slope is 0 but for rounding. A loss that says another slope on purpose,
// as relative_squared does, fails.
//
// The network stays as it was, but that its gradients are those of this batch; also where this throws, as it
// does for bad input, for a loss that is not finite, and where the device fails.
template <class Network, class Loss>
gradient_check check_gradients(Network& net, const Loss& loss, std::span<const float> x,
                               std::span<const float> y, const gradient_options& how = {}) {
  return gradients::check(net, loss, x, y, how);
}

// The same with labels (n).
template <class Network, class Loss>
gradient_check check_gradients(Network& net, const Loss& loss, std::span<const float> x,
                               std::span<const int> labels, const gradient_options& how = {}) {
  return gradients::check(net, loss, x, labels, how);
}

}  // namespace plexus::inline PLEXUS_ABI::inspect
