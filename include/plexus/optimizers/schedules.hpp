// Rates that change in the course of training: an optimiser whose rate is multiplied by a schedule, a
// function of the number of updates before this one.
//
//   scheduled{adamw{.rate = 3e-3f}, cosine{.steps = 9380, .warm_up = 500}}
//
// A schedule of the user's is a struct with PLEXUS_FN float operator()(std::uint64_t updates) const.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/optimizers/update.hpp>

#include <cmath>
#include <cstdint>

namespace plexus::inline PLEXUS_ABI {

// factor^⌊t / every⌋
struct step_decay {
  std::uint64_t every = 1000;
  float factor = 0.1f;

  void validate() const {
    require_number(every > 0, "scheduling steps", "number of updates", "positive", "10000");
    require_positive("scheduling steps", "factor", factor, "0.1");
  }
  PLEXUS_FN float operator()(std::uint64_t t) const {
    return static_cast<float>(pow(static_cast<double>(factor), static_cast<double>(t / every)));
  }
};

// factorᵗ
struct exponential_decay {
  float factor = 0.999f;

  void validate() const { require_positive("scheduling an exponential", "factor", factor, "0.999"); }
  PLEXUS_FN float operator()(std::uint64_t t) const {
    return static_cast<float>(pow(static_cast<double>(factor), static_cast<double>(t)));
  }
};

namespace detail {

// From `first` at 0 to `last` at 1 along half a cosine. Unlike cos(), cospi() needs no stack on a device.
PLEXUS_FN inline float half_cosine(float first, float last, double part) {
  return static_cast<float>(last + (static_cast<double>(first) - last) * (1 + cospi(part)) / 2);
}

}  // namespace detail

// Up to 1 in `warm_up` updates along a line, the first of which has 1/warm_up; then down to `last` at update
// `steps` along half a cosine, and there it stays. Loshchilov & Hutter, "SGDR: stochastic gradient descent
// with warm restarts", ICLR 2017, equation 5, without the restarts.
struct cosine {
  std::uint64_t steps = 10000;
  std::uint64_t warm_up = 0;
  float last = 0;

  void validate() const {
    require_number(steps > warm_up, "scheduling a cosine", "number of updates", "above those of the warm-up",
                   "10000");
    require_not_negative("scheduling a cosine", "last factor", last, "0");
  }
  PLEXUS_FN float operator()(std::uint64_t t) const {
    if (t < warm_up) return static_cast<float>(t + 1) / static_cast<float>(warm_up);
    const double part = static_cast<double>(t - warm_up) / static_cast<double>(steps - warm_up);
    return detail::half_cosine(1, last, part < 1 ? part : 1);
  }
};

// One cycle: from `first` up to 1 in the part `rising` of all updates and down to `last` in the rest, both
// along half a cosine. Smith & Topin, "Super-convergence", 2019; the form and the defaults of PyTorch's
// OneCycleLR.
struct one_cycle {
  std::uint64_t steps = 10000;
  float rising = 0.3f;
  float first = 1 / 25.0f;
  float last = 1 / 25.0e4f;

  void validate() const {
    const char* doing = "scheduling one cycle";
    require_number(steps > 1, doing, "number of updates", "above 1", "10000");
    require_number(rising > 0 && rising < 1 && rising * static_cast<float>(steps) > 1, doing, "rising part",
                   "in (0, 1) and more than one update", "0.3");
    require_not_negative(doing, "first factor", first, "0.04");
    require_not_negative(doing, "last factor", last, "4e-6");
  }
  PLEXUS_FN float operator()(std::uint64_t t) const {
    const double top = static_cast<double>(rising) * static_cast<double>(steps) - 1;
    const double bottom = static_cast<double>(steps) - 1;
    const double now = static_cast<double>(t) < bottom ? static_cast<double>(t) : bottom;
    if (now <= top) return detail::half_cosine(first, 1, now / top);
    return detail::half_cosine(1, last, (now - top) / (bottom - top));
  }
};

template <class Optimizer, class Schedule>
struct scheduled {
  static_assert(has_rate<Optimizer>(),
                "scheduled: neither the optimiser nor one that it is around has a member rate");
  static constexpr const char* name = Optimizer::name;
  static constexpr bool needs_gradient_norm = plexus::needs_gradient_norm<Optimizer>;

  Optimizer optimizer;
  Schedule schedule;

  int state_count() const { return optimizer.state_count(); }
  void validate() const {
    detail::validate_optimizer(optimizer);
    if constexpr (requires { schedule.validate(); }) schedule.validate();
  }

  PLEXUS_FN auto at(const update_moment& moment) const {
    Optimizer now = optimizer;
    multiply_rate(now, schedule(moment.step - 1));
    return step_of(now, moment);
  }
};

template <class Optimizer, class Schedule>
scheduled(Optimizer, Schedule) -> scheduled<Optimizer, Schedule>;

}  // namespace plexus::inline PLEXUS_ABI
