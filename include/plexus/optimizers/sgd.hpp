// Stochastic gradient descent: w ← w − (η/m) Σⱼ ∂C_Xj/∂w, the mean over the mini-batch being in the gradient
// already.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/optimizers/update.hpp>

namespace plexus::inline PLEXUS_ABI {

// With momentum μ: v ← μ v + g, w ← w − η v; Nesterov's form steps along g + μ v. Weight decay λ adds λ w to
// g. As PyTorch's SGD defines them.
struct sgd {
  static constexpr const char* name = "sgd";

  float rate = 0.01f;
  float momentum = 0;
  float weight_decay = 0;
  bool nesterov = false;

  int state_count() const { return momentum != 0 ? 1 : 0; }

  void validate() const {
    const char* doing = "configuring sgd";
    require_positive(doing, "rate", rate, "0.1");
    require_fraction(doing, "momentum", momentum, "0.9, or 0 for none");
    require_not_negative(doing, "weight decay", weight_decay, "1e-4, or 0 for none");
    require(!nesterov || momentum > 0, doing, "Nesterov's step is asked for without momentum",
            "set a momentum, or nesterov = false");
  }

  PLEXUS_FN void operator()(float& w, float gradient, parameter_state state) const {
    const float g = gradient + weight_decay * w;
    if (momentum == 0) {
      w -= rate * g;
    } else {
      float& velocity = state[0];
      velocity = momentum * velocity + g;
      w -= rate * (nesterov ? g + momentum * velocity : velocity);
    }
  }
};

}  // namespace plexus::inline PLEXUS_ABI
