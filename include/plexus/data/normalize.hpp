// Inputs with mean 0 and standard deviation 1: learnt from one set, applied to it and to every other.
#pragma once

#include <plexus/data/dataset.hpp>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

// x ← (x − mean) / deviation, with one mean and deviation per feature, or one for all of them.
class normalization {
 public:
  // Learns one mean and one deviation per feature. A constant feature becomes 0.
  static normalization per_feature(const dataset& data) { return normalization(data, data.features); }

  // Learns one mean and one deviation for all values, as is usual for the pixels of an image.
  static normalization global(const dataset& data) { return normalization(data, 1); }

  const std::vector<float>& mean() const { return mean_; }
  const std::vector<float>& deviation() const { return deviation_; }

  void apply(dataset& data) const {
    if (data.features != features_) {
      throw error("normalising a dataset",
                  "it has " + std::to_string(data.features) + " features and the one learnt from has " +
                      std::to_string(features_),
                  "give a set of the same kind");
    }
    for (std::size_t i = 0; i < data.inputs.size(); ++i) {
      const std::size_t j = i % mean_.size();
      data.inputs[i] = (data.inputs[i] - mean_[j]) / deviation_[j];
    }
  }

 private:
  // Two passes in double: the one-pass formula cancels where the mean is large.
  normalization(const dataset& data, int statistics) : features_(data.features) {
    data.validate();
    const auto width = static_cast<std::size_t>(statistics);
    const double count = static_cast<double>(data.inputs.size() / width);
    std::vector<double> sum(width), squares(width);
    for (std::size_t i = 0; i < data.inputs.size(); ++i) sum[i % width] += data.inputs[i];
    for (double& s : sum) s /= count;
    for (std::size_t i = 0; i < data.inputs.size(); ++i) {
      const double difference = data.inputs[i] - sum[i % width];
      squares[i % width] += difference * difference;
    }
    for (std::size_t j = 0; j < width; ++j) {
      const auto deviation = static_cast<float>(std::sqrt(squares[j] / count));
      mean_.push_back(static_cast<float>(sum[j]));
      deviation_.push_back(deviation > 0 ? deviation : 1.0f);
    }
  }

  int features_ = 0;
  std::vector<float> mean_;
  std::vector<float> deviation_;
};

}  // namespace plexus::inline PLEXUS_ABI
