// Cross-entropy of the sigmoid S of each output (logit): C = −1/(n·width) Σₓ Σⱼ (p yⱼ ln S(aⱼ) +
// (1 − yⱼ) ln(1 − S(aⱼ))), with p the positive weight. PyTorch's BCEWithLogitsLoss with one pos_weight.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/losses/loss.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

// Give the last layer no activation. Targets are probabilities; with labels it is one output against the
// rest.
struct binary_cross_entropy {
  float positive_weight = 1;  // the number of negative samples over that of positive ones balances the two

  void validate() const {
    require_positive("configuring binary_cross_entropy", "positive weight", positive_weight,
                     "negative samples over positive ones, or 1");
  }

  // −ln S(a) = ln(1 + e^−a) and −ln(1 − S(a)) = ln(1 + e^a), as in softplus.hpp: nothing overflows. Sigmoid
  // and loss fold into one slope, (1 − y) S(a) − p y S(−a), which without a weight is S(a) − y.
  PLEXUS_FN loss_term operator()(float a, float y) const {
    const float e = expf(-fabsf(a)), logarithm = log1pf(e);
    const float larger = 1 / (1 + e), smaller = e / (1 + e);  // S(|a|), S(−|a|)
    const float positive = positive_weight * y, negative = 1 - y;
    return {negative * (fmaxf(a, 0) + logarithm) + positive * (fmaxf(-a, 0) + logarithm),
            a > 0 ? negative * larger - positive * smaller : negative * smaller - positive * larger};
  }

  PLEXUS_FN bool agrees(float a, float y) const { return (a > 0) == (y > 0.5f); }
};

}  // namespace plexus::inline PLEXUS_ABI
