// Drawing on an RGB picture: rectangles, smooth lines and discs, text. Needs stb.
#pragma once

#include <plexus/io/image.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <stb/stb_easy_font.h>

namespace plexus::inline PLEXUS_ABI {

struct color {
  std::uint8_t red = 0, green = 0, blue = 0;
};

struct point {
  double x = 0, y = 0;
};

// Draws on `image`, whose pixel (0, 0) covers the square from (0, 0) to (1, 1). What lies outside is cut off.
class canvas {
 public:
  explicit canvas(picture& image) : image_(image) {
    require(image.channels == 3, "drawing on a picture", "it is grey", "give an RGB picture");
  }

  void rectangle(int x, int y, int width, int height, color ink) {
    for (int row = std::max(y, 0); row < std::min(y + height, image_.height); ++row) {
      for (int column = std::max(x, 0); column < std::min(x + width, image_.width); ++column) {
        blend(column, row, ink, 1);
      }
    }
  }

  void line(point from, point to, double thickness, color ink) {
    const point along{to.x - from.x, to.y - from.y};
    const double length_squared = along.x * along.x + along.y * along.y;
    cover(from, to, thickness / 2, ink, [=](point p) {
      const double dot = (p.x - from.x) * along.x + (p.y - from.y) * along.y;
      const double t = length_squared > 0 ? std::clamp(dot / length_squared, 0.0, 1.0) : 0;
      return std::hypot(p.x - from.x - t * along.x, p.y - from.y - t * along.y);
    });
  }

  void disc(point center, double radius, color ink) { line(center, center, 2 * radius, ink); }

  // The upper left corner is at (x, y). One scale is a letter of about 7 pixels; what is not ASCII shows as
  // '?'.
  void text(int x, int y, std::string_view words, int scale, color ink) {
    std::string printable = ascii(words);
    constexpr std::size_t most_quads = 16;  // the letter with most strokes has fewer
    std::vector<quad> quads(printable.size() * most_quads);
    const int count = stb_easy_font_print(0, 0, printable.data(), nullptr, quads.data(),
                                          static_cast<int>(quads.size() * sizeof(quad)));
    for (int i = 0; i < count; ++i) {
      const auto& [corner, right, opposite, below] = quads[static_cast<std::size_t>(i)];
      const auto scaled = [scale](float value) { return static_cast<int>(value) * scale; };
      rectangle(x + scaled(corner.x), y + scaled(corner.y), scaled(opposite.x - corner.x),
                scaled(opposite.y - corner.y), ink);
    }
  }

  static int text_width(std::string_view words, int scale) {
    std::string printable = ascii(words);
    return stb_easy_font_width(printable.data()) * scale;
  }

 private:
  struct vertex {
    float x, y, z;
    std::uint8_t rgba[4];
  };
  using quad = std::array<vertex, 4>;

  // One '?' for each character outside ASCII, whose bytes after the first begin with the bits 10.
  static std::string ascii(std::string_view words) {
    std::string text;
    for (const char c : words) {
      const auto byte = static_cast<unsigned char>(c);
      if ((byte & 0xc0) == 0x80) continue;
      text += byte >= ' ' && byte <= '~' ? c : '?';
    }
    return text;
  }

  // Inks every pixel by how much of it is within `radius` of the segment's skeleton.
  template <class Distance>
  void cover(point from, point to, double radius, color ink, Distance distance) {
    const auto pixel = [](double at, int size) {
      return static_cast<int>(std::clamp(at, 0.0, static_cast<double>(size)));
    };
    const int left = pixel(std::min(from.x, to.x) - radius - 1, image_.width);
    const int right = pixel(std::max(from.x, to.x) + radius + 2, image_.width);
    const int top = pixel(std::min(from.y, to.y) - radius - 1, image_.height);
    const int bottom = pixel(std::max(from.y, to.y) + radius + 2, image_.height);
    for (int y = top; y < bottom; ++y) {
      for (int x = left; x < right; ++x) {
        blend(x, y, ink, std::clamp(radius + 0.5 - distance(point{x + 0.5, y + 0.5}), 0.0, 1.0));
      }
    }
  }

  void blend(int x, int y, color ink, double coverage) {
    std::uint8_t* pixel = image_.pixel(x, y);
    const std::uint8_t inks[3] = {ink.red, ink.green, ink.blue};
    for (int c = 0; c < 3; ++c) {
      pixel[c] = static_cast<std::uint8_t>(std::lround(pixel[c] + (inks[c] - pixel[c]) * coverage));
    }
  }

  picture& image_;
};

}  // namespace plexus::inline PLEXUS_ABI
