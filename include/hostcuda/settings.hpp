// What a user may choose about how kernels run. Each setting begins with the value of an environment
// variable.
#pragma once

#include <hostcuda/engine/sanitizers.hpp>
#include <hostcuda/runtime/text.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

namespace hostcuda {

// The order in which the blocks of a grid, and the threads of a block that could all go on, are taken. Code
// that needs a certain order has a bug that the two others show.
enum class thread_order { forward, reverse, shuffled };

// Streams run their work at once, or only when something waits for it: the latter shows missing waits.
enum class stream_mode { immediate, deferred };

struct setting_values {
  int workers = 1;  // OS threads that run blocks, the caller among them
  thread_order order = thread_order::forward;
  std::uint64_t seed = 0;  // of the order `shuffled`
  stream_mode streams = stream_mode::immediate;
  int stack_kilobytes = 0;      // stack of one CUDA thread
  std::string without_barrier;  // "gemm.hpp:12": threads run through the barrier there, as if it were deleted
};

namespace detail {

[[noreturn]] inline void reject_setting(const char* name, std::string_view value, const char* expected) {
  throw std::invalid_argument(
      text_of("hostcuda: environment variable ", name, " is \"", value, "\"; expected ", expected));
}

template <class Integer>
bool parse_integer(std::string_view text, Integer& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

inline int positive_setting(const char* name, int fallback, int most) {
  const char* text = std::getenv(name);
  if (text == nullptr) return fallback;
  int value = 0;
  if (!parse_integer(std::string_view(text), value) || value < 1 || value > most) {
    reject_setting(name, text, text_of("a number from 1 to ", std::to_string(most)).c_str());
  }
  return value;
}

inline void read_order(setting_values& values) {
  constexpr const char* name = "HOSTCUDA_ORDER";
  constexpr const char* expected = "forward, reverse, shuffled or shuffled:<seed>";
  const char* given = std::getenv(name);
  if (given == nullptr) return;
  const std::string_view text = given;
  constexpr std::string_view seeded = "shuffled:";
  if (text == "forward") {
    values.order = thread_order::forward;
  } else if (text == "reverse") {
    values.order = thread_order::reverse;
  } else if (text == "shuffled") {
    values.order = thread_order::shuffled;
  } else if (text.starts_with(seeded) && parse_integer(text.substr(seeded.size()), values.seed)) {
    values.order = thread_order::shuffled;
  } else {
    reject_setting(name, text, expected);
  }
}

inline void read_streams(setting_values& values) {
  constexpr const char* name = "HOSTCUDA_STREAMS";
  const char* given = std::getenv(name);
  if (given == nullptr) return;
  const std::string_view text = given;
  if (text == "immediate") {
    values.streams = stream_mode::immediate;
  } else if (text == "deferred") {
    values.streams = stream_mode::deferred;
  } else {
    reject_setting(name, text, "immediate or deferred");
  }
}

inline setting_values settings_from_environment() {
  setting_values values;
  // Races between blocks show only on different OS threads; ThreadSanitizer bears no more than 8,000 threads.
  int cores = std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
  if (race_check) cores = std::clamp(cores, 2, 4);
  values.workers = positive_setting("HOSTCUDA_WORKERS", cores, 1024);
  values.stack_kilobytes = positive_setting("HOSTCUDA_STACK_KB", 256, 65536);
  read_order(values);
  read_streams(values);
  if (const char* place = std::getenv("HOSTCUDA_WITHOUT_BARRIER")) values.without_barrier = place;
  return values;
}

}  // namespace detail

// Throws std::invalid_argument if an environment variable has a value that means nothing. Change settings
// while no kernel runs.
inline setting_values& settings() {
  static setting_values values = detail::settings_from_environment();
  return values;
}

}  // namespace hostcuda
