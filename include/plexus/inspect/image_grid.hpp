// Images of a network's values as one picture: tiles of equal size in a grid. Needs stb.
#pragma once

#include <plexus/core/extent.hpp>
#include <plexus/io/image.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace plexus::inline PLEXUS_ABI::inspect {

// Values as layers have them: (count, channels, height, width).
struct images {
  int channels = 1;
  extent2d extent = 1;
  std::vector<float> values;
  bool in_color = channels == 3;  // red, green, blue

  std::size_t size() const {
    return static_cast<std::size_t>(channels) * static_cast<std::size_t>(extent.area());
  }
  int count() const { return static_cast<int>(values.size() / size()); }
};

enum class shading {
  around_zero,    // 0 is grey, and the image's largest magnitude black or white: for weights
  least_to_most,  // from the image's least value, black, to its largest, white
};

struct grid_options {
  int columns = 0;  // tiles in a row; 0: an image's channels, or as many as make the grid about square
  int scale = 8;    // pixels of a value, along each side
  int gap = 2;      // pixels between tiles, and around them all
};

namespace drawing {

// How one image's values become bytes.
struct shade {
  float offset, factor;

  shade(const float* values, std::size_t size, shading kind) {
    const auto [least, most] = std::minmax_element(values, values + size);
    const float reach = std::max(std::abs(*least), std::abs(*most));
    offset = kind == shading::around_zero ? -reach : *least;
    const float range = kind == shading::around_zero ? 2 * reach : *most - *least;
    factor = range > 0 ? 255 / range : 0;
  }
  // Where there is no range, all is grey.
  std::uint8_t operator()(float value) const {
    return factor == 0 ? 128 : static_cast<std::uint8_t>(std::lround((value - offset) * factor));
  }
};

inline void require_drawable(const images& all, const grid_options& how) {
  constexpr const char* doing = "drawing a grid of images";
  require(all.channels > 0 && all.extent.height > 0 && all.extent.width > 0 && !all.values.empty(), doing,
          "there is nothing to draw", "give at least one image with at least one value");
  if (all.values.size() % all.size() != 0) {
    throw error(doing,
                std::to_string(all.values.size()) + " values are no whole number of images of " +
                    std::to_string(all.size()),
                "give (count, channels, height, width) values");
  }
  require(!all.in_color || all.channels == 3, doing, "images in colour have not 3 channels",
          "give 3 channels, or in_color = false");
  require(how.columns >= 0 && how.scale > 0 && how.gap >= 0, doing,
          "columns or gap are negative, or the scale is not positive", "choose larger ones");
  for (std::size_t i = 0; i < all.values.size(); ++i) {
    if (std::isfinite(all.values[i])) continue;
    throw error(doing, "image " + std::to_string(i / all.size()) + " has a value that is not finite",
                "look for where training diverged");
  }
}

// Of `tiles` beside each other.
inline void require_drawable_size(int tiles, int values, const grid_options& how) {
  constexpr double most = 1 << 20;
  const double pixels = how.gap + 1.0 * tiles * (1.0 * values * how.scale + how.gap);
  require(pixels <= most, "drawing a grid of images", "a side of it has more than 1,048,576 pixels",
          "choose a smaller scale, fewer columns or fewer images");
}

}  // namespace drawing

// A tile for each image, in colour, or for each channel of each image, in grey. The channels of an image are
// shaded alike.
inline picture draw_grid(const images& all, shading kind, const grid_options& how = {}) {
  drawing::require_drawable(all, how);
  const int tile_channels = all.in_color ? 3 : 1, per_image = all.channels / tile_channels;
  const int tiles = all.count() * per_image;
  const int square = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(tiles))));
  const int wanted = how.columns > 0 ? how.columns : per_image > 1 && all.count() > 1 ? per_image : square;
  const int columns = std::min(wanted, tiles), rows = (tiles + columns - 1) / columns;
  drawing::require_drawable_size(rows, all.extent.height, how);
  drawing::require_drawable_size(columns, all.extent.width, how);
  const extent2d tile{all.extent.height * how.scale, all.extent.width * how.scale};
  picture grid(how.gap + columns * (tile.width + how.gap), how.gap + rows * (tile.height + how.gap),
               tile_channels);

  for (int t = 0; t < tiles; ++t) {
    const float* const image = all.values.data() + static_cast<std::size_t>(t / per_image) * all.size();
    const drawing::shade shade(image, all.size(), kind);
    const float* const channel = image + t % per_image * tile_channels * all.extent.area();
    const int left = how.gap + t % columns * (tile.width + how.gap);
    const int top = how.gap + t / columns * (tile.height + how.gap);
    for (int y = 0; y < tile.height; ++y) {
      for (int x = 0; x < tile.width; ++x) {
        const int place = y / how.scale * all.extent.width + x / how.scale;
        for (int c = 0; c < tile_channels; ++c)
          grid.pixel(left + x, top + y)[c] = shade(channel[c * all.extent.area() + place]);
      }
    }
  }
  return grid;
}

}  // namespace plexus::inline PLEXUS_ABI::inspect
