// z where z > 0, else α (e^z − 1), with α = 1; σ' = 1 or α e^z = σ + α
//
// D.-A. Clevert, T. Unterthiner, S. Hochreiter, "Fast and accurate deep network learning by exponential
// linear units (ELUs)", 2016.
#pragma once

#include <plexus/core/initializers.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct elu {
  using initializer = he_uniform;

  static constexpr float alpha = 1;
  PLEXUS_FN float operator()(float z) const { return z > 0 ? z : alpha * expm1f(z); }
  PLEXUS_FN float derivative(float z) const { return z > 0 ? 1 : alpha * expf(z); }
  PLEXUS_FN float derivative_from_output(float a) const { return a > 0 ? 1 : a + alpha; }
};

}  // namespace plexus::inline PLEXUS_ABI
