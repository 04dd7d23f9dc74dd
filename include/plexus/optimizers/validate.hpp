// What optimisers and schedules refuse.
#pragma once

#include <plexus/core/error.hpp>

#include <cmath>
#include <string>

namespace plexus::inline PLEXUS_ABI::detail {

inline void require_number(bool fits, const char* doing, const char* name, const char* demand,
                           const char* example) {
  if (!fits)
    throw error(doing, std::string("the ") + name + " is not " + demand,
                std::string("choose one such as ") + example);
}

inline void require_positive(const char* doing, const char* name, float value, const char* example) {
  require_number(std::isfinite(value) && value > 0, doing, name, "a positive number", example);
}

// In [0, 1).
inline void require_fraction(const char* doing, const char* name, float value, const char* example) {
  require_number(value >= 0 && value < 1, doing, name, "in [0, 1)", example);
}

inline void require_not_negative(const char* doing, const char* name, float value, const char* example) {
  require_number(std::isfinite(value) && value >= 0, doing, name, "a number ≥ 0", example);
}

// An optimiser of the user's may accept all numbers.
template <class Optimizer>
void validate_optimizer(const Optimizer& optimizer) {
  if constexpr (requires { optimizer.validate(); }) optimizer.validate();
}

}  // namespace plexus::inline PLEXUS_ABI::detail
