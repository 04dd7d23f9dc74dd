// λ z where z > 0, else λα (e^z − 1); σ' = λ or λα e^z = σ + λα
//
// G. Klambauer et al., "Self-normalizing neural networks", 2017, eq. 2. For its λ and α, mean 0 and variance
// 1 are a fixed point of layers whose weights have mean 0 and variance 1 / fan_in.
#pragma once

#include <plexus/core/initializers.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct selu {
  using initializer = lecun_normal;

  static constexpr float lambda = 1.05070099f;
  static constexpr float lambda_alpha = 1.75809934f;  // α = 1.67326324
  PLEXUS_FN float operator()(float z) const { return z > 0 ? lambda * z : lambda_alpha * expm1f(z); }
  PLEXUS_FN float derivative(float z) const { return z > 0 ? lambda : lambda_alpha * expf(z); }
  PLEXUS_FN float derivative_from_output(float a) const { return a > 0 ? lambda : a + lambda_alpha; }
};

}  // namespace plexus::inline PLEXUS_ABI
