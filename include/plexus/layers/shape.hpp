// Shapes as types: what one sample looks like between two layers.
#pragma once

#include <plexus/core/extent.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

// The extents of one sample, without the batch dimension: shape<784>, shape<6, 28, 28>.
template <int... Extents>
struct shape {
  static_assert(((Extents > 0) && ...), "plexus::shape: every extent is at least 1");
  static_assert(sizeof...(Extents) <= 4, "plexus::shape: a sample has at most four extents");
  static constexpr int size = (1 * ... * Extents);
  static constexpr std::array<int, 4> extents{Extents...};  // those that are not used are 0
};

// Those that are used.
inline std::vector<std::size_t> used_extents(const std::array<int, 4>& extents) {
  std::vector<std::size_t> used;
  for (const int extent : extents) {
    if (extent > 0) used.push_back(static_cast<std::size_t>(extent));
  }
  return used;
}

// A sample's shape as an image: channels, height, width.
template <class Shape>
struct image_traits {
  static constexpr bool is_image = false;
  static constexpr int channels = 1;
  static constexpr extent2d extent = 1;
};
template <int Channels, int Height, int Width>
struct image_traits<shape<Channels, Height, Width>> {
  static constexpr bool is_image = true;
  static constexpr int channels = Channels;
  static constexpr extent2d extent{Height, Width};
};

// The first entry of a network: vectors of Width values.
template <int Width>
struct input {
  static_assert(Width > 0, "plexus::input: the width is at least 1");
  using input_shape = shape<Width>;
};

// The first entry of a network: images, stored channel by channel, row by row.
template <int Channels, int Height, int Width>
struct image {
  static_assert(Channels > 0 && Height > 0 && Width > 0, "plexus::image: every extent is at least 1");
  using input_shape = shape<Channels, Height, Width>;
};

// What a layer with windows expects, as the compiler's line names it: images that a window of Height × Width,
// its dilation included, fits into, once padded; their channels a multiple of Groups.
template <int Height, int Width, int Groups>
struct images_at_least;

template <class T>
concept network_input = requires {
  typename T::input_shape;
};

}  // namespace plexus::inline PLEXUS_ABI
