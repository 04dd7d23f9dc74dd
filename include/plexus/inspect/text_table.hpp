// Rows of texts as lines, their columns one below the other.
#pragma once

#include <plexus/platform.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace plexus::inline PLEXUS_ABI::inspect {

// The first `texts` columns begin at the left, the others, numbers, end at the right. A short row is filled
// up with nothing.
class text_table {
 public:
  text_table(std::vector<std::string> heads, std::size_t texts) : texts_(texts), rows_{std::move(heads)} {}

  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  // Each row a line, the heads first.
  std::string text() const {
    std::vector<std::size_t> widths(rows_[0].size());
    for (const auto& row : rows_) {
      for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], letters(row[c]));
    }
    std::string all;
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t c = 0; c < row.size(); ++c) {
        const std::string gap(widths[c] - letters(row[c]), ' ');
        line += (c == 0 ? "" : "  ") + (c < texts_ ? row[c] + gap : gap + row[c]);
      }
      all += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return all;
  }

 private:
  // UTF-8: the bytes of a letter after its first one are 10xxxxxx.
  static std::size_t letters(const std::string& text) {
    return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
  }

  std::size_t texts_;
  std::vector<std::vector<std::string>> rows_;
};

// A tensor's extents, or a place in it, as texts: (2, 3).
template <class Extents>
std::string extents_text(const Extents& extents) {
  std::string text;
  for (const auto extent : extents) text += (text.empty() ? "(" : ", ") + std::to_string(extent);
  return text + ")";
}

}  // namespace plexus::inline PLEXUS_ABI::inspect
