// What a file says, in an error's message.
#pragma once

#include <plexus/platform.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

// Text from a file, fit to be shown: quoted, all but printable ASCII escaped, cut where it is long.
inline std::string shown(std::string_view text) {
  constexpr std::size_t most = 80;
  std::string result = "\"";
  for (const char c : text.substr(0, most)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte > 0x7e) {
      result += {'\\', 'x', "0123456789abcdef"[byte / 16], "0123456789abcdef"[byte % 16]};
    } else {
      if (c == '"' || c == '\\') result += '\\';
      result += c;
    }
  }
  return result + '"' + (text.size() > most ? "…" : "");
}

// A list with at most `most` of the items, and how many there are beyond.
inline std::string listed(const std::vector<std::string>& items) {
  constexpr std::size_t most = 8;
  std::string text;
  for (std::size_t i = 0; i < items.size() && i < most; ++i) text += (i == 0 ? "" : ", ") + items[i];
  return items.size() > most ? text + " and " + std::to_string(items.size() - most) + " more" : text;
}

}  // namespace plexus::inline PLEXUS_ABI
