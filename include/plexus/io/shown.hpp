// What a file says, in an error's message. Needs nlohmann-json.
#pragma once

#include <plexus/platform.hpp>

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace plexus::inline PLEXUS_ABI {

// A name from a file, fit to be shown: quoted, control characters escaped, cut where it is long.
inline std::string shown(std::string_view name) {
  constexpr std::size_t most = 80;
  const std::string text(name.substr(0, most));
  return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) +
         (name.size() > most ? "…" : "");
}

}  // namespace plexus::inline PLEXUS_ABI
