// The texts of reports.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace hostcuda::detail {

// Not inlined: texts are many, and each is made when something has gone wrong.
[[gnu::cold, gnu::noinline]] inline void append(std::string& all, std::string_view piece) {
  all.append(piece.data(), piece.size());
}
[[gnu::cold, gnu::noinline]] inline void append(std::string& all, std::size_t number) {
  char digits[24];
  std::snprintf(digits, sizeof digits, "%zu", number);
  append(all, std::string_view(digits));
}

// Pieces, texts and numbers, one after the other.
template <class... Pieces>
std::string text_of(const Pieces&... pieces) {
  std::string all;
  (append(all, pieces), ...);
  return all;
}

}  // namespace hostcuda::detail
