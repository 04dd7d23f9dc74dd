// The mean squared error: C = 1/(n·width) Σₓ Σⱼ (aⱼ − yⱼ)², PyTorch's MSELoss. `quadratic` is width/2 times
// it.
#pragma once

#include <plexus/losses/loss.hpp>

namespace plexus::inline PLEXUS_ABI {

struct mean_squared {
  PLEXUS_FN loss_term operator()(float a, float y) const {
    const float difference = a - y;
    return {difference * difference, 2 * difference};
  }
};

}  // namespace plexus::inline PLEXUS_ABI
