// The precision policy: part of a network's type, it says in which type what is stored and computed.
#pragma once

#include <plexus/platform.hpp>

#include <type_traits>

namespace plexus::inline PLEXUS_ABI {

// Everything in FP32: the default.
struct fp32 {
  using storage = float;      // activations and their gradients
  using master = float;       // the weights that the optimiser changes
  using accumulator = float;  // sums of products
};

template <class T>
concept precision_policy = requires {
  typename T::storage;
  typename T::master;
  typename T::accumulator;
};

}  // namespace plexus::inline PLEXUS_ABI
