// What is done about steps whose loss or gradients are NaN or infinite. A record in device memory says
// whether such a step was met, and which was the first: no step waits for the host.
#pragma once

#include <plexus/core/reduce.hpp>
#include <plexus/losses/loss_pass.hpp>
#include <plexus/losses/loss_scaling.hpp>

#include <cfloat>
#include <climits>
#include <cstdint>

namespace plexus::inline PLEXUS_ABI {

enum class non_finite {
  stop,   // from a step whose loss is not finite on, nothing is changed any more; costs nothing
  skip,   // a step whose loss or gradients are not finite changes nothing; one more pass over the gradients
  go_on,  // nothing is done
};

struct step_watch {
  int skips = 0;                       // whether this step's update changes nothing
  int stops = 0;                       // whether that lasts
  int by_loss = 0;                     // whether it was the loss of the first such step that was not finite
  unsigned bad_gradient = UINT_MAX;    // of the first such step, the first one's place in the arena
  std::uint64_t step = 0;              // the number of this step, counted from 1
  std::uint64_t first = 0;             // the number of the first step that was not finite, or 0
  std::uint64_t skipped = 0;           // steps that have changed nothing, this one not among them
  std::uint64_t samples_left_out = 0;  // of the totals, because their batch's loss is not finite

  // This step is over.
  PLEXUS_FN void settle() {
    if (skips == 0) return;
    ++skipped;
    if (first == 0) first = step;
  }
};

// totals += Σ of the batch's losses and of its right rows, unless the loss is not finite: begins a step.
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
    watch->skips = !is_finite || (watch->stops != 0 && watch->skips != 0) ? 1 : 0;
    if (!is_finite) {
      if (watch->first == 0) watch->by_loss = 1;
      watch->samples_left_out += static_cast<std::uint64_t>(values.cols);
      return;
    }
    totals[0] += loss;
    totals[1] += correct;
  }
};

// Whether a gradient is not finite, run by run of an arena.
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
    atomicExch(&watch->skips, 1);
    if (watch->first != 0) return;
    for (int j = group.rank(); j < at.cols; j += group.size()) {
      if (fabsf(g[j]) <= FLT_MAX) continue;
      atomicMin(&watch->bad_gradient, static_cast<unsigned>(at.begin) + static_cast<unsigned>(j));
      return;
    }
  }
};

// Where the loss is scaled, a step that is watched for begins as one that overflows.
struct begin_overflow {
  loss_scaler* scaler;
  const step_watch* watch;  // or null
  PLEXUS_FN void operator()(std::size_t) const {
    scaler->overflow = watch != nullptr ? watch->skips : 0;
    scaler->stopped = watch != nullptr && watch->stops != 0 ? watch->skips : 0;
  }
};

}  // namespace plexus::inline PLEXUS_ABI
