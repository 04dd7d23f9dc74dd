// Softmax of every row: p(i, j) = exp z(i, j) / Σₖ exp z(i, k).
#pragma once

#include <plexus/core/context.hpp>
#include <plexus/core/for_each.hpp>
#include <plexus/core/view.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {
namespace kernels {

// With the row's maximum m subtracted no exp overflows: p = exp(z − m) / Σ exp(z − m).
template <class T>
struct softmax_of {
  const T* z;
  float maximum, scale;

  template <class Group>
  PLEXUS_FN softmax_of(Group group, const T* from, int width) : z(from) {
    maximum = static_cast<float>(z[0]);
    for (int col = group.rank(); col < width; col += group.size())
      maximum = fmaxf(maximum, static_cast<float>(z[col]));
    maximum = group.max(maximum);
    float sum = 0;
    for (int col = group.rank(); col < width; col += group.size()) sum += exponential(col);
    scale = 1 / group.sum(sum);
  }

  PLEXUS_FN float operator()(int col) const { return exponential(col) * scale; }

 private:
  PLEXUS_FN float exponential(int col) const { return expf(static_cast<float>(z[col]) - maximum); }
};

template <class T, class Out>
struct softmax_row {
  matrix_view<const T> z;
  matrix_view<Out> p;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const softmax_of<T> softmax(group, z.row(row), z.cols);
    for (int col = group.rank(); col < z.cols; col += group.size())
      p(row, col) = static_cast<Out>(softmax(col));
  }
};

// dz_j = p_j (δ_j − Σₖ δ_k p_k)
template <class T, class Epilogue>
struct softmax_row_backward {
  matrix_view<const T> z, delta;
  Epilogue dz;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const softmax_of<T> softmax(group, z.row(row), z.cols);
    const T* const slope = delta.row(row);
    float sum = 0;
    for (int col = group.rank(); col < z.cols; col += group.size())
      sum += static_cast<float>(slope[col]) * softmax(col);
    sum = group.sum(sum);
    for (int col = group.rank(); col < z.cols; col += group.size())
      dz(row, col, softmax(col) * (static_cast<float>(slope[col]) - sum));
  }
};

}  // namespace kernels

// p (n, classes) = softmax of the rows of z (n, classes); p may be z.
inline void softmax_rows(context& context, matrix_view<const float> z, matrix_view<float> p) {
  require(z.rows == p.rows && z.cols == p.cols, "taking the softmax of rows", "z and p differ in shape",
          "give a result of the same shape as the input");
  if (z.cols == 0) return;
  for_each_row(context.stream(), z.rows, kernels::softmax_row<float, float>{z, p});
}

}  // namespace plexus::inline PLEXUS_ABI
