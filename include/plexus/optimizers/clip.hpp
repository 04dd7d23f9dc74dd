// Gradients that are cut short before an optimiser sees them: all together by their norm, or each by its
// value.
//
//   clip_norm{adam{.rate = 1e-3f}, 1.0f}
//
// Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
// section 3.2.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/optimizers/update.hpp>

namespace plexus::inline PLEXUS_ABI {

// g ← g · min(1, limit / (‖g‖ + 10⁻⁶)), ‖g‖ over all parameters, as PyTorch's clip_grad_norm_: one NaN makes
// all of them NaN.
template <class Optimizer>
struct clip_norm {
  static_assert(!plexus::needs_gradient_norm<Optimizer>,
                "clip_norm goes around all others: the norm is that of the gradients as they are");
  static constexpr const char* name = Optimizer::name;
  static constexpr bool needs_gradient_norm = true;

  Optimizer optimizer;
  float limit = 1;

  int state_count() const { return optimizer.state_count(); }
  void validate() const {
    require_number(limit > 0, "clipping gradients by their norm", "limit", "a positive number", "1");
    detail::validate_optimizer(optimizer);
  }

  struct step {
    step_type<Optimizer> inner;
    float factor;
    PLEXUS_FN void operator()(float& w, float gradient, parameter_state state) const {
      inner(w, factor * gradient, state);
    }
  };

  PLEXUS_FN step at(const update_moment& moment) const {
    const float factor = limit / (moment.gradient_norm + 1e-6f);
    return {step_of(optimizer, moment), factor > 1 ? 1.0f : factor};
  }
};

template <class Optimizer>
clip_norm(Optimizer, float) -> clip_norm<Optimizer>;

// g ← max(−limit, min(limit, g)) of each parameter, as PyTorch's clip_grad_value_. A NaN stays one.
template <class Optimizer>
struct clip_value {
  static_assert(!plexus::needs_gradient_norm<Optimizer>,
                "clip_norm goes around all others: the norm is that of the gradients as they are");
  static constexpr const char* name = Optimizer::name;

  Optimizer optimizer;
  float limit = 1;

  int state_count() const { return optimizer.state_count(); }
  void validate() const {
    require_number(limit > 0, "clipping gradients by their values", "limit", "a positive number", "1");
    detail::validate_optimizer(optimizer);
  }

  struct step {
    step_type<Optimizer> inner;
    float limit;
    PLEXUS_FN void operator()(float& w, float gradient, parameter_state state) const {
      inner(w, gradient > limit ? limit : gradient < -limit ? -limit : gradient, state);
    }
  };

  PLEXUS_FN step at(const update_moment& moment) const { return {step_of(optimizer, moment), limit}; }
};

template <class Optimizer>
clip_value(Optimizer, float) -> clip_value<Optimizer>;

}  // namespace plexus::inline PLEXUS_ABI
