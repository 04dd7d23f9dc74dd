// One optimiser step over a whole arena, padding included: one launch.
#pragma once

#include <plexus/core/for_each.hpp>

namespace plexus::inline PLEXUS_ABI {

template <class Optimizer>
struct update_without_state {
  Optimizer optimizer;
  float* w;
  const float* dw;
  PLEXUS_FN float operator()(std::size_t i) const {
    optimizer(w[i], dw[i]);
    return w[i];
  }
};

template <class Optimizer>
struct update_with_state {
  Optimizer optimizer;
  float* w;
  const float* dw;
  float* state;
  PLEXUS_FN float operator()(std::size_t i) const {
    optimizer(w[i], dw[i], state[i]);
    return w[i];
  }
};

}  // namespace plexus::inline PLEXUS_ABI
