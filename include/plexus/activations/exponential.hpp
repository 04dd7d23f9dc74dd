// e^z, its own derivative: for outputs that are positive, such as rates. Above z = 88.7 FP32 holds only ∞.
#pragma once

#include <plexus/platform.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct exponential {
  PLEXUS_FN float operator()(float z) const { return expf(z); }
  PLEXUS_FN float derivative(float z) const { return expf(z); }
  PLEXUS_FN float derivative_from_output(float a) const { return a; }
};

}  // namespace plexus::inline PLEXUS_ABI
