// Cross-entropy of the softmax of the outputs (logits): C = −1/n Σₓ Σⱼ yⱼ ln pⱼ, p = softmax(a).
#pragma once

#include <plexus/platform.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct softmax_cross_entropy {
  // One sample's −Σ yⱼ ln pⱼ = Σ yⱼ (ln Σᵢ e^aᵢ − aⱼ), by log-sum-exp with the maximum taken out so that
  // nothing overflows. Softmax and loss fold into one gradient: ∂C/∂aⱼ = pⱼ Σ y − yⱼ.
  template <class Group, class Target, class Gradient>
  PLEXUS_FN float operator()(Group group, const float* a, Target y, int width, Gradient gradient) const {
    float largest = -INFINITY;
    for (int j = group.rank(); j < width; j += group.size()) largest = fmaxf(largest, a[j]);
    largest = group.max(largest);

    float exponentials = 0, mass = 0, expected = 0;
    for (int j = group.rank(); j < width; j += group.size()) {
      const float shifted = a[j] - largest;
      const float weight = y(j);
      exponentials += expf(shifted);
      mass += weight;
      expected += weight * shifted;
    }
    exponentials = group.sum(exponentials);
    mass = group.sum(mass);
    expected = group.sum(expected);

    for (int j = group.rank(); j < width; j += group.size()) {
      gradient(j, expf(a[j] - largest) / exponentials * mass - y(j));
    }
    return mass * logf(exponentials) - expected;
  }
};

}  // namespace plexus::inline PLEXUS_ABI
