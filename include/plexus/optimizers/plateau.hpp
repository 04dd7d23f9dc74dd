// A rate that falls when the loss does not: for fit_options::on_plateau, the rule of PyTorch's
// ReduceLROnPlateau (mode "min", threshold_mode "rel").
//
//   fit(net, data, loss, scheduled{adamw{}, cosine{}}, {…, .on_plateau = reduce_on_plateau{.patience = 5}})
//
// The factor lies in device memory, where an update reads it: a step recorded as a graph goes by the new one.
// It is a part of the optimiser's state: in its checkpoint, and 1 again for an optimiser that begins anew.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/optimizers/update.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace plexus::inline PLEXUS_ABI {

// After more than `patience` epochs without a new least loss the rate is multiplied by `factor`, whatever a
// schedule makes of it besides.
struct reduce_on_plateau {
  double factor = 0.1;
  int patience = 10;
  double threshold = 1e-4;  // a new least loss is below (1 − threshold) times the last one
  int cooldown = 0;         // epochs after a reduction in which none counts as one without
  double least = 0;         // the product of all factors stays at or above: PyTorch's min_lr over the rate

  void validate() const {
    const char* doing = "configuring reduce_on_plateau";
    require_number(factor > 0 && factor < 1, doing, "factor", "in (0, 1)", "0.1");
    require_number(patience >= 0, doing, "patience", "a number of epochs ≥ 0", "10");
    require_number(threshold >= 0 && threshold < 1, doing, "threshold", "in [0, 1)", "1e-4");
    require_number(cooldown >= 0, doing, "cooldown", "a number of epochs ≥ 0", "0");
    require_number(least >= 0 && least < 1, doing, "least factor", "in [0, 1)", "0");
  }
};

// Where it stands.
struct plateau_state {
  double least_loss = std::numeric_limits<double>::infinity();
  std::uint64_t bad_epochs = 0;  // since the last new least loss or reduction
  std::uint64_t cooldown = 0;    // epochs left of it
  double rate_factor = 1;

  bool operator==(const plateau_state&) const = default;

  void validate() const {
    require(rate_factor >= 0 && rate_factor <= 1 && !std::isnan(least_loss), "restoring a plateau",
            "the factor of the rate is not in [0, 1] or the least loss is NaN",
            "give what plateau() once gave");
  }

  // After an epoch. A loss that is NaN is no new least one.
  void see(double loss, const reduce_on_plateau& rule) {
    if (loss < least_loss * (1 - rule.threshold)) {
      least_loss = loss;
      bad_epochs = 0;
    } else {
      ++bad_epochs;
    }
    if (cooldown > 0) {
      --cooldown;
      bad_epochs = 0;
    }
    if (bad_epochs <= static_cast<std::uint64_t>(rule.patience)) return;
    rate_factor = std::max(rate_factor * rule.factor, std::min(rate_factor, rule.least));
    cooldown = static_cast<std::uint64_t>(rule.cooldown);
    bad_epochs = 0;
  }
};

// The optimiser with its rate times the plateau's factor.
template <class Optimizer>
struct with_plateau {
  static constexpr const char* name = Optimizer::name;
  static constexpr bool needs_gradient_norm = plexus::needs_gradient_norm<Optimizer>;

  Optimizer optimizer;

  int state_count() const { return optimizer.state_count(); }
  void validate() const { detail::validate_optimizer(optimizer); }

  PLEXUS_FN auto at(const update_moment& moment) const {
    Optimizer now = optimizer;
    multiply_rate(now, moment.rate_factor);
    return step_of(now, moment);
  }
};

template <class Optimizer>
with_plateau(Optimizer) -> with_plateau<Optimizer>;

}  // namespace plexus::inline PLEXUS_ABI
