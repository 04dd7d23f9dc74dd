// Reader of IDX files, the format of MNIST and its kin (described at the end of yann.lecun.com/exdb/mnist),
// plain or gzipped. Needs zlib.
#pragma once

#include <plexus/data/dataset.hpp>
#include <plexus/io/unzipped_source.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <new>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

// An array as an IDX file holds it, row-major, in the host's byte order.
struct idx_array {
  using storage = std::variant<std::vector<std::uint8_t>, std::vector<std::int8_t>, std::vector<std::int16_t>,
                               std::vector<std::int32_t>, std::vector<float>, std::vector<double>>;

  std::vector<std::size_t> shape;
  storage values;
};

namespace idx {

inline std::string hexadecimal(std::uint32_t value) {
  std::string text = "0x00000000";
  for (std::size_t digit = text.size(); value != 0; value /= 16) {
    text[--digit] = "0123456789abcdef"[value % 16];
  }
  return text;
}

inline std::string shape_text(const std::vector<std::size_t>& shape) {
  std::string text;
  for (const std::size_t size : shape) text += (text.empty() ? "" : "×") + std::to_string(size);
  return text;
}

class reader {
 public:
  explicit reader(byte_source& packed) : packed_(packed), source_(packed) {}

  // any_magic, or the one that the file must have.
  static constexpr std::uint32_t any_magic = 0;

  idx_array read(std::uint32_t wanted_magic, const char* wanted_kind) {
    const std::uint32_t magic = read_number();
    if (wanted_magic != any_magic && magic != wanted_magic) {
      packed_.refuse("its magic number (bytes 0 to 3) is " + hexadecimal(magic) + " and not " +
                         hexadecimal(wanted_magic),
                     std::string("give a file of ") + wanted_kind);
    }
    const std::uint32_t rank = magic & 0xff;
    if (magic >> 16 != 0 || rank == 0) {
      packed_.refuse("its magic number (bytes 0 to 3) is " + hexadecimal(magic), "give an IDX file");
    }
    idx_array array;
    for (std::uint32_t i = 0; i < rank; ++i) array.shape.push_back(read_number());
    read_values(array, magic >> 8);
    return array;
  }

 private:
  std::uint32_t read_number() {
    std::array<std::byte, 4> bytes{};
    const std::size_t got = source_.read(bytes);
    if (got < bytes.size()) {
      packed_.refuse("its header breaks off at byte " + std::to_string(position_ + got),
                     "fetch the file again");
    }
    position_ += got;
    std::uint32_t number = 0;
    for (const std::byte b : bytes) number = number << 8 | std::to_integer<std::uint32_t>(b);
    return number;
  }

  void read_values(idx_array& array, std::uint32_t type) {
    switch (type) {
      case 0x08:
        return read_values_as<std::uint8_t>(array);
      case 0x09:
        return read_values_as<std::int8_t>(array);
      case 0x0b:
        return read_values_as<std::int16_t>(array);
      case 0x0c:
        return read_values_as<std::int32_t>(array);
      case 0x0d:
        return read_values_as<float>(array);
      case 0x0e:
        return read_values_as<double>(array);
      default:
        packed_.refuse("its element type (byte 2) is " + std::to_string(type) + ", which IDX does not have",
                       "give an IDX file");
    }
  }

  // The header's sizes are believed only as far as the file is long enough for them.
  template <class T>
  void read_values_as(idx_array& array) {
    const auto count = checked_product(array.shape);
    const std::uint64_t limit = source_.size_limit();
    const std::uint64_t room = limit - std::min(limit, position_);
    if (!count || *count > room / sizeof(T)) {
      packed_.refuse("its header claims " + shape_text(array.shape) + " values of " +
                         std::to_string(sizeof(T)) + " bytes, and its " + std::to_string(packed_.size()) +
                         " bytes hold at most " + std::to_string(room / sizeof(T)),
                     "fetch the file again");
    }
    std::vector<T>& values = array.values.emplace<std::vector<T>>();
    const std::size_t size = static_cast<std::size_t>(*count) * sizeof(T);
    const std::size_t got = read_growing(values, static_cast<std::size_t>(*count));
    if (got < size) {
      packed_.refuse("it breaks off at byte " + std::to_string(position_ + got) + " of " +
                         std::to_string(position_ + size),
                     "fetch the file again");
    }
    const auto bytes = std::as_writable_bytes(std::span(values));
    std::array<std::byte, 1> beyond{};
    if (source_.read(beyond) != 0) {
      packed_.refuse(
          "it goes on after byte " + std::to_string(position_ + got) + ", where its header says that it ends",
          "fetch the file again");
    }
    if constexpr (sizeof(T) > 1 && std::endian::native == std::endian::little) {
      for (std::size_t i = 0; i < bytes.size(); i += sizeof(T)) {
        std::ranges::reverse(bytes.subspan(i, sizeof(T)));
      }
    }
  }

