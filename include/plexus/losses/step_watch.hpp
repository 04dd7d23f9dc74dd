// What is done about steps whose loss or gradients are NaN or infinite. A record in device memory says
// whether such a step was met, and which was the first: no step waits for the host.
#pragma once

#include <plexus/core/reduce.hpp>
#include <plexus/losses/loss_pass.hpp>
#include <plexus/losses/loss_scaling.hpp>

#include <cfloat>
#include <cstdint>

namespace plexus::inline PLEXUS_ABI {

// A step is not finite if its loss or a gradient is NaN or infinite. All are watched for by one pass over the
// gradients, before they change anything.
enum class non_finite {
  stop,   // such a step, and all after it, change nothing
  skip,   // such a step changes nothing
  go_on,  // it is noted
};

struct step_watch {
  non_finite rule = non_finite::stop;
  int is_bad = 0;                      // whether this step is not finite, or an earlier one has stopped all
  int by_loss = 0;                     // whether it was the loss of the first such step
  unsigned bad_gradient = 0;           // the place in the arena of its last gradient that is not finite
  std::uint64_t step = 0;              // the number of this step, counted from 1
  std::uint64_t first = 0;             // the number of the first step that was not finite, or 0
  std::uint64_t bad_steps = 0;         // how many there were, this one not among them
  std::uint64_t samples_left_out = 0;  // of the totals, because their batch's loss is not finite

  // Whether this step's update changes nothing.
  PLEXUS_FN bool skips() const { return is_bad != 0 && rule != non_finite::go_on; }

  // This step is over.
  PLEXUS_FN void settle() {
    if (is_bad == 0) return;
    ++bad_steps;
    if (first == 0) first = step;
  }
};

// totals += Σ of the batch's losses and of its right rows, unless the loss is not finite and that changes
// nothing: begins a step.
struct add_watched_results {
  matrix_view<const float> values;  // (2, n)
  double* totals;
  step_watch* watch;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int) const {
    const double loss = row_sum(group, values, 0), correct = row_sum(group, values, 1);
    if (group.rank() != 0) return;
    watch->settle();
    ++watch->step;
    const bool is_finite = fabs(loss) <= DBL_MAX;
    const bool stopped = watch->rule == non_finite::stop && watch->is_bad != 0;
    watch->is_bad = !is_finite || stopped ? 1 : 0;
    if (!is_finite && watch->first == 0) watch->by_loss = 1;
    if (!is_finite && watch->skips()) {
      watch->samples_left_out += static_cast<std::uint64_t>(values.cols);
      return;
    }
    totals[0] += loss;
    totals[1] += correct;
  }
};

// Whether a gradient is not finite, run by run of an arena. Of those that are not the last is noted:
// gradients are found from the last layer to the first, and what is not finite in one spoils those before it.
template <class Runs>
struct watch_gradients {
  const float* dw;
  step_watch* watch;

  template <class Group>
  __device__ void operator()(Group group, int row) const {
    const auto at = Runs::row(row);
    const float* const g = dw + at.begin;
    const int bad = part_of_sum<int>(group, at.cols, [g](int i) { return fabsf(g[i]) <= FLT_MAX ? 0 : 1; });
    if (bad == 0) return;
    atomicExch(&watch->is_bad, 1);
    if (watch->first != 0) return;
    int last = 0;
    for (int j = group.rank(); j < at.cols; j += group.size()) {
      if (!(fabsf(g[j]) <= FLT_MAX)) last = j;
    }
    atomicMax(&watch->bad_gradient, static_cast<unsigned>(at.begin) + static_cast<unsigned>(last));
  }
};

// Where the loss is scaled, a step that is watched for begins as one that overflows.
struct begin_overflow {
  loss_scaler* scaler;
  const step_watch* watch;  // or null
  PLEXUS_FN void operator()(std::size_t) const {
    scaler->overflow = watch != nullptr && watch->skips() ? 1 : 0;
    scaler->stopped = scaler->overflow != 0 && watch->rule == non_finite::stop ? 1 : 0;
  }
};

}  // namespace plexus::inline PLEXUS_ABI
