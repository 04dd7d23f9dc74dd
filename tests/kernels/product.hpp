// A product of random matrices, or a batch of them, and its elements in double.
#pragma once

#include "device_matrix.hpp"
#include "support/catch.hpp"

#include <plexus/kernels/gemm.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace plexus::kernel_test {

struct shape {
  int m, n, k;
  int count = 1;  // of products, whose matrices lie one below the other
};

// Every number as it is.
struct unrounded {
  template <class T>
  double operator()(T value) const {
    return static_cast<double>(static_cast<float>(value));
  }
};

// 16-bit numbers are multiplied as they are; of a float the 10 leading bits of the mantissa, rounded to
// nearest, ties away from zero.
struct as_by_tensor_cores : unrounded {
  using unrounded::operator();
  double operator()(float value) const {
    int exponent = 0;
    const double fraction = std::frexp(static_cast<double>(value), &exponent);
    return std::ldexp(std::round(std::ldexp(fraction, 11)), exponent - 11);
  }
};
// Multiplied says what a number is multiplied as.
template <layout L, class T = float, class Multiplied = unrounded>
struct product {
  using matrix = device_matrix_of<T>;
  shape size;
  matrix a, b;
  std::vector<double> values_a = all_multiplied(a), values_b = all_multiplied(b);

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
      sum += (L == layout::tn ? at(values_a, size.m, a_row + k, row) : at(values_a, size.k, a_row + row, k)) *
             (L == layout::nt ? at(values_b, size.k, b_row + j, k) : at(values_b, size.n, b_row + k, j));
    }
    return sum;
  }

 private:
  static std::vector<double> all_multiplied(const matrix& x) {
    std::vector<double> result;
    for (int i = 0; i < x.rows(); ++i) {
      for (int j = 0; j < x.cols(); ++j) result.push_back(Multiplied{}(x(i, j)));
    }
    return result;
  }

  static double at(const std::vector<double>& values, int cols, int row, int col) {
    return values[static_cast<std::size_t>(row) * static_cast<std::size_t>(cols) +
                  static_cast<std::size_t>(col)];
  }
};

// What the rounding of sums of k terms in FP32 may come to, relative to the larger of 1 and the sum.
inline double tolerance_of_sums(int k) { return 1e-6 * std::sqrt(std::max(k, 1)); }

// GPUs before sm_80 multiply FP32 as it is.
inline bool device_knows_tf32() {
  int major = 0;
  plexus::check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0),
                "asking for the capability");
  return major >= 8;
}

template <class T>
double tolerance_on_tensor_cores(int k) {
  static const bool rounded = device_knows_tf32();
  return std::is_same_v<T, float> && !rounded ? 0x1p-10 * std::sqrt(std::max(k, 1)) : tolerance_of_sums(k);
}

// Every element within `tolerance` of what is expected, relative to the larger of 1 and it, and nothing
// written beside them.
template <class T, class Expected>
void require_result(const context& on, device_matrix_of<T>& c, double tolerance, const Expected& expected) {
  c.download(on.stream());
  double worst = 0;
  int worst_row = 0, worst_col = 0;
  for (int i = 0; i < c.rows(); ++i) {
    for (int j = 0; j < c.cols(); ++j) {
      const double right = expected(i, j);
      const double difference =
          std::abs(static_cast<double>(static_cast<float>(c(i, j))) - right) / std::max(1.0, std::abs(right));
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
