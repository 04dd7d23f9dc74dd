// Samples that need not lie in memory as a whole: training asks for them batch by batch.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/data/dataset.hpp>

#include <cstdint>
#include <span>
#include <string>

namespace plexus::inline PLEXUS_ABI {

struct source_shape {
  int samples = 0;
  int features = 0;      // values in a sample
  int outputs = 0;       // number of classes, or width of a target
  bool labels = false;   // classes are what is to be learnt; if not, targets
  bool weights = false;  // a sample's loss is multiplied by its weight; if not, by 1
};

inline source_shape shape_of(const dataset& data) {
  return {data.size(), data.features, data.outputs, !data.labels.empty(), !data.weights.empty()};
}

// The memory of a batch, one sample per row. What a source fills is in host memory.
struct batch_view {
  std::span<float> inputs{};   // (rows, features)
  std::span<int> labels{};     // (rows), where the source has labels
  std::span<float> targets{};  // (rows, outputs), where it has not
  std::span<float> weights{};  // (rows), where it has weights
};

// What `fit` trains on where the data are no dataset. What it throws ends the training and is thrown on by
// `fit`.
//
// Each `fit` and each `evaluate` asks by a thread of its own, so that several ask at once where a progress
// callback evaluates on the source that is trained on, or where two networks learn from it.
class batch_source {
 public:
  virtual ~batch_source() = default;

  virtual source_shape shape() const = 0;  // always the same

  // Row i of `to` becomes sample samples[i], in epoch `epoch` (from 0) of a network's life. The same call
  // gives the same values, or training would not be reproducible. It may be made by several threads at once:
  // what it changes in the source, such as a cache or the place in a file, must be guarded.
  virtual void fill(std::uint64_t epoch, std::span<const int> samples, const batch_view& to) const = 0;

 protected:
  batch_source() = default;
  batch_source(const batch_source&) = default;
  batch_source(batch_source&&) = default;
  batch_source& operator=(const batch_source&) = default;
  batch_source& operator=(batch_source&&) = default;
};

// Throws unless there are samples of a positive width.
inline void validate(const source_shape& shape) {
  if (shape.samples > 0 && shape.features > 0 && shape.outputs > 0) return;
  throw error("checking a source of batches",
              "it has " + std::to_string(shape.samples) + " samples of " + std::to_string(shape.features) +
                  " features and " + std::to_string(shape.outputs) + " outputs",
              "give at least one of each");
}

}  // namespace plexus::inline PLEXUS_ABI
