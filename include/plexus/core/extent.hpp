// Extents in two dimensions.
#pragma once

#include <plexus/platform.hpp>

namespace plexus::inline PLEXUS_ABI {

// A height and a width: of images, of windows over them, of steps. A single number means both.
struct extent2d {
  int height, width;
  PLEXUS_FN constexpr extent2d(int both) : height(both), width(both) {}
  PLEXUS_FN constexpr extent2d(int h, int w) : height(h), width(w) {}
  PLEXUS_FN constexpr int area() const { return height * width; }
  friend constexpr bool operator==(const extent2d&, const extent2d&) = default;
};

}  // namespace plexus::inline PLEXUS_ABI
