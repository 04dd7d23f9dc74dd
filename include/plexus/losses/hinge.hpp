// The hinge loss of support vector machines: C = 1/(n·width) Σₓ Σⱼ max(0, margin − tⱼ aⱼ), where t is 1 for a
// target above 0 and −1 for any other: targets are ±1, 0 and 1, or labels, one output against the rest.
// Keras's Hinge with a margin of 1.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/losses/loss.hpp>

namespace plexus::inline PLEXUS_ABI {

struct hinge {
  float margin = 1;

  void validate() const { require_positive("configuring hinge", "margin", margin, "1"); }

  PLEXUS_FN loss_term operator()(float a, float y) const {
    const float side = y > 0 ? 1.0f : -1.0f, missing = margin - side * a;
    return missing <= 0 ? loss_term{0, 0} : loss_term{missing, -side};
  }

  PLEXUS_FN bool agrees(float a, float y) const { return (a > 0) == (y > 0); }
};

}  // namespace plexus::inline PLEXUS_ABI
