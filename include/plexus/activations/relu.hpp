// max(z, 0), with derivative 0 at 0
#pragma once

#include <plexus/core/initializers.hpp>

namespace plexus::inline PLEXUS_ABI {

struct relu {
  using initializer = he_uniform;
  static constexpr bool is_gate = true;

  // Written so that a NaN stays one.
  PLEXUS_FN float operator()(float z) const { return z < 0 ? 0 : z; }
  PLEXUS_FN float derivative(float z) const { return z > 0 ? 1.0f : 0.0f; }
  PLEXUS_FN float derivative_from_output(float a) const { return derivative(a); }
};

}  // namespace plexus::inline PLEXUS_ABI
