// z where z > 0, else slope · z, with 0 < slope < 1; PyTorch's default slope is 0.01
#pragma once

#include <plexus/core/initializers.hpp>

namespace plexus::inline PLEXUS_ABI {

struct leaky_relu {
  using initializer = he_uniform;

  static constexpr float slope = 0.01f;
  PLEXUS_FN float operator()(float z) const { return z > 0 ? z : slope * z; }
  PLEXUS_FN float derivative(float z) const { return z > 0 ? 1.0f : slope; }
  // The slope is positive, so the output has the sign of z.
  PLEXUS_FN float derivative_from_output(float a) const { return derivative(a); }
};

}  // namespace plexus::inline PLEXUS_ABI
