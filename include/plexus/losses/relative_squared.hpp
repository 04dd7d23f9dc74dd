// The squared error relative to the output: C = 1/(n·width) Σₓ Σⱼ (aⱼ − yⱼ)² / (aⱼ² + ε), for targets of many
// orders of magnitude such as radiance (Lehtinen et al., "Noise2Noise", 2018; tiny-cuda-nn's RelativeL2).
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/losses/loss.hpp>

namespace plexus::inline PLEXUS_ABI {

struct relative_squared {
  float epsilon = 0.01f;

  void validate() const { require_positive("configuring relative_squared", "epsilon", epsilon, "0.01"); }

  // The slope holds the denominator constant, so it is not C's: a noisy y is then still met in its mean, and
  // no output grows for the denominator's sake.
  PLEXUS_FN loss_term operator()(float a, float y) const {
    const float difference = a - y, denominator = a * a + epsilon;
    return {difference * difference / denominator, 2 * difference / denominator};
  }
};

}  // namespace plexus::inline PLEXUS_ABI
