// Softmax of every row: p(i, j) = exp z(i, j) / Σₖ exp z(i, k).
#pragma once

#include <plexus/core/context.hpp>
#include <plexus/core/for_each.hpp>
#include <plexus/core/view.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {
namespace kernels {

// With the row's maximum m subtracted no exp overflows: p = exp(z − m) / Σ exp(z − m).
struct softmax_row {
  matrix_view<const float> z;
  matrix_view<float> p;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const float* from = z.row(row);
    float* to = p.row(row);
    float maximum = from[0];
    for (int col = group.rank(); col < z.cols; col += group.size()) maximum = fmaxf(maximum, from[col]);
    maximum = group.max(maximum);
    float sum = 0;
    for (int col = group.rank(); col < z.cols; col += group.size()) {
      to[col] = expf(from[col] - maximum);
      sum += to[col];
    }
    const float scale = 1 / group.sum(sum);
    for (int col = group.rank(); col < z.cols; col += group.size()) to[col] *= scale;
  }
};

}  // namespace kernels

// p (n, classes) = softmax of the rows of z (n, classes); p may be z.
inline void softmax_rows(context& context, matrix_view<const float> z, matrix_view<float> p) {
  require(z.rows == p.rows && z.cols == p.cols, "taking the softmax of rows", "z and p differ in shape",
          "give a result of the same shape as the input");
  if (z.cols == 0) return;
  for_each_row(context.stream(), z.rows, kernels::softmax_row{z, p});
}

}  // namespace plexus::inline PLEXUS_ABI
