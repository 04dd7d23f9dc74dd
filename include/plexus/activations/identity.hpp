// σ(z) = z
#pragma once

#include <plexus/platform.hpp>

namespace plexus::inline PLEXUS_ABI {

struct identity {
  PLEXUS_FN float operator()(float z) const { return z; }
  PLEXUS_FN float derivative(float) const { return 1; }
  PLEXUS_FN float derivative_from_output(float) const { return 1; }
};

}  // namespace plexus::inline PLEXUS_ABI
