// The lecture's quadratic cost: C = 1/(2n) Σₓ ‖y(x) − a‖².
#pragma once

#include <plexus/platform.hpp>

namespace plexus::inline PLEXUS_ABI {

struct quadratic {
  // One sample's ½‖y − a‖², the group sharing its `width` outputs. gradient(j, a_j − y_j) takes ∂C/∂a_j of
  // this sample; the mean over the n samples is the caller's.
  template <class Group, class Target, class Gradient>
  PLEXUS_FN float operator()(Group group, const float* a, Target y, int width, Gradient gradient) const {
    float sum = 0;
    for (int j = group.rank(); j < width; j += group.size()) {
      const float difference = a[j] - y(j);
      gradient(j, difference);
      sum += difference * difference;
    }
    return group.sum(sum) / 2;
  }
};

}  // namespace plexus::inline PLEXUS_ABI