  // Reads `count` values, or what there is of them; the bytes read. Memory grows with what has arrived, since
  // a small packed file may claim a thousand times its size.
  template <class T>
  std::size_t read_growing(std::vector<T>& values, std::size_t count) {
    constexpr std::size_t first = (std::size_t{16} << 20) / sizeof(T);
    std::size_t got = 0;
    try {
      while (values.size() < count) {
        const std::size_t before = values.size();
        values.resize(std::min(count, std::max(first, 2 * before)));
        const std::size_t more = source_.read(std::as_writable_bytes(std::span(values).subspan(before)));
        got += more;
        if (more < (values.size() - before) * sizeof(T)) break;
      }
    } catch (const std::bad_alloc&) {
      packed_.refuse("its " + std::to_string(count * sizeof(T)) + " bytes do not fit in memory",
                     "free memory");
    }
    return got;
  }

  byte_source& packed_;
  unzipped_source source_;
  std::uint64_t position_ = 0;  // in the unzipped bytes
};

inline idx_array read(byte_source packed, std::uint32_t magic, const char* kind) {
  return reader(packed).read(magic, kind);
}

inline std::string doing(const std::filesystem::path& path) { return "reading the IDX file " + quoted(path); }

}  // namespace idx

// An IDX file of any rank and element type. Throws plexus::error where it is damaged or no IDX file.
inline idx_array load_idx_array(const std::filesystem::path& path) {
  return idx::read(byte_source(path, idx::doing(path)), idx::reader::any_magic, "");
}

// The same from memory.
inline idx_array parse_idx_array(std::span<const std::byte> bytes) {
  return idx::read(byte_source(bytes, "reading IDX data in memory"), idx::reader::any_magic, "");
}

// Images (magic 0x00000803: bytes, image × row × column) with their labels (magic 0x00000801: bytes): one
// image per sample, pixels scaled from [0, 255] to [0, 1]. `classes` is the number of classes; 0 means
// largest label + 1.
inline dataset load_idx(const std::filesystem::path& images_path, const std::filesystem::path& labels_path,
                        int classes = 0) {
  constexpr std::uint32_t images_magic = 0x00000803;
  constexpr std::uint32_t labels_magic = 0x00000801;
  const idx_array images =
      idx::read(byte_source(images_path, idx::doing(images_path)), images_magic, "images (rank 3, bytes)");
  const idx_array labels =
      idx::read(byte_source(labels_path, idx::doing(labels_path)), labels_magic, "labels (rank 1, bytes)");
  const auto& pixels = std::get<std::vector<std::uint8_t>>(images.values);
  const auto& numbers = std::get<std::vector<std::uint8_t>>(labels.values);

  const std::string pairing = "pairing the images of " + quoted(images_path) + " with labels";
  if (pixels.empty()) {
    throw error(pairing, "there are none (" + idx::shape_text(images.shape) + ")", "give images");
  }
  if (images.shape[0] != numbers.size()) {
    throw error(pairing,
                std::to_string(images.shape[0]) + " images but " + std::to_string(numbers.size()) +
                    " labels in " + quoted(labels_path),
                "give two files of the same set");
  }
  const std::size_t features = images.shape[1] * images.shape[2];
  if (images.shape[0] > INT_MAX || features > INT_MAX) {
    throw error(pairing, idx::shape_text(images.shape) + " is more than an int counts", "split the file");
  }
  dataset data;
  data.features = static_cast<int>(features);
  data.labels.assign(numbers.begin(), numbers.end());
  data.outputs = classes != 0 ? classes : *std::ranges::max_element(data.labels) + 1;
  data.inputs.resize(pixels.size());
  std::ranges::transform(pixels, data.inputs.begin(),
                         [](std::uint8_t p) { return static_cast<float>(p) / 255.0f; });
  data.validate();
  return data;
}

}  // namespace plexus::inline PLEXUS_ABI
