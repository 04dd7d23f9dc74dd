// What early stopping keeps while it trains, so that a checkpoint has it.
#pragma once

#include <plexus/core/buffer.hpp>

#include <cstdint>
#include <limits>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

struct least_loss_epoch {
  double loss = std::numeric_limits<double>::infinity();
  std::uint64_t epoch = 0;               // of the network's life
  std::vector<buffer<float>> tensors{};  // the network's, as they were then; empty where they are not kept
};

}  // namespace plexus::inline PLEXUS_ABI
