// z tanh(ln(1 + w)) with w = e^z, which is z n / (n + 2) with n = w (w + 2); derivative
// n / (n + 2) + 4 z w (1 + w) / (n + 2)²
//
// D. Misra, "Mish: a self regularized non-monotonic activation function", 2020.
#pragma once

#include <plexus/core/initializers.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct mish {
  using initializer = he_uniform;

  PLEXUS_FN float operator()(float z) const {
    const float w = expf(bounded(z)), n = w * (w + 2);
    return z * (n / (n + 2));
  }
  PLEXUS_FN float derivative(float z) const {
    const float x = bounded(z), w = expf(x), n = w * (w + 2), m = n + 2;
    return n / m + x * (4 * w * (1 + w) / (m * m));
  }

 private:
  // Above 20 mish is z in FP32, and w would overflow. A NaN stays one.
  PLEXUS_FN static float bounded(float z) { return z > 20 ? 20 : z; }
};

}  // namespace plexus::inline PLEXUS_ABI
