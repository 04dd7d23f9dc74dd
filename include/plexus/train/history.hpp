// What a training run leaves behind: its losses and accuracies, epoch by epoch, and why it stopped.
#pragma once

#include <plexus/platform.hpp>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
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
  std::uint64_t skipped_steps = 0;  // by loss scaling, because a gradient was not finite
};

enum class stop_reason { epochs_done, error_small_enough, step_limit, no_improvement, asked_to };

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
  }
  return "unknown";
}

struct history {
  std::vector<epoch_record> epochs{};
  stop_reason reason = stop_reason::epochs_done;
  std::uint64_t steps = 0;
  int restored_epoch = 0;  // by early stopping: whose parameters the network has; 0: those of the last step
};

// A line of names, and one for each epoch; what there is not is left empty.
inline std::string to_csv(const history& past) {
  std::string text =
      "epoch,loss,accuracy,validation_loss,validation_accuracy,seconds,samples_per_second,skipped_steps\n";
  const auto append = [&](std::optional<double> value) {
    text += ',';
    if (!value || std::isnan(*value)) return;
    char digits[32];  // the shortest that are this number and no other
    text.append(digits, std::to_chars(digits, std::end(digits), *value).ptr);
  };
  for (const epoch_record& record : past.epochs) {
    text += std::to_string(record.epoch);
    for (const auto& value : {std::optional(record.loss), std::optional(record.accuracy),
                              record.validation_loss, record.validation_accuracy,
                              std::optional(record.seconds), std::optional(record.samples_per_second)}) {
      append(value);
    }
    text += ',' + std::to_string(record.skipped_steps) + '\n';
  }
  return text;
}

}  // namespace plexus::inline PLEXUS_ABI
