// Dynamic loss scaling: FP16 loses what is below 6e-8, and gradients are small. So the loss, and with it
// every delta, is multiplied by a scale, and the gradients of the parameters, which are in FP32, divided by
// it again. The scale grows until something overflows: that step is skipped, and the scale backs off.
//
// Micikevicius et al., "Mixed precision training", ICLR 2018, section 3.2; the rules and their defaults are
// those of PyTorch's GradScaler.
#pragma once

#include <plexus/core/error.hpp>

#include <cfloat>
#include <cmath>
#include <cstdint>

namespace plexus::inline PLEXUS_ABI {

// The rules.
struct loss_scaling {
  float initial = 65536;
  float growth = 2;            // the scale's factor after growth_interval good steps in succession
  float backoff = 0.5f;        // its factor after a step that was skipped
  int growth_interval = 2000;  // steps

  void validate() const {
    const char* doing = "configuring loss scaling";
    require(std::isfinite(initial) && initial >= smallest && initial <= largest, doing,
            "the first scale is not a positive number", "choose a power of two such as 65536");
    require(std::isfinite(growth) && growth >= 1, doing, "the growth is not a number ≥ 1",
            "choose 2, or 1 for a scale that never grows");
    require(backoff > 0 && backoff < 1, doing, "the backoff is not in (0, 1)", "choose 0.5");
    require(growth_interval > 0, doing, "the growth interval is not positive",
            "choose a number of steps such as 2000");
  }

  // Between these neither the scale nor its reciprocal leaves FP32.
  static constexpr float smallest = 0x1p-100f, largest = 0x1p100f;
};

// Where it stands.
struct loss_scale {
  float scale = 1;
  std::uint64_t good_steps = 0;  // since the scale last changed
  std::uint64_t skipped = 0;     // steps that changed nothing, because a gradient was not finite

  void validate() const {
    require(scale >= loss_scaling::smallest && scale <= loss_scaling::largest, "restoring the loss scale",
            "the scale is not a positive number", "give what loss_scale() once gave");
  }
};

// All of it, in device memory: a step recorded as a graph reads and adjusts it there.
struct loss_scaler {
  loss_scaling rules;
  loss_scale now;
  int overflow = 0;  // whether the last backward pass left a gradient that is not finite
  int stopped = 0;   // whether training has been stopped, so that the scale stays as it is
};

// The derivative that takes the scale out of the input's gradient.
struct reciprocal_scale {
  const float* scale;
  PLEXUS_FN float operator()(int, int) const { return 1 / *scale; }
};

// The gradients of the parameters, and whether one of them is not finite, row by row of `Rows`.
template <class Rows>
struct unscale_rows {
  float* dw;
  loss_scaler* scaler;

  template <class Group>
  __device__ void operator()(Group group, int row) const {
    const auto at = Rows::row(row);
    const float factor = 1 / scaler->now.scale;
    int finite = 1;
    for (int j = group.rank(); j < at.cols; j += group.size()) {
      float& gradient = dw[at.begin + static_cast<std::size_t>(j)];
      gradient *= factor;
      finite &= fabsf(gradient) <= FLT_MAX;
    }
    if (!finite) atomicExch(&scaler->overflow, 1);
  }
};

// After an update: the scale for the next step.
struct adjust_loss_scale {
  loss_scaler* scaler;

  PLEXUS_FN void operator()(std::size_t) const {
    if (scaler->stopped) return;
    const loss_scaling& rules = scaler->rules;
    loss_scale& now = scaler->now;
    if (scaler->overflow) {
      now.scale = fmaxf(now.scale * rules.backoff, loss_scaling::smallest);
      now.good_steps = 0;
      ++now.skipped;
    } else if (++now.good_steps >= static_cast<std::uint64_t>(rules.growth_interval)) {
      now.scale = fminf(now.scale * rules.growth, loss_scaling::largest);
      now.good_steps = 0;
    }
  }
};

}  // namespace plexus::inline PLEXUS_ABI
