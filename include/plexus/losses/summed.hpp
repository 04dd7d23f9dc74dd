// A loss's sum over the samples, and over the outputs where it is a mean over these, instead of the mean:
// PyTorch's reduction = "sum". fit() and evaluate() then report the sum over the data set.
#pragma once

#include <plexus/platform.hpp>

namespace plexus::inline PLEXUS_ABI {

template <class Loss>
struct summed : Loss {
  static constexpr bool is_summed = true;
};

template <class Loss>
summed(Loss) -> summed<Loss>;

}  // namespace plexus::inline PLEXUS_ABI
