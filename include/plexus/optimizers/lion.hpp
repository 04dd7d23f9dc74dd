// Lion: steps of the same size for all parameters, by the sign of a mix of gradient and momentum.
//
//   w ← w − η (sign(β₁ m + (1 − β₁) g) + λ w),   m ← β₂ m + (1 − β₂) g
//
// Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023, program 1. Its rate is a third
// to a tenth of AdamW's, its weight decay λ as many times larger (section 5).
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/core/sign.hpp>
#include <plexus/optimizers/moments.hpp>
#include <plexus/optimizers/update.hpp>

namespace plexus::inline PLEXUS_ABI {

struct lion {
  static constexpr const char* name = "lion";

  float rate = 1e-4f;
  float beta1 = 0.9f;
  float beta2 = 0.99f;
  float weight_decay = 0;

  int state_count() const { return 1; }

  void validate() const {
    const char* doing = "configuring lion";
    require_positive(doing, "rate", rate, "1e-4");
    require_fraction(doing, "beta1", beta1, "0.9");
    require_fraction(doing, "beta2", beta2, "0.99");
    require_not_negative(doing, "weight decay", weight_decay, "1e-2, or 0 for none");
  }

  PLEXUS_FN void operator()(float& w, float gradient, parameter_state state) const {
    float& m = state[0];
    const float direction = moved_mean(m, gradient, beta1);
    m = moved_mean(m, gradient, beta2);
    w -= rate * (sign(direction) + weight_decay * w);
  }
};

}  // namespace plexus::inline PLEXUS_ABI
