// RMSprop: steps divided by the root of a running mean of g².
//
//   v ← α v + (1 − α) g²,   w ← w − η g / (√v + ε);   with momentum μ: u ← μ u + g / (√v + ε), w ← w − η u
//
// Tieleman & Hinton, "Neural networks for machine learning", lecture 6e, 2012. As PyTorch defines it; weight
// decay λ adds λ w to g.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/optimizers/moments.hpp>
#include <plexus/optimizers/update.hpp>

namespace plexus::inline PLEXUS_ABI {

struct rmsprop {
  static constexpr const char* name = "rmsprop";

  float rate = 1e-2f;
  float alpha = 0.99f;
  float epsilon = 1e-8f;
  float momentum = 0;
  float weight_decay = 0;

  int state_count() const { return momentum != 0 ? 2 : 1; }

  void validate() const {
    const char* doing = "configuring rmsprop";
    require_positive(doing, "rate", rate, "1e-2");
    require_fraction(doing, "alpha", alpha, "0.99");
    require_positive(doing, "epsilon", epsilon, "1e-8");
    require_fraction(doing, "momentum", momentum, "0.9, or 0 for none");
    require_not_negative(doing, "weight decay", weight_decay, "1e-4, or 0 for none");
  }

  PLEXUS_FN void operator()(float& w, float gradient, parameter_state state) const {
    const float g = gradient + weight_decay * w;
    float& v = state[0];
    v = moved_mean(v, g * g, alpha);
    const float step = g / (sqrtf(v) + epsilon);
    if (momentum == 0) {
      w -= rate * step;
    } else {
      float& u = state[1];
      u = momentum * u + step;
      w -= rate * u;
    }
  }
};

}  // namespace plexus::inline PLEXUS_ABI
