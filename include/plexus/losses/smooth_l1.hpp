// L1 with its kink rounded off (Girshick, "Fast R-CNN", 2015): C = 1/(n·width) Σₓ Σⱼ s(aⱼ − yⱼ) with
// s(d) = d²/(2β) where |d| < β, else |d| − β/2. PyTorch's SmoothL1Loss; β times it is huber{.delta = β}, and
// with β = 0 it is mean_absolute.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/core/sign.hpp>
#include <plexus/losses/loss.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct smooth_l1 {
  float beta = 1;

  void validate() const {
    require_not_negative("configuring smooth_l1", "beta", beta, "1, or 0 for mean_absolute");
  }

  PLEXUS_FN loss_term operator()(float a, float y) const {
    const float difference = a - y, distance = fabsf(difference);
    if (distance >= beta) return {distance - beta / 2, sign(difference)};
    return {difference * difference / (2 * beta), difference / beta};
  }
};

}  // namespace plexus::inline PLEXUS_ABI
