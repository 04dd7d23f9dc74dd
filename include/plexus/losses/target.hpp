// What a batch of outputs is compared with: class numbers or values; and what each sample's loss counts.
#pragma once

#include <plexus/core/view.hpp>

namespace plexus::inline PLEXUS_ABI {

// Targets in device memory. Exactly one of `labels` (n) and `values` (n, width; row-major, leading dimension
// ld) is given; a label stands for the vector that is 1 at its place and 0 elsewhere. A sample's loss is
// multiplied by its weight (n), where there are weights.
struct target_view {
  const int* labels = nullptr;
  const float* values = nullptr;
  int ld = 0;
  const float* weights = nullptr;

  PLEXUS_FN float operator()(int row, int j) const {
    return labels != nullptr ? (labels[row] == j ? 1.0f : 0.0f) : value_row(row)[j];
  }
  PLEXUS_FN const float* value_row(int row) const { return values + static_cast<std::ptrdiff_t>(row) * ld; }

  PLEXUS_FN float weight(int row) const { return weights != nullptr ? weights[row] : 1; }

  // The targets of the rows from `first` on.
  PLEXUS_FN target_view from(int first) const {
    target_view rest = *this;
    if (labels != nullptr) {
      rest.labels += first;
    } else {
      rest.values = value_row(first);
    }
    if (weights != nullptr) rest.weights += first;
    return rest;
  }
};

}  // namespace plexus::inline PLEXUS_ABI
