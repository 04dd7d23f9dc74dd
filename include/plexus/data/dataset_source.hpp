// A data set in host memory as a source of batches: one that the device has no room for, or that is
// augmented.
#pragma once

#include <plexus/data/batch_source.hpp>
#include <plexus/data/dataset.hpp>

#include <algorithm>
#include <cstddef>

namespace plexus::inline PLEXUS_ABI {

class dataset_source : public batch_source {
 public:
  // Refers to `data`. Throws where dataset::validate() does.
  explicit dataset_source(const dataset& data) : data_(&data) { data.validate(); }
  explicit dataset_source(const dataset&&) = delete;  // it would not outlive this object

  source_shape shape() const override { return shape_of(*data_); }

  void fill(std::uint64_t, std::span<const int> samples, const batch_view& to) const override {
    const auto copy_row = [](const auto& from, int sample, int width, auto to_rows, std::size_t row) {
      const auto count = static_cast<std::size_t>(width);
      std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(sample) * width, width,
                  to_rows.subspan(row * count, count).begin());
    };
    for (std::size_t row = 0; row < samples.size(); ++row) {
      copy_row(data_->inputs, samples[row], data_->features, to.inputs, row);
      if (!to.labels.empty()) copy_row(data_->labels, samples[row], 1, to.labels, row);
      if (!to.targets.empty()) copy_row(data_->targets, samples[row], data_->outputs, to.targets, row);
      if (!to.weights.empty()) copy_row(data_->weights, samples[row], 1, to.weights, row);
    }
  }

 private:
  const dataset* data_;
};

}  // namespace plexus::inline PLEXUS_ABI
