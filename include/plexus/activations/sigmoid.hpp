// S(z) = 1 / (1 + e^−z), S' = S (1 − S)
#pragma once

#include <plexus/platform.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct sigmoid {
  // e^−z overflows to infinity below z = −88, and 1/∞ = 0 is the right limit.
  PLEXUS_FN float operator()(float z) const { return 1 / (1 + expf(-z)); }
  PLEXUS_FN float derivative(float z) const { return derivative_from_output((*this)(z)); }
  PLEXUS_FN float derivative_from_output(float a) const { return a * (1 - a); }
};

}  // namespace plexus::inline PLEXUS_ABI
