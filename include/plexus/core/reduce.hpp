// Sums in a fixed order: the same values give the same bits on every run of a device.
#pragma once

#include <plexus/core/for_each.hpp>
#include <plexus/core/view.hpp>

namespace plexus::inline PLEXUS_ABI {

// Σ of a row, in double.
template <class Group>
PLEXUS_FN double row_sum(Group group, matrix_view<const float> values, int row) {
  double sum = 0;
  for (int j = group.rank(); j < values.cols; j += group.size()) sum += static_cast<double>(values(row, j));
  return group.sum(sum);
}

// totals[i] += Σ of row i, in double; for (rows, n) values.
struct add_row_sums {
  matrix_view<const float> values;
  double* totals;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const double sum = row_sum(group, values, row);
    if (group.rank() == 0) totals[row] += sum;
  }
};

}  // namespace plexus::inline PLEXUS_ABI
