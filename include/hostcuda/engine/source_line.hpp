// Where in the source a barrier stands.
#pragma once

#include <hostcuda/runtime/text.hpp>
#include <hostcuda/settings.hpp>

#include <cstring>
#include <string>

namespace hostcuda::detail {

struct source_line {
  const char* file = nullptr;
  int line = 0;
  static constexpr source_line here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
  bool operator==(const source_line& other) const {
    return line == other.line && (file == other.file || std::strcmp(file, other.file) == 0);
  }
  std::string text() const {
    const char* name = std::strrchr(file, '/');
    return text_of(name == nullptr ? file : name + 1, ":", static_cast<std::size_t>(line));
  }
};

// Whether the settings have threads run through the barrier there.
inline bool is_left_out(const source_line& where) {
  const std::string& without = settings().without_barrier;
  return !without.empty() && where.text() == without;
}

}  // namespace hostcuda::detail
