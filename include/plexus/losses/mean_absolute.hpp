// The mean absolute error: C = 1/(n·width) Σₓ Σⱼ |aⱼ − yⱼ|, PyTorch's L1Loss.
#pragma once

#include <plexus/losses/loss.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct mean_absolute {
  PLEXUS_FN loss_term operator()(float a, float y) const { return {fabsf(a - y), slope(a - y)}; }

  // Of |difference|: at 0 it is 0. NaN stays NaN.
  PLEXUS_FN static float slope(float difference) {
    return difference > 0 ? 1.0f : difference < 0 ? -1.0f : difference;
  }
};

}  // namespace plexus::inline PLEXUS_ABI
