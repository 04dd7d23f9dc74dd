// The first step of a training run that was not finite: whose loss or gradients were NaN or infinite.
#pragma once

#include <plexus/platform.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

struct non_finite_report {
  int epoch = 0;               // counted from 1
  std::uint64_t step = 0;      // of that epoch, counted from 1; 0 where a callback made it
  std::vector<int> samples{};  // of the step's batch: their places in the data set
  std::string where{};         // it was first met in: a parameter, a layer's outputs, a gradient or the loss

  // "step 3 of epoch 2 (samples 7, 1 and 30 more): the outputs of layer 0"
  std::string text() const {
    if (step == 0) return "epoch " + std::to_string(epoch) + ": " + where;
    constexpr std::size_t shown = 8;
    std::string list;
    for (std::size_t i = 0; i < std::min(samples.size(), shown); ++i)
      list += (i == 0 ? "" : ", ") + std::to_string(samples[i]);
    if (samples.size() > shown) list += " and " + std::to_string(samples.size() - shown) + " more";
    return "step " + std::to_string(step) + " of epoch " + std::to_string(epoch) + " (samples " + list +
           "): " + where;
  }
};

}  // namespace plexus::inline PLEXUS_ABI
