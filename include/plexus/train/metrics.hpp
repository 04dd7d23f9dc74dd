// What a network's outputs are worth beyond loss and accuracy: which classes are taken for which, whether the
// truth is among the largest outputs, and how far values are off.
#pragma once

#include <plexus/train/evaluate.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

// How many samples of each class were taken for which.
struct confusion_matrix {
  int classes = 0;
  std::vector<std::uint64_t> counts{};  // (true class, class of the largest output), row-major

  std::uint64_t operator()(int truth, int guess) const {
    return counts[static_cast<std::size_t>(truth) * static_cast<std::size_t>(classes) +
                  static_cast<std::size_t>(guess)];
  }

  // Of all samples, the fraction that is guessed right.
  double accuracy() const {
    std::uint64_t right = 0, all = 0;
    for (int c = 0; c < classes; ++c) right += (*this)(c, c), all += of_class(c);
    return ratio(right, all);
  }
  // Of the samples taken for class c, the fraction that belongs to it; NaN where there are none.
  double precision(int c) const {
    std::uint64_t taken = 0;
    for (int truth = 0; truth < classes; ++truth) taken += (*this)(truth, c);
    return ratio((*this)(c, c), taken);
  }
  // Of the samples of class c, the fraction that is taken for it; NaN where there are none.
  double recall(int c) const { return ratio((*this)(c, c), of_class(c)); }

 private:
  std::uint64_t of_class(int c) const {
    std::uint64_t sum = 0;
    for (int guess = 0; guess < classes; ++guess) sum += (*this)(c, guess);
    return sum;
  }
  static double ratio(std::uint64_t part, std::uint64_t whole) {
    return static_cast<double>(part) / static_cast<double>(whole);
  }
};

// How far values are off. Means are over all outputs of all samples.
struct regression_errors {
  double mean_absolute = 0;
  double root_mean_square = 0;
  double r_squared = 0;  // 1 − Σ(y − a)² / Σ(y − ȳ)² of each output, their mean; of an output whose targets
                         // are all the same it is 1 where each is met and 0 else
};

namespace detail {

// visit(sample, outputs) for each sample of `data`.
template <class Network, class Visit>
void visit_outputs(const char* doing, Network& net, const dataset& data, const Visit& visit) {
  require_fit(doing, net, data);
  constexpr int at_once = 1024;
  const auto width = static_cast<std::size_t>(Network::output_size);
  const auto features = static_cast<std::size_t>(data.features);
  for (int first = 0; first < data.size(); first += at_once) {
    const int rows = std::min(at_once, data.size() - first);
    const std::vector<float> outputs = net.predict(
        std::span(data.inputs)
            .subspan(static_cast<std::size_t>(first) * features, static_cast<std::size_t>(rows) * features),
        rows);
    for (int row = 0; row < rows; ++row) {
      const auto a = std::span(outputs).subspan(static_cast<std::size_t>(row) * width, width);
      if (std::ranges::any_of(a, [](float value) { return std::isnan(value); })) {
        throw error(doing, "an output for sample " + std::to_string(first + row) + " is NaN",
                    "train with a smaller rate, or load other weights");
      }
      visit(static_cast<std::size_t>(first + row), a);
    }
  }
}

inline void require_classes(const char* doing, const dataset& data) {
  require(!data.labels.empty(), doing, "the data set has targets and no labels", "give one with labels");
}

}  // namespace detail

// The first of the largest outputs is the guess, as for the accuracy.
template <class Network>
confusion_matrix confusion(Network& net, const dataset& data) {
  const char* doing = "counting a network's confusions";
  detail::require_classes(doing, data);
  const auto classes = static_cast<std::size_t>(Network::output_size);
  confusion_matrix result{Network::output_size, std::vector<std::uint64_t>(classes * classes)};
  detail::visit_outputs(doing, net, data, [&](std::size_t sample, std::span<const float> a) {
    const auto guess = static_cast<std::size_t>(std::ranges::max_element(a) - a.begin());
    ++result.counts[static_cast<std::size_t>(data.labels[sample]) * classes + guess];
  });
  return result;
}

// The fraction of samples whose class is among the k largest outputs; of equal ones the first count as
// larger.
template <class Network>
double top_k_accuracy(Network& net, const dataset& data, int k) {
  const char* doing = "finding a network's top-k accuracy";
  detail::require_classes(doing, data);
  require(k > 0, doing, "k is not positive", "give the number of outputs that the truth may be among");
  std::uint64_t right = 0;
  detail::visit_outputs(doing, net, data, [&](std::size_t sample, std::span<const float> a) {
    const auto truth = static_cast<std::size_t>(data.labels[sample]);
    std::ptrdiff_t larger = 0;
    for (std::size_t j = 0; j < a.size(); ++j) larger += a[j] > a[truth] || (a[j] == a[truth] && j < truth);
    right += larger < k;
  });
  return static_cast<double>(right) / data.size();
}

template <class Network>
regression_errors errors_of(Network& net, const dataset& data) {
  const char* doing = "finding a network's errors";
  require(!data.targets.empty(), doing, "the data set has labels and no targets", "give one with targets");
  const auto width = static_cast<std::size_t>(Network::output_size);
  const auto n = static_cast<double>(data.size());
  std::vector<double> mean(width), residual(width), variation(width);
  for (std::size_t i = 0; i < data.targets.size(); ++i) mean[i % width] += data.targets[i] / n;
  double absolute = 0, square = 0;
  detail::visit_outputs(doing, net, data, [&](std::size_t sample, std::span<const float> a) {
    for (std::size_t j = 0; j < width; ++j) {
      const double y = data.targets[sample * width + j], off = y - a[j], spread = y - mean[j];
      absolute += std::abs(off);
      residual[j] += off * off;
      variation[j] += spread * spread;
    }
  });
  double r_squared = 0;
  for (std::size_t j = 0; j < width; ++j) {
    square += residual[j];
    r_squared += variation[j] > 0 ? 1 - residual[j] / variation[j] : residual[j] == 0 ? 1.0 : 0.0;
  }
  const double count = n * static_cast<double>(width);
  return {absolute / count, std::sqrt(square / count), r_squared / static_cast<double>(width)};
}

}  // namespace plexus::inline PLEXUS_ABI
