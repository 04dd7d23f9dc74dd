// What training tells whoever watches it.
#pragma once

#include <plexus/platform.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

namespace plexus::inline PLEXUS_ABI {

// A moment in a training run. Loss and accuracy are means over the samples of this epoch so far.
struct training_progress {
  int epoch = 0;  // counted from 1
  int epochs = 0;
  std::size_t samples_done = 0;  // of this epoch
  std::size_t samples_total = 0;
  double samples_per_second = 0;
  double loss = 0;
  double accuracy = 0;      // fraction in [0, 1]; NaN where neither outputs nor loss tell classes apart
  double seconds_left = 0;  // until the last epoch's end
  bool epoch_finished = false;
  std::uint64_t skipped_steps = 0;          // of this epoch, not finite
  std::uint64_t non_finite_steps = 0;       // such ones where training goes on
  std::optional<double> validation_loss{};  // at an epoch's end, where there is a validation set
  std::optional<double> validation_accuracy{};
};

using progress_callback = std::function<void(const training_progress&)>;

}  // namespace plexus::inline PLEXUS_ABI
