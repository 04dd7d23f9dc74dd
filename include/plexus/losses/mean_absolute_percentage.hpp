// The mean absolute error in percent of the target: C = 100/(n·width) Σₓ Σⱼ |aⱼ − yⱼ| / max(|yⱼ|, ε), Keras's
// MeanAbsolutePercentageError.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/core/sign.hpp>
#include <plexus/losses/loss.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct mean_absolute_percentage {
  float epsilon = 1e-7f;  // the least that a target counts as; where targets may be 0, choose a larger one

  void validate() const {
    require_positive("configuring mean_absolute_percentage", "epsilon", epsilon, "1e-7");
  }

  PLEXUS_FN loss_term operator()(float a, float y) const {
    const float percent = 100 / fmaxf(fabsf(y), epsilon);
    return {percent * fabsf(a - y), percent * sign(a - y)};
  }
};

}  // namespace plexus::inline PLEXUS_ABI
