// Whether a layer adds a bias, as its type says.
#pragma once

#include <plexus/platform.hpp>

namespace plexus::inline PLEXUS_ABI {

struct with_bias {};
struct no_bias {};

}  // namespace plexus::inline PLEXUS_ABI
