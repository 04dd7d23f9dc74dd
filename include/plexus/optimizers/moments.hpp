// Running means over the updates, as Adam and its kin keep them.
#pragma once

#include <plexus/platform.hpp>

#include <cmath>
#include <cstdint>

namespace plexus::inline PLEXUS_ABI {

// β mean + (1 − β) value
PLEXUS_FN inline float moved_mean(float mean, float value, float beta) {
  return mean + (1 - beta) * (value - mean);
}

// 1 − βᵗ, by which such a mean that began at 0 is too small after t values (Kingma & Ba 2015, section 3).
PLEXUS_FN inline float bias_of_mean(float beta, std::uint64_t t) {
  return static_cast<float>(-expm1(static_cast<double>(t) * log(static_cast<double>(beta))));
}

}  // namespace plexus::inline PLEXUS_ABI
