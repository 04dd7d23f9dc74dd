// Sums in a fixed order: the same values give the same bits on every run of a device.
#pragma once

#include <plexus/core/for_each.hpp>
#include <plexus/core/view.hpp>

namespace plexus::inline PLEXUS_ABI {

// totals[i] += Σ of row i, in double; for (rows, n) values.
struct add_row_sums {
  matrix_view<const float> values;
  double* totals;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    double sum = 0;
    for (int j = group.rank(); j < values.cols; j += group.size()) sum += static_cast<double>(values(row, j));
    sum = group.sum(sum);
    if (group.rank() == 0) totals[row] += sum;
  }
};

}  // namespace plexus::inline PLEXUS_ABI
