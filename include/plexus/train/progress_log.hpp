// Training as lines of a log, for programs and people to search: "epoch=3 samples=60000 loss=0.0412 …".
#pragma once

#include <plexus/train/progress.hpp>

#include <cmath>
#include <locale>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>

namespace plexus::inline PLEXUS_ABI {

enum class log_level {
  silent,
  epochs,  // a line for each epoch
  steps,   // and about ten a second within them
};

// For fit_options::progress: {.progress = progress_log(std::cout)}. The stream has to live as long.
class progress_log {
 public:
  explicit progress_log(std::ostream& output, log_level level = log_level::epochs)
      : output_(&output), level_(level) {}

  void operator()(const training_progress& now) const {
    if (level_ == log_level::silent || (level_ == log_level::epochs && !now.epoch_finished)) return;
    *output_ << line(now) << std::flush;
  }

 private:
  static std::string line(const training_progress& now) {
    std::ostringstream text;
    text.imbue(std::locale::classic());
    text << (now.epoch_finished ? "epoch=" : "in_epoch=") << now.epoch << " samples=" << now.samples_done
         << " loss=" << now.loss;
    const auto append = [&](const char* name, const std::optional<double>& value) {
      if (value && !std::isnan(*value)) text << ' ' << name << '=' << *value;
    };
    append("accuracy", now.accuracy);
    append("validation_loss", now.validation_loss);
    append("validation_accuracy", now.validation_accuracy);
    append("samples_per_second", now.samples_per_second);
    if (now.skipped_steps > 0) text << " skipped_steps=" << now.skipped_steps;
    if (now.non_finite_steps > 0) text << " non_finite_steps=" << now.non_finite_steps;
    text << '\n';
    return text.str();
  }

  std::ostream* output_;
  log_level level_;
};

}  // namespace plexus::inline PLEXUS_ABI
