// tanh z, tanh' = 1 − tanh²
#pragma once

#include <plexus/platform.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct tanh {
  PLEXUS_FN float operator()(float z) const { return tanhf(z); }
  PLEXUS_FN float derivative(float z) const { return derivative_from_output((*this)(z)); }
  PLEXUS_FN float derivative_from_output(float a) const { return 1 - a * a; }
};

}  // namespace plexus::inline PLEXUS_ABI
