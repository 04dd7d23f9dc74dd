// The mean absolute error: C = 1/(n·width) Σₓ Σⱼ |aⱼ − yⱼ|, PyTorch's L1Loss.
#pragma once

#include <plexus/core/sign.hpp>
#include <plexus/losses/loss.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct mean_absolute {
  // At the kink the slope is 0.
  PLEXUS_FN loss_term operator()(float a, float y) const { return {fabsf(a - y), sign(a - y)}; }
};

}  // namespace plexus::inline PLEXUS_ABI
