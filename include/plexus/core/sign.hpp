// The sign of a number.
#pragma once

#include <plexus/platform.hpp>

namespace plexus::inline PLEXUS_ABI {

// 1, −1, or 0 where x is 0. NaN stays NaN.
PLEXUS_FN inline float sign(float x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : x; }

}  // namespace plexus::inline PLEXUS_ABI
