// Adagrad: steps divided by the root of the sum of all g².
//
//   s ← s + g²,   w ← w − η / (1 + (t − 1) d) · g / (√s + ε)
//
// Duchi, Hazan & Singer, "Adaptive subgradient methods for online learning and stochastic optimization", JMLR
// 12, 2011. As PyTorch defines it, with its rate_decay d; weight decay λ adds λ w to g.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/optimizers/update.hpp>

namespace plexus::inline PLEXUS_ABI {

struct adagrad {
  static constexpr const char* name = "adagrad";

  float rate = 1e-2f;
  float rate_decay = 0;
  float epsilon = 1e-10f;
  float weight_decay = 0;

  int state_count() const { return 1; }

  void validate() const {
    const char* doing = "configuring adagrad";
    require_positive(doing, "rate", rate, "1e-2");
    require_not_negative(doing, "rate decay", rate_decay, "1e-3, or 0 for none");
    require_positive(doing, "epsilon", epsilon, "1e-10");
    require_not_negative(doing, "weight decay", weight_decay, "1e-4, or 0 for none");
  }

  struct step {
    float rate, epsilon, weight_decay;

    PLEXUS_FN void operator()(float& w, float gradient, parameter_state state) const {
      const float g = gradient + weight_decay * w;
      float& sum = state[0];
      sum += g * g;
      w -= rate * g / (sqrtf(sum) + epsilon);
    }
  };

  PLEXUS_FN step at(const update_moment& moment) const {
    const float updates = static_cast<float>(moment.step - 1);
    return {rate / (1 + updates * rate_decay), epsilon, weight_decay};
  }
};

}  // namespace plexus::inline PLEXUS_ABI
