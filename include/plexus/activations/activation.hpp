// What an activation is, and its derivative as backward uses it.
//
// An activation is a struct of two functions of the pre-activation z: float operator()(float z) const and
// float derivative(float z) const, both PLEXUS_FN. Where σ' is a function of the output a = σ(z) alone, a
// third, derivative_from_output(a), spares the network from keeping z.
#pragma once

#include <plexus/core/view.hpp>

#include <concepts>

namespace plexus::inline PLEXUS_ABI {

template <class A>
concept activation = requires(const A f, float z) {
  { f(z) } -> std::convertible_to<float>;
  { f.derivative(z) } -> std::convertible_to<float>;
};

template <class A>
concept output_differentiable = requires(const A f, float a) {
  { f.derivative_from_output(a) } -> std::convertible_to<float>;
};

// Whether σ' is 1 where the output is positive and 0 elsewhere: the activation says so by a member is_gate.
template <class A>
concept gate = output_differentiable<A> && A::is_gate;

// σ'(z) at (row, col) from what forward kept: the outputs a, or z where σ' needs it.
template <class Activation, class T = float>
struct activation_derivative {
  matrix_view<const T> kept;
  Activation f;

  PLEXUS_FN float operator()(int row, int col) const {
    const auto value = static_cast<float>(kept(row, col));
    if constexpr (output_differentiable<Activation>) {
      return f.derivative_from_output(value);
    } else {
      return f.derivative(value);
    }
  }
};

// The derivative of a layer's output that has no activation.
struct unit_derivative {
  PLEXUS_FN float operator()(int, int) const { return 1; }
};

}  // namespace plexus::inline PLEXUS_ABI
