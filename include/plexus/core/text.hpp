// Numbers as people read them.
#pragma once

#include <plexus/platform.hpp>

#include <string>

namespace plexus::inline PLEXUS_ABI {

// "1234567" → "1,234,567"
inline std::string grouped(std::string digits) {
  for (auto at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

}  // namespace plexus::inline PLEXUS_ABI
