// The exponential moving average of the weights, kept by the launch that updates them: it lags behind the
// weights and generalises better than they do.
//
//   a ← w after the first update,   a ← decay · a + (1 − decay) · w after the others
//
// Polyak & Juditsky, "Acceleration of stochastic approximation by averaging", SIAM Journal on Control and
// Optimization 30, 1992; in this form PyTorch's AveragedModel with get_ema_multi_avg_fn.
//
//   averaged{adamw{.rate = 1e-3f}, 0.999f}
//
// Training goes on with the weights. To judge, predict or save with the average:
//
//   const px::average_scope average(net);       // until its end
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/optimizers/moments.hpp>
#include <plexus/optimizers/update.hpp>

#include <array>
#include <string_view>

namespace plexus::inline PLEXUS_ABI {

namespace detail {

// An averaged optimiser's name begins with this, and the first of its values of a parameter is the average.
inline constexpr std::string_view averaged_prefix = "averaged ";

template <class Optimizer>
inline constexpr auto averaged_name = [] {
  constexpr std::string_view inner = Optimizer::name;
  std::array<char, averaged_prefix.size() + inner.size() + 1> text{};
  std::size_t end = 0;
  for (const char letter : averaged_prefix) text[end++] = letter;
  for (const char letter : inner) text[end++] = letter;
  return text;
}();

}  // namespace detail

template <class Optimizer>
struct averaged {
  static constexpr const char* name = detail::averaged_name<Optimizer>.data();
  static constexpr bool needs_gradient_norm = plexus::needs_gradient_norm<Optimizer>;

  Optimizer optimizer;
  float decay = 0.999f;

  int state_count() const { return optimizer.state_count() + 1; }
  void validate() const {
    require_fraction("averaging weights", "decay", decay, "0.999");
    detail::validate_optimizer(optimizer);
  }

  struct step {
    step_type<Optimizer> inner;
    float decay;
    PLEXUS_FN void operator()(float& w, float gradient, parameter_state state) const {
      inner(w, gradient, {state.arenas + state.arena_size, state.arena_size, state.parameter});
      float& average = state[0];
      average = moved_mean(average, w, decay);
    }
  };

  // The average is 0 before the first update, which a decay of 0 makes the weights themselves.
  PLEXUS_FN step at(const update_moment& moment) const {
    return {step_of(optimizer, moment), moment.step == 1 ? 0 : decay};
  }
};

template <class Optimizer>
averaged(Optimizer) -> averaged<Optimizer>;
template <class Optimizer>
averaged(Optimizer, float) -> averaged<Optimizer>;

struct exchange_values {
  float* one;
  float* other;
  PLEXUS_FN void operator()(std::size_t i) const {
    const float value = one[i];
    one[i] = other[i];
    other[i] = value;
  }
};

// The weights of `net` are their average until the scope ends, and the weights again from then on.
template <class Network>
class average_scope {
 public:
  explicit average_scope(Network& net) : net_(net) { net_.use_average(); }
  average_scope(const average_scope&) = delete;
  average_scope& operator=(const average_scope&) = delete;
  // An error of the device has no way out of here, but every later call meets it.
  ~average_scope() {
    try {
      net_.use_weights();
    } catch (const error&) {
    }
  }

 private:
  Network& net_;
};

}  // namespace plexus::inline PLEXUS_ABI
