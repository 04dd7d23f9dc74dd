// Shows how training goes: one line redrawn on a terminal, one line per epoch elsewhere.
#pragma once

#include <plexus/core/text.hpp>
#include <plexus/train/progress.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>

#include <sys/ioctl.h>
#include <unistd.h>

namespace plexus::inline PLEXUS_ABI {

// For fit_options::progress: {.progress = progress_bar{}}. Writes to stderr, or to progress_bar{stdout}.
class progress_bar {
 public:
  explicit progress_bar(std::FILE* output = stderr) : output_(output) {}

  void operator()(const training_progress& now) {
    if (!now.epoch_finished && !pause_is_over()) return;
    const int columns = terminal_columns();
    const char* begin = columns > 0 ? erase_line : "";
    if (now.epoch_finished) {
      write(begin + heading(now) + ": " + numbers(now) + "\n");
    } else if (columns > 0) {
      write(begin + line(now, columns));
    }
  }

 private:
  using steady = std::chrono::steady_clock;

  static constexpr const char* erase_line = "\r\x1b[K";

  void write(const std::string& text) const {
    std::fputs(text.c_str(), output_);
    std::fflush(output_);
  }

  static std::string numbers(const training_progress& now) {
    std::string text = thousands(now.samples_per_second) + " samples/s, loss " + fixed(now.loss, 4);
    if (!std::isnan(now.accuracy)) text += ", accuracy " + fixed(100 * now.accuracy, 2) + "%";
    if (now.validation_loss) text += ", validation loss " + fixed(*now.validation_loss, 4);
    if (now.validation_accuracy && !std::isnan(*now.validation_accuracy)) {
      text += ", validation accuracy " + fixed(100 * *now.validation_accuracy, 2) + "%";
    }
    if (now.skipped_steps > 0) text += ", " + std::to_string(now.skipped_steps) + " steps skipped";
    if (now.non_finite_steps > 0) text += ", " + std::to_string(now.non_finite_steps) + " steps not finite";
    const bool over = now.epoch_finished && now.epoch == now.epochs;
    return over ? text : text + ", " + clock(now.seconds_left) + " left";
  }

  // The terminal's width, or 0 where the output is none.
  int terminal_columns() const {
    const int descriptor = ::fileno(output_);
    if (descriptor < 0 || ::isatty(descriptor) == 0) return 0;
    constexpr int usual = 80;
    winsize size{};
    return ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : usual;
  }

  // A line is drawn ten times a second at most.
  bool pause_is_over() {
    constexpr auto pause = std::chrono::milliseconds(100);
    const auto time = steady::now();
    if (drawn_ && time - *drawn_ < pause) return false;
    drawn_ = time;
    return true;
  }

  // Heading, bar, numbers; the bar takes what is left of the width, and goes first where there is little.
  static std::string line(const training_progress& now, int columns) {
    constexpr int shortest_bar = 6;
    constexpr int longest_bar = 30;
    const std::string before = heading(now) + " ";
    const std::string after = numbers(now);
    const int used = static_cast<int>(before.size() + after.size());
    const int room = std::min(columns - 1 - used - 3, longest_bar);  // the last column would wrap; "[] "
    std::string text = before + (room >= shortest_bar ? bar(done(now), room) + " " : "") + after;
    return text.substr(0, static_cast<std::size_t>(std::max(columns - 1, 0)));
  }

  static double done(const training_progress& now) {
    if (now.samples_total == 0) return 1;
    return std::min(1.0, static_cast<double>(now.samples_done) / static_cast<double>(now.samples_total));
  }

  static std::string bar(double fraction, int length) {
    const auto filled = static_cast<std::size_t>(std::lround(fraction * length));
    return "[" + std::string(filled, '#') + std::string(static_cast<std::size_t>(length) - filled, '.') + "]";
  }

  static std::string heading(const training_progress& now) {
    return "epoch " + std::to_string(now.epoch) + "/" + std::to_string(now.epochs);
  }

  static std::string fixed(double value, int digits) {
    if (std::isnan(value)) return "nan";
    char text[400];  // the longest double with six digits has 317 characters
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
  }

  // 61234.5 → "61,235"
  static std::string thousands(double value) {
    const std::string digits = fixed(value, 0);
    return std::isfinite(value) ? grouped(digits) : digits;
  }

  // 75 → "1:15", 3675 → "1:01:15"
  static std::string clock(double seconds) {
    constexpr double longest =
        1e7;  // beyond it, and where the speed is not known yet, nobody believes the number
    if (!(seconds >= 0 && seconds < longest)) return "?";
    const long whole = std::lround(std::ceil(seconds));
    char text[40];
    if (whole >= 3600) {
      std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    } else {
      std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
    }
    return text;
  }

  std::FILE* output_;
  std::optional<steady::time_point> drawn_;
};

}  // namespace plexus::inline PLEXUS_ABI
