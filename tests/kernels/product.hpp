// A product of random matrices, or a batch of them, and its elements in double.
#pragma once

#include "device_matrix.hpp"
#include "support/catch.hpp"

#include <plexus/kernels/gemm.hpp>

#include <algorithm>
#include <cmath>

namespace plexus::kernel_test {

struct shape {
  int m, n, k;
  int count = 1;  // of products, whose matrices lie one below the other
};

template <layout L, class T = float>
struct product {
  using matrix = device_matrix_of<T>;
  shape size;
  matrix a, b;

  product(generator& random, shape of, placement where_a, placement where_b)
      : size(of),
        a(L == layout::tn ? matrix::random(random, of.count * of.k, of.m, where_a)
                          : matrix::random(random, of.count * of.m, of.k, where_a)),
        b(L == layout::nt ? matrix::random(random, of.count * of.n, of.k, where_b)
                          : matrix::random(random, of.count * of.k, of.n, where_b)) {}

  double operator()(int i, int j) const {
    const int which = i / size.m, row = i % size.m;
    const int a_row = which * (L == layout::tn ? size.k : size.m);
    const int b_row = which * (L == layout::nt ? size.n : size.k);
    double sum = 0;
    for (int k = 0; k < size.k; ++k) {
      sum += static_cast<double>(L == layout::tn ? a(a_row + k, row) : a(a_row + row, k)) *
             static_cast<double>(L == layout::nt ? b(b_row + j, k) : b(b_row + k, j));
    }
    return sum;
  }
};

// Every element within 1e-6·√k, relative to the larger of 1 and itself, and nothing written beside them.
template <class Expected>
void require_result(context& context, device_matrix& c, int k, const Expected& expected) {
  c.download(context.stream());
  const double tolerance = 1e-6 * std::sqrt(std::max(k, 1));
  double worst = 0;
  int worst_row = 0, worst_col = 0;
  for (int i = 0; i < c.rows(); ++i) {
    for (int j = 0; j < c.cols(); ++j) {
      const double right = expected(i, j);
      const double difference =
          std::abs(static_cast<double>(c(i, j)) - right) / std::max(1.0, std::abs(right));
      if (!(difference <= worst)) {  // NaN counts as worst
        worst = difference;
        worst_row = i;
        worst_col = j;
      }
    }
  }
  INFO("worst at (" << worst_row << ", " << worst_col << ")");
  REQUIRE(worst <= tolerance);
  REQUIRE(c.guards_intact());
}

// An activation of which both halves, and the place of the bias, show in the result.
struct bent_line {
  PLEXUS_FN float operator()(float z) const { return z > 0 ? 2 * z : 0.5f * z; }
};
inline double bent_line_of(double z) { return z > 0 ? 2 * z : 0.5 * z; }

struct stored_factor {
  matrix_view<const float> factors;
  PLEXUS_FN float operator()(int row, int col) const { return factors(row, col); }
};

constexpr layout layouts[] = {layout::nt, layout::nn, layout::tn};

// Half of all matrices are aligned and without gaps, so that both widths of loads occur.
inline placement random_placement(generator& random) {
  if (random_int(random, 0, 1) == 0) return {};
  return {random_int(random, 0, 8), random_int(random, 0, 4)};
}

}  // namespace plexus::kernel_test
