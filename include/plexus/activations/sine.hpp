// sin z, with derivative cos z
//
// V. Sitzmann et al., "Implicit neural representations with periodic activation functions", 2020: weights
// uniform in ±√(6 / fan_in) keep the deviation of z at 1 from layer to layer. ω₀ is a factor of the inputs.
#pragma once

#include <plexus/core/initializers.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct sine {
  using initializer = he_uniform;

  PLEXUS_FN float operator()(float z) const { return sinf(z); }
  PLEXUS_FN float derivative(float z) const { return cosf(z); }
};

}  // namespace plexus::inline PLEXUS_ABI
