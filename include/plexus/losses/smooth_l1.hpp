// L1 with its kink rounded off (Girshick, "Fast R-CNN", 2015): C = 1/(n·width) Σₓ Σⱼ s(aⱼ − yⱼ) with
// s(d) = d²/(2β) where |d| < β, else |d| − β/2. PyTorch's SmoothL1Loss; β times it is huber{.delta = β}, and
// with β = 0 it is mean_absolute.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/losses/mean_absolute.hpp>

namespace plexus::inline PLEXUS_ABI {

struct smooth_l1 {
  float beta = 1;

  void validate() const {
    require(std::isfinite(beta) && beta >= 0, "configuring smooth_l1", "beta is not a number ≥ 0",
            "choose a beta such as 1, or 0 for mean_absolute");
  }

  PLEXUS_FN loss_term operator()(float a, float y) const {
    const float difference = a - y, distance = fabsf(difference);
    if (distance >= beta) return {distance - beta / 2, mean_absolute::slope(difference)};
    return {difference * difference / (2 * beta), difference / beta};
  }
};

}  // namespace plexus::inline PLEXUS_ABI
