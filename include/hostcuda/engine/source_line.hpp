// Where in the source a barrier stands.
#pragma once

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
    return std::string(name == nullptr ? file : name + 1) + ":" + std::to_string(line);
  }
};

}  // namespace hostcuda::detail
