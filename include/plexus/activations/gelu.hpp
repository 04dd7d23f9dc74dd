// z Φ(z), with Φ(z) = ½ erfc(−z/√2) and derivative Φ(z) + z φ(z), φ(z) = e^(−z²/2) / √(2π)
//
// D. Hendrycks, K. Gimpel, "Gaussian error linear units (GELUs)", 2016.
#pragma once

#include <plexus/core/initializers.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct gelu {
  using initializer = he_uniform;

  PLEXUS_FN float operator()(float z) const { return z * cumulative(z); }
  PLEXUS_FN float derivative(float z) const {
    return cumulative(z) + z * (0.398942280f * expf(-0.5f * z * z));
  }

 private:
  // Φ(z). 1 + erf would cancel where z is negative.
  PLEXUS_FN static float cumulative(float z) { return 0.5f * erfcf(-0.707106781f * z); }
};

}  // namespace plexus::inline PLEXUS_ABI
