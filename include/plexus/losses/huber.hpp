// Huber's loss ("Robust estimation of a location parameter", 1964): C = 1/(n·width) Σₓ Σⱼ h(aⱼ − yⱼ) with
// h(d) = d²/2 where |d| ≤ δ, else δ(|d| − δ/2). PyTorch's HuberLoss; δ times smooth_l1{.beta = δ}.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/losses/loss.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct huber {
  float delta = 1;

  void validate() const { require_positive("configuring huber", "delta", delta, "1"); }

  PLEXUS_FN loss_term operator()(float a, float y) const {
    const float difference = a - y, distance = fabsf(difference);
    if (distance > delta) return {delta * (distance - delta / 2), copysignf(delta, difference)};
    return {difference * difference / 2, difference};
  }
};

}  // namespace plexus::inline PLEXUS_ABI
