// Epilogues: what a product does with each finished element, while it is still in a register.
//
// An epilogue is a trivially copyable object with a member `c`, the matrix whose shape the product has, and
// operator()(row, col, acc), called once for every element. `accumulates` says that the old value of c
// counts. acc is in FP32 whatever the matrices' element type T is: an element is rounded once, when it is
// stored.
#pragma once

#include <plexus/core/view.hpp>

namespace plexus::inline PLEXUS_ABI {

// C = acc
struct store {
  static constexpr bool accumulates = false;
  matrix_view<float> c;
  PLEXUS_FN void operator()(int row, int col, float acc) const { c(row, col) = acc; }
};

// C += acc
struct accumulate {
  static constexpr bool accumulates = true;
  matrix_view<float> c;
  PLEXUS_FN void operator()(int row, int col, float acc) const { c(row, col) += acc; }
};

// The bias of a layer without one.
struct no_bias_term {
  PLEXUS_FN float operator[](int) const { return 0; }
};

// A = f(acc + bias), the bias a row (n) added to every row.
template <class Activation, class Bias, class T = float>
struct bias_activation {
  static constexpr bool accumulates = false;
  matrix_view<T> c;
  Bias bias;  // const float* or no_bias_term
  Activation activation;
  PLEXUS_FN void operator()(int row, int col, float acc) const {
    c(row, col) = static_cast<T>(activation(acc + bias[col]));
  }
};
template <class Activation, class Bias, class T>
bias_activation(matrix_view<T>, Bias, Activation) -> bias_activation<Activation, Bias, T>;

// Z = acc + bias and A = f(Z): for activations whose derivative needs z.
template <class Activation, class Bias, class T = float, class Kept = float>
struct bias_activation_keep {
  static constexpr bool accumulates = false;
  matrix_view<T> c;
  Bias bias;  // const float* or no_bias_term
  Activation activation;
  matrix_view<Kept> z;
  PLEXUS_FN void operator()(int row, int col, float acc) const {
    const float sum = acc + bias[col];
    z(row, col) = static_cast<Kept>(sum);
    c(row, col) = static_cast<T>(activation(sum));
  }
};
template <class Activation, class Bias, class T, class Kept>
bias_activation_keep(matrix_view<T>, Bias, Activation, matrix_view<Kept>)
    -> bias_activation_keep<Activation, Bias, T, Kept>;

// BP2: δ = acc ⊙ f'(z), with derivative(row, col) = f'(z(row, col)).
template <class Derivative, class T = float>
struct times_derivative {
  static constexpr bool accumulates = false;
  matrix_view<T> c;
  Derivative derivative;
  PLEXUS_FN void operator()(int row, int col, float acc) const {
    c(row, col) = static_cast<T>(acc * derivative(row, col));
  }
};
template <class Derivative, class T>
times_derivative(matrix_view<T>, Derivative) -> times_derivative<Derivative, T>;

}  // namespace plexus::inline PLEXUS_ABI
