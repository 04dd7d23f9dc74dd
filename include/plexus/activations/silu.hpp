// z S(z), with the sigmoid S(z) = 1 / (1 + e^−z) and derivative S (1 + z (1 − S)); also called swish
//
// S. Elfwing, E. Uchibe, K. Doya, "Sigmoid-weighted linear units for neural network function approximation in
// reinforcement learning", 2018.
#pragma once

#include <plexus/core/initializers.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct silu {
  using initializer = he_uniform;

  // e^−z overflows to infinity below z = −88, and z/∞ = 0 is right.
  PLEXUS_FN float operator()(float z) const { return z / (1 + expf(-z)); }
  PLEXUS_FN float derivative(float z) const {
    const float s = 1 / (1 + expf(-z));
    return s * (1 + z * (1 - s));
  }
};

}  // namespace plexus::inline PLEXUS_ABI
