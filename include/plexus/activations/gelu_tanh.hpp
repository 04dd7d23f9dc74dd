// gelu's approximation ½ z (1 + tanh u) with u = √(2/π) (z + 0.044715 z³): z S(2u), with the sigmoid S;
// derivative S + 2 z u' S (1 − S)
//
// D. Hendrycks, K. Gimpel, "Gaussian error linear units (GELUs)", 2016; PyTorch's approximate='tanh'.
#pragma once

#include <plexus/core/initializers.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct gelu_tanh {
  using initializer = he_uniform;

  PLEXUS_FN float operator()(float z) const { return z * gate(z); }
  PLEXUS_FN float derivative(float z) const {
    const float s = gate(z);
    return s + z * s * (1 - s) * (twice_scale * (1 + 3 * cubic * square(z)));
  }

 private:
  static constexpr float twice_scale = 1.59576912f;  // 2 √(2/π)
  static constexpr float cubic = 0.044715f;

  // S(2u)
  PLEXUS_FN static float gate(float z) { return 1 / (1 + expf(-twice_scale * z * (1 + cubic * square(z)))); }

  // z², but at most 100, where S is 0 or 1 in FP32: 0 · ∞ would be NaN.
  PLEXUS_FN static float square(float z) { return fminf(z * z, 100); }
};

}  // namespace plexus::inline PLEXUS_ABI
