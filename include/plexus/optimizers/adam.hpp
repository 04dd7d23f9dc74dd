// Adam: a step in units of the gradient's own size, by running means of g and g².
//
//   m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,
//   w ← w − η m̂ / (√v̂ + ε),   m̂ = m / (1 − β₁ᵗ),   v̂ = v / (1 − β₂ᵗ)
//
// Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1. Adam with weight decay λ
// adds λ w to g; AdamW takes η λ w off w instead, whatever the gradients' size: Loshchilov & Hutter,
// "Decoupled weight decay regularization", ICLR 2019, algorithm 2. Both as PyTorch defines them.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/optimizers/moments.hpp>
#include <plexus/optimizers/update.hpp>

namespace plexus::inline PLEXUS_ABI {

namespace detail {

// What both are in one update.
struct adam_step {
  float beta1, beta2, epsilon;
  float added_decay;   // λ of Adam
  float kept;          // 1 − η λ of AdamW
  float step;          // η / (1 − β₁ᵗ)
  float inverse_root;  // 1 / √(1 − β₂ᵗ)

  PLEXUS_FN void operator()(float& w, float gradient, parameter_state state) const {
    float &m = state[0], &v = state[1];
    const float g = gradient + added_decay * w;
    m = moved_mean(m, g, beta1);
    v = moved_mean(v, g * g, beta2);
    w = kept * w - step * m / (sqrtf(v) * inverse_root + epsilon);
  }
};

template <class Adam>
PLEXUS_FN adam_step step_of_adam(const Adam& adam, float added_decay, float kept,
                                 const update_moment& moment) {
  return {adam.beta1,
          adam.beta2,
          adam.epsilon,
          added_decay,
          kept,
          adam.rate / bias_of_mean(adam.beta1, moment.step),
          1 / sqrtf(bias_of_mean(adam.beta2, moment.step))};
}

template <class Adam>
void validate_adam(const char* doing, const Adam& adam) {
  require_positive(doing, "rate", adam.rate, "1e-3");
  require_fraction(doing, "beta1", adam.beta1, "0.9");
  require_fraction(doing, "beta2", adam.beta2, "0.999");
  require_positive(doing, "epsilon", adam.epsilon, "1e-8");
  require_not_negative(doing, "weight decay", adam.weight_decay, "1e-2");
}

}  // namespace detail

struct adam {
  static constexpr const char* name = "adam";

  float rate = 1e-3f;
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float epsilon = 1e-8f;
  float weight_decay = 0;

  int state_count() const { return 2; }
  void validate() const { detail::validate_adam("configuring adam", *this); }
  PLEXUS_FN auto at(const update_moment& moment) const {
    return detail::step_of_adam(*this, weight_decay, 1, moment);
  }
};

struct adamw {
  static constexpr const char* name = "adamw";

  float rate = 1e-3f;
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float epsilon = 1e-8f;
  float weight_decay = 1e-2f;

  int state_count() const { return 2; }
  void validate() const { detail::validate_adam("configuring adamw", *this); }
  PLEXUS_FN auto at(const update_moment& moment) const {
    return detail::step_of_adam(*this, 0, 1 - rate * weight_decay, moment);
  }
};

}  // namespace plexus::inline PLEXUS_ABI
