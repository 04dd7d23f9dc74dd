// ln(1 + e^z), with derivative S(z) = 1 − e^−softplus(z)
#pragma once

#include <plexus/core/initializers.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct softplus {
  using initializer = he_uniform;

  // max(z, 0) + ln(1 + e^−|z|) overflows nowhere.
  PLEXUS_FN float operator()(float z) const { return fmaxf(z, 0) + log1pf(expf(-fabsf(z))); }
  PLEXUS_FN float derivative(float z) const { return 1 / (1 + expf(-z)); }
  PLEXUS_FN float derivative_from_output(float a) const { return -expm1f(-a); }
};

}  // namespace plexus::inline PLEXUS_ABI
