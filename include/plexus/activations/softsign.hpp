// z / (1 + |z|), with derivative 1 / (1 + |z|)² = (1 − |σ|)²
//
// X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
#pragma once

#include <plexus/platform.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct softsign {
  PLEXUS_FN float operator()(float z) const { return z / (1 + fabsf(z)); }
  PLEXUS_FN float derivative(float z) const {
    const float root = 1 / (1 + fabsf(z));
    return root * root;
  }
  PLEXUS_FN float derivative_from_output(float a) const { return (1 - fabsf(a)) * (1 - fabsf(a)); }
};

}  // namespace plexus::inline PLEXUS_ABI
