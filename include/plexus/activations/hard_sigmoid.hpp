// min(max(z + 3, 0), 6) / 6, with derivative 1/6 between −3 and 3, and 0 from there on
//
// A. Howard et al., "Searching for MobileNetV3", 2019, section 5.2; PyTorch's nn.Hardsigmoid.
#pragma once

#include <plexus/platform.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct hard_sigmoid {
  // Written so that a NaN stays one.
  PLEXUS_FN float operator()(float z) const { return z <= -3 ? 0 : z >= 3 ? 1 : (z + 3) / 6; }
  PLEXUS_FN float derivative(float z) const { return fabsf(z) < 3 ? 1.0f / 6 : 0; }
  // An output that was rounded to 1 counts as saturated, as a z that was rounded to 3 would.
  PLEXUS_FN float derivative_from_output(float a) const { return a > 0 && a < 1 ? 1.0f / 6 : 0; }
};

}  // namespace plexus::inline PLEXUS_ABI
