// A training run's history as a table of comma-separated values.
#pragma once

#include <plexus/io/file.hpp>
#include <plexus/train/history.hpp>

#include <charconv>
#include <cmath>
#include <iterator>
#include <string>

namespace plexus::inline PLEXUS_ABI {

// A line of names, and one for each epoch; what there is not is left empty.
inline std::string to_csv(const history& past) {
  std::string text =
      "epoch,loss,accuracy,validation_loss,validation_accuracy,seconds,samples_per_second,skipped_steps,"
      "non_finite_steps,rate_factor\n";
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
    text += ',' + std::to_string(record.skipped_steps) + ',' + std::to_string(record.non_finite_steps);
    append(record.rate_factor);
    text += '\n';
  }
  return text;
}

inline void save_history(const history& past, const std::filesystem::path& path) {
  atomic_file file(path, "saving a history to " + quoted(path));
  const std::string text = to_csv(past);
  file.write(std::as_bytes(std::span(text)));
  file.commit();
}

}  // namespace plexus::inline PLEXUS_ABI
