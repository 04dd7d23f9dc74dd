// Samples in host memory: what networks are trained and judged on.
#pragma once

#include <plexus/core/error.hpp>

#include <climits>
#include <cstddef>
#include <string>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

// One sample per row. Exactly one of labels and targets is given.
struct dataset {
  int features = 0;              // values in a sample
  int outputs = 0;               // number of classes, or width of a target
  std::vector<float> inputs{};   // (size, features)
  std::vector<int> labels{};     // (size), each in [0, outputs)
  std::vector<float> targets{};  // (size, outputs)
  std::vector<float> weights{};  // (size), what each sample's loss is multiplied by; none: 1

  // The number of samples.
  int size() const {
    return features > 0 ? static_cast<int>(inputs.size() / static_cast<std::size_t>(features)) : 0;
  }

  // Throws plexus::error naming the first thing that training cannot use: no samples, sizes that do not
  // match, a NaN or an infinity, a label outside [0, outputs), a negative weight.
  void validate() const {
    validate_sizes();
    require_finite(inputs, features, "input", doing);
    require_finite(targets, outputs, "target", doing);
    require_labels(labels, outputs, doing);
    require_weights(weights, doing);
  }

 private:
  static constexpr const char* doing = "checking a dataset";

  [[noreturn]] static void refuse(const std::string& wrong, const std::string& remedy) {
    throw error(doing, wrong, remedy);
  }

  void validate_sizes() const {
    if (features <= 0) {
      refuse("features is " + std::to_string(features), "set it to the number of values in a sample");
    }
    if (outputs <= 0) {
      refuse("outputs is " + std::to_string(outputs),
             "set it to the number of classes or to the width of a target");
    }
    if (inputs.empty()) refuse("it has no samples", "give at least one");
    const auto width = static_cast<std::size_t>(features);
    if (inputs.size() % width != 0) {
      refuse(std::to_string(inputs.size()) + " input values are no whole number of samples of " +
                 std::to_string(features),
             "give size × features values");
    }
    const std::size_t samples = inputs.size() / width;
    if (samples > INT_MAX) {
      refuse(std::to_string(samples) + " samples are more than an int counts", "split the set");
    }
    if (labels.empty() == targets.empty()) {
      refuse(labels.empty() ? "it has neither labels nor targets" : "it has both labels and targets",
             "give exactly one of the two");
    }
    if (!labels.empty() && labels.size() != samples) {
      refuse(std::to_string(labels.size()) + " labels for " + std::to_string(samples) + " samples",
             "give one label per sample");
    }
    if (!targets.empty() && targets.size() != samples * static_cast<std::size_t>(outputs)) {
      refuse(std::to_string(targets.size()) + " target values for " + std::to_string(samples) +
                 " samples of " + std::to_string(outputs) + " outputs",
             "give size × outputs values");
    }
    if (!weights.empty() && weights.size() != samples) {
      refuse(std::to_string(weights.size()) + " weights for " + std::to_string(samples) + " samples",
             "give one weight per sample, or none");
    }
  }
};

}  // namespace plexus::inline PLEXUS_ABI
