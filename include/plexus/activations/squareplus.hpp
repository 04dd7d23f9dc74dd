// ½ (z + √(z² + 4)) = h + r with h = z/2 and r = √(h² + 1); derivative σ / 2r = σ / (σ + 1/σ)
//
// J. T. Barron, "Squareplus: a softplus-like algebraic rectifier", 2021, with b = 4.
#pragma once

#include <plexus/core/initializers.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct squareplus {
  using initializer = he_uniform;

  // σ(−z) = 1 / σ(z): h + r would cancel where z is negative. hypot does not overflow as h² does.
  PLEXUS_FN float operator()(float z) const {
    const float larger = fabsf(0.5f * z) + hypotf(0.5f * z, 1);
    return z < 0 ? 1 / larger : larger;
  }
  PLEXUS_FN float derivative(float z) const { return 0.5f * (*this)(z) / hypotf(0.5f * z, 1); }
  PLEXUS_FN float derivative_from_output(float a) const { return a / (a + 1 / a); }
};

}  // namespace plexus::inline PLEXUS_ABI
