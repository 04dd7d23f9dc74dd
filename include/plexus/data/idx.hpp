// Reader of IDX files, the format of MNIST and its kin (described at the end of yann.lecun.com/exdb/mnist),
// plain or gzipped. Needs zlib.
#pragma once

#include <plexus/data/class_count.hpp>
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
#include <utility>
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

struct header {
  std::uint32_t type = 0;  // of the elements
  std::vector<std::size_t> shape{};
};

// What a file must hold.
struct kind {
  std::uint32_t magic;
  const char* text;
};
inline constexpr kind anything{0, ""};
inline constexpr kind images{0x00000803, "images (rank 3, bytes)"};
inline constexpr kind labels{0x00000801, "labels (rank 1, bytes)"};

class reader {
 public:
  explicit reader(byte_source& packed) : packed_(packed), source_(packed) {}

  bool zipped() const { return source_.zipped(); }

  idx_array read(const kind& wanted) {
    header head = read_header(wanted);
    idx_array array{std::move(head.shape), {}};
    read_values(array, head.type);
    return array;
  }

  header read_header(const kind& wanted) {
    const std::uint32_t magic = read_number();
    if (wanted.magic != anything.magic && magic != wanted.magic) {
      packed_.refuse("its magic number (bytes 0 to 3) is " + hexadecimal(magic) + " and not " +
                         hexadecimal(wanted.magic),
                     std::string("give a file of ") + wanted.text);
    }
    const std::uint32_t rank = magic & 0xff;
    if (magic >> 16 != 0 || rank == 0) {
      packed_.refuse("its magic number (bytes 0 to 3) is " + hexadecimal(magic), "give an IDX file");
    }
    header head{magic >> 8, {}};
    for (std::uint32_t i = 0; i < rank; ++i) head.shape.push_back(read_number());
    return head;
  }

  // How many unzipped bytes have been read as the header.
  std::uint64_t position() const { return position_; }

  // The number of values of `size` bytes that the header claims. It is believed only as far as the file is
  // long enough for them.
  std::size_t checked_count(const std::vector<std::size_t>& shape, std::size_t size) const {
    const auto count = checked_product(shape);
    const std::uint64_t limit = source_.size_limit();
    const std::uint64_t room = limit - std::min(limit, position_);
    if (!count || *count > room / size) {
      packed_.refuse("its header claims " + shape_text(shape) + " values of " + std::to_string(size) +
                         " bytes, and its " + std::to_string(packed_.size()) + " bytes hold at most " +
                         std::to_string(room / size),
                     "fetch the file again");
    }
    return static_cast<std::size_t>(*count);
  }

  // `end`: where the values end.
  [[noreturn]] void refuse_more(std::uint64_t end) const {
    packed_.refuse("it goes on after byte " + std::to_string(end) + ", where its header says that it ends",
                   "fetch the file again");
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

  template <class T>
  void read_values_as(idx_array& array) {
    const std::size_t count = checked_count(array.shape, sizeof(T));
    std::vector<T>& values = array.values.emplace<std::vector<T>>();
    const std::size_t size = count * sizeof(T);
    const std::size_t got = read_growing(values, count);
    if (got < size) {
      packed_.refuse("it breaks off at byte " + std::to_string(position_ + got) + " of " +
                         std::to_string(position_ + size),
                     "fetch the file again");
    }
    const auto bytes = std::as_writable_bytes(std::span(values));
    std::array<std::byte, 1> beyond{};
    if (source_.read(beyond) != 0) refuse_more(position_ + got);
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

inline idx_array read(byte_source packed, const kind& wanted) { return reader(packed).read(wanted); }

inline std::string doing(const std::filesystem::path& path) { return "reading the IDX file " + quoted(path); }

inline idx_array read(const std::filesystem::path& path, const kind& wanted) {
  return read(byte_source(path, doing(path)), wanted);
}

// Images and the labels that go with them.
struct labelled {
  int images = 0;
  int features = 0;  // pixels of an image
  int classes = 0;
  std::vector<int> labels{};  // each in [0, classes)
};

// `classes` is 0 or the number of classes.
inline labelled pair_up(const std::filesystem::path& images_path,
                        const std::vector<std::size_t>& images_shape,
                        const std::filesystem::path& labels_path, int classes) {
  const idx_array array = read(labels_path, labels);
  const auto& numbers = std::get<std::vector<std::uint8_t>>(array.values);
  const std::string pairing = "pairing the images of " + quoted(images_path) + " with labels";
  const std::size_t count = images_shape[0], features = images_shape[1] * images_shape[2];
  if (count == 0 || features == 0) {
    throw error(pairing, "there are none (" + shape_text(images_shape) + ")", "give images");
  }
  if (count != numbers.size()) {
    throw error(pairing,
                std::to_string(count) + " images but " + std::to_string(numbers.size()) + " labels in " +
                    quoted(labels_path),
                "give two files of the same set");
  }
  if (count > INT_MAX || features > INT_MAX) {
    throw error(pairing, shape_text(images_shape) + " is more than an int counts", "split the file");
  }
  labelled result{static_cast<int>(count), static_cast<int>(features), 0, {}};
  result.labels.assign(numbers.begin(), numbers.end());
  result.classes = class_count(result.labels, classes, pairing, "classes");
  return result;
}

inline constexpr float white = 255;  // becomes 1

}  // namespace idx

// An IDX file of any rank and element type. Throws plexus::error where it is damaged or no IDX file.
inline idx_array load_idx_array(const std::filesystem::path& path) { return idx::read(path, idx::anything); }

// The same from memory.
inline idx_array parse_idx_array(std::span<const std::byte> bytes) {
  return idx::read(byte_source(bytes, "reading IDX data in memory"), idx::anything);
}

// Images (magic 0x00000803: bytes, image × row × column) with their labels (magic 0x00000801: bytes): one
// image per sample, pixels scaled from [0, 255] to [0, 1]. `classes` is the number of classes; 0 means
// largest label + 1.
inline dataset load_idx(const std::filesystem::path& images_path, const std::filesystem::path& labels_path,
                        int classes = 0) {
  const idx_array images = idx::read(images_path, idx::images);
  const auto& pixels = std::get<std::vector<std::uint8_t>>(images.values);
  idx::labelled pairs = idx::pair_up(images_path, images.shape, labels_path, classes);
  dataset data{.features = pairs.features, .outputs = pairs.classes, .labels = std::move(pairs.labels)};
  data.inputs.resize(pixels.size());
  std::ranges::transform(pixels, data.inputs.begin(),
                         [](std::uint8_t pixel) { return static_cast<float>(pixel) / idx::white; });
  data.validate();
  return data;
}

}  // namespace plexus::inline PLEXUS_ABI
