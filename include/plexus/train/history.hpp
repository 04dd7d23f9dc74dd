// What a training run leaves behind: its losses and accuracies, epoch by epoch, and why it stopped.
#pragma once

#include <plexus/train/non_finite_report.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

struct epoch_record {
  int epoch = 0;  // counted from 1
  double loss = 0;
  double accuracy = 0;  // fraction in [0, 1]; NaN where neither outputs nor loss tell classes apart
  std::optional<double> validation_loss{};
  std::optional<double> validation_accuracy{};
  double seconds = 0;
  double samples_per_second = 0;
  std::uint64_t skipped_steps = 0;     // because a gradient or the loss was not finite
  std::uint64_t non_finite_steps = 0;  // such ones where training goes on
  double rate_factor = 1;              // of the rate in this epoch, by reduce_on_plateau
};

enum class stop_reason { epochs_done, error_small_enough, step_limit, no_improvement, asked_to, not_finite };

inline const char* to_string(stop_reason reason) {
  switch (reason) {
    case stop_reason::epochs_done:
      return "all epochs done";
    case stop_reason::error_small_enough:
      return "error small enough";
    case stop_reason::step_limit:
      return "step limit reached";
    case stop_reason::no_improvement:
      return "no improvement any more";
    case stop_reason::asked_to:
      return "asked to stop";
    case stop_reason::not_finite:
      return "no longer finite";
  }
  return "unknown";
}

struct history {
  std::vector<epoch_record> epochs{};
  stop_reason reason = stop_reason::epochs_done;
  std::uint64_t steps = 0;
  std::optional<non_finite_report> first_non_finite{};  // where it does not stop training
  // By early stopping: the epoch whose parameters the network has; 0: those of the last step; −1: those of an
  // epoch before this run, which went on from a checkpoint or after an error.
  int restored_epoch = 0;
};

}  // namespace plexus::inline PLEXUS_ABI
