// Pictures in host memory, and PNG files of them. Needs stb.
#pragma once

#include <plexus/io/file.hpp>

#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

// Static, so that several units of one program may include this.
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>

namespace plexus::inline PLEXUS_ABI {

// A grey (1 channel) or RGB (3 channels) picture: rows from the top, 8 bits a value.
struct picture {
  int width = 0;
  int height = 0;
  int channels = 0;
  std::vector<std::uint8_t> pixels;  // (height, width, channels)

  picture(int w, int h, int c, std::uint8_t fill = 255)
      : width(w), height(h), channels(c), pixels(checked_size(w, h, c), fill) {}

  std::uint8_t* pixel(int x, int y) { return pixels.data() + offset(x, y); }
  const std::uint8_t* pixel(int x, int y) const { return pixels.data() + offset(x, y); }

 private:
  std::size_t offset(int x, int y) const {
    return (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)) *
           static_cast<std::size_t>(channels);
  }

  static std::size_t checked_size(int w, int h, int c) {
    const auto refuse = [&](const char* wrong, const char* remedy) {
      throw error(
          "making a picture of " + std::to_string(w) + "×" + std::to_string(h) + "×" + std::to_string(c),
          wrong, remedy);
    };
    if (w <= 0 || h <= 0) refuse("it has no pixels", "give a width and a height of at least 1");
    if (c != 1 && c != 3) refuse("it is neither grey nor RGB", "give 1 or 3 channels");
    constexpr std::int64_t most = INT_MAX / 4;  // the PNG writer counts its bytes in int
    if (std::int64_t{w} * h > most / c) refuse("it is too large", "make it smaller");
    return static_cast<std::size_t>(w) * static_cast<std::size_t>(h) * static_cast<std::size_t>(c);
  }
};

// Writes a PNG file, whole or not at all.
inline void save_png(const picture& image, const std::filesystem::path& path) {
  atomic_file file(path, "writing the picture " + quoted(path));
  struct deallocate {
    void operator()(unsigned char* memory) const { std::free(memory); }
  };
  int size = 0;
  const std::unique_ptr<unsigned char, deallocate> png(stbi_write_png_to_mem(
      image.pixels.data(), image.width * image.channels, image.width, image.height, image.channels, &size));
  if (!png) file.refuse("there is not enough memory to compress it", "free memory");
  file.write(std::as_bytes(std::span(png.get(), static_cast<std::size_t>(size))));
  file.commit();
}

}  // namespace plexus::inline PLEXUS_ABI
