// Arrays in .npy files, which NumPy reads and writes
// (numpy.org/doc/stable/reference/generated/numpy.lib.format).
//
// 0x93 "NUMPY"; the version, two bytes; the header's length, little-endian in 2 bytes (version 1.0) or 4
// (2.0, 3.0); the header, a Python dictionary of element type, order and shape; then the elements.
#pragma once

#include <plexus/io/file.hpp>
#include <plexus/io/shown.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

static_assert(std::endian::native == std::endian::little,
              "plexus: npy files are read on little-endian hosts only");

struct npy_array {
  std::vector<std::size_t> shape;  // empty: a single value
  std::vector<float> values;       // row-major
};

namespace npy {

inline constexpr std::string_view magic = "\x93NUMPY";
inline constexpr std::size_t most_extents = 64;  // NumPy's own limit
inline constexpr std::uint32_t longest_header = 1
                                                << 16;  // bytes; an array of numbers needs no more than 2000

// The shape as Python writes it.
inline std::string tuple_text(const std::vector<std::size_t>& shape) {
  std::string text = "(";
  for (const std::size_t extent : shape) text += (text.size() == 1 ? "" : ", ") + std::to_string(extent);
  return text + (shape.size() == 1 ? ",)" : ")");
}

struct header {
  std::optional<std::string> element_type{};
  std::optional<bool> fortran_order{};
  std::optional<std::vector<std::size_t>> shape{};
};

// Understands the header and nothing else that Python would. `begin` is the header's place in the file.
class header_parser {
 public:
  header_parser(const byte_source& source, std::string_view text)
      : source_(source), text_(text), begin_(source.position() - text.size()) {}

  header operator()() {
    expect('{');
    while (!take('}')) {
      read_entry();
      if (take(',')) continue;
      expect('}');
      break;
    }
    skip_blanks();
    if (at_ < text_.size()) refuse_here("text follows its dictionary");
    require(header_.element_type.has_value(), "descr");
    require(header_.fortran_order.has_value(), "fortran_order");
    require(header_.shape.has_value(), "shape");
    return std::move(header_);
  }

 private:
  void read_entry() {
    const std::string key = string();
    expect(':');
    if (key == "descr") {
      set(header_.element_type, key, element_type());
    } else if (key == "fortran_order") {
      set(header_.fortran_order, key, boolean());
    } else if (key == "shape") {
      set(header_.shape, key, tuple());
    } else {
      refuse("it has the unknown key " + shown(key));
    }
  }

  template <class T>
  void set(std::optional<T>& field, const std::string& key, T value) const {
    if (field) refuse("the key " + shown(key) + " occurs twice");
    field = std::move(value);
  }

  std::string element_type() {
    if (sees('[')) source_.refuse("its elements have several fields", "save each field by itself");
    return string();
  }

  std::string string() {
    const char quote = sees('"') ? '"' : '\'';
    expect(quote);
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\\') ++at_;
    const std::string_view content = text_.substr(begin, at_ - begin);
    expect(quote);
    return std::string(content);
  }

  bool boolean() {
    skip_blanks();
    for (const auto& [word, value] : {std::pair("True", true), std::pair("False", false)}) {
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += std::string_view(word).size();
      return value;
    }
    refuse_here("neither True nor False stands");
  }

  // Python takes the comma for the sign of a tuple: (3) is a number.
  std::vector<std::size_t> tuple() {
    std::vector<std::size_t> extents;
    expect('(');
    while (!take(')')) {
      if (extents.size() == most_extents) {
        refuse("its shape has more than " + std::to_string(most_extents) + " extents");
      }
      extents.push_back(extent());
      if (take(',')) continue;
      if (extents.size() == 1) refuse_here("no comma stands");
      expect(')');
      break;
    }
    return extents;
  }

  std::size_t extent() {
    skip_blanks();
    std::size_t value = 0;
    const char* const first = text_.data() + at_;
    const auto [rest, failure] = std::from_chars(first, text_.data() + text_.size(), value);
    if (failure == std::errc::result_out_of_range) refuse_here("a number of more than 64 bits stands");
    if (failure != std::errc()) refuse_here("no number stands");
    at_ += static_cast<std::size_t>(rest - first);
    return value;
  }

  void skip_blanks() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      ++at_;
  }

  bool sees(char c) {
    skip_blanks();
    return at_ < text_.size() && text_[at_] == c;
  }

  bool take(char c) {
    if (!sees(c)) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (!take(c)) refuse_here(std::string("no ") + c + " stands");
  }

  void require(bool there, const char* key) const {
    if (!there) refuse("it has no key " + shown(key));
  }

  [[noreturn]] void refuse(const std::string& wrong) const {
    source_.refuse("its header is damaged: " + wrong, "save the file again");
  }
  [[noreturn]] void refuse_here(const std::string& what) const {
    refuse(what + " at byte " + std::to_string(begin_ + at_));
  }

  const byte_source& source_;
  std::string_view text_;
  std::uint64_t begin_;  // of the text in the file
  std::size_t at_ = 0;
  header header_;
};

// Column-major to row-major: element (i, j, k, …) of the first lies at i + s₀·(j + s₁·(k + …)).
inline std::vector<float> in_rows(const std::vector<float>& values, const std::vector<std::size_t>& shape) {
  std::vector<std::size_t> strides, index(shape.size());
  for (std::size_t stride = 1; const std::size_t extent : shape) {
    strides.push_back(stride);
    stride *= extent;
  }
  std::vector<float> rows;
  rows.reserve(values.size());
  std::size_t at = 0;
  while (rows.size() < values.size()) {
    rows.push_back(values[at]);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= strides[axis] * std::exchange(index[axis], 0);
    }
  }
  return rows;
}

class reader {
 public:
  explicit reader(byte_source source) : source_(std::move(source)) {}

  const byte_source& source() const { return source_; }

  npy_array read() {
    header head = read_header();
    npy_array array{std::move(*head.shape), {}};
    try {
      array.values = read_values(*head.element_type, array.shape);
      if (*head.fortran_order) array.values = in_rows(array.values, array.shape);
    } catch (const std::bad_alloc&) {
      refuse("its " + tuple_text(array.shape) + " values do not fit in memory", "free memory");
    }
    return array;
  }

  // After it the source stands at the first value.
  header read_header() {
    std::array<char, 8> prefix{};
    const std::size_t got = read_bytes(prefix);
    if (std::string_view(prefix.data(), got).substr(0, magic.size()) != magic) {
      refuse("it does not begin with \\x93NUMPY", "give a .npy file");
    }
    if (got < prefix.size()) refuse_break();
    const auto major = static_cast<unsigned char>(prefix[6]), minor = static_cast<unsigned char>(prefix[7]);
    if (major < 1 || major > 3 || minor != 0) {
      refuse("its version (bytes 6 and 7) is " + std::to_string(major) + "." + std::to_string(minor),
             "save it as version 1.0, 2.0 or 3.0");
    }
    const std::uint32_t length = major == 1 ? read_length<std::uint16_t>() : read_length<std::uint32_t>();
    const std::uint64_t rest = source_.size() - source_.position();
    if (length > longest_header || length > rest) {
      refuse("its header claims " + std::to_string(length) + " bytes, and " +
                 (length > rest ? std::to_string(rest) + " follow" : "an array of numbers needs fewer"),
             again);
    }
    std::string text(length, '\0');
    if (read_bytes(text) < text.size()) refuse_shrunk();
    return header_parser(source_, text)();
  }

  // The number of values of `size` bytes that the shape claims, which must be what follows the header.
  std::size_t checked_count(const std::vector<std::size_t>& shape, std::size_t size) const {
    const auto count = checked_product(shape);
    const std::uint64_t rest = source_.size() - source_.position();
    if (!count || rest % size != 0 || *count != rest / size) {
      refuse("its header claims " + tuple_text(shape) + " values of " + std::to_string(size) +
                 " bytes, and " + std::to_string(rest) + " bytes follow it",
             again);
    }
    return static_cast<std::size_t>(*count);
  }

 private:
  static constexpr const char* again = "fetch or save the file again";

  template <class Integer>
  Integer read_length() {
    std::array<char, sizeof(Integer)> bytes{};
    if (read_bytes(bytes) < bytes.size()) refuse_break();
    return std::bit_cast<Integer>(bytes);
  }

  std::vector<float> read_values(const std::string& type, const std::vector<std::size_t>& shape) {
    if (type == "<f4") return read_values_as<float>(shape);
    if (type == "<f8") return read_values_as<double>(shape);
    if (type == "<i4") return read_values_as<std::int32_t>(shape);
    if (type == "<i8") return read_values_as<std::int64_t>(shape);
    if (type == "|u1") return read_values_as<std::uint8_t>(shape);
    refuse("its elements are " + shown(type), "save array.astype('<f4')");
  }

  template <class T>
  std::vector<float> read_values_as(const std::vector<std::size_t>& shape) {
    std::vector<float> values(checked_count(shape, sizeof(T)));
    if constexpr (std::is_same_v<T, float>) {
      if (read_bytes(values) < values.size()) refuse_shrunk();
    } else {
      std::vector<T> chunk(std::min<std::size_t>(values.size(), 1 << 16));
      for (std::size_t done = 0; done < values.size(); done += chunk.size()) {
        chunk.resize(std::min(chunk.size(), values.size() - done));
        if (read_bytes(chunk) < chunk.size()) refuse_shrunk();
        for (std::size_t i = 0; i < chunk.size(); ++i) values[done + i] = narrowed(chunk[i], done + i);
      }
    }
    return values;
  }

  float narrowed(double value, std::size_t at) const {
    const auto narrow = static_cast<float>(value);
    if (std::isinf(narrow) && !std::isinf(value)) {
      refuse("value " + std::to_string(at) + " of the file is out of the range of float", "scale the array");
    }
    return narrow;
  }

  // A rounded integer would be another one: its bits from the first to the last 1 must fit in float's 24.
  float narrowed(std::int64_t value, std::size_t at) const {
    const auto bits = static_cast<std::uint64_t>(value);
    const std::uint64_t magnitude = value < 0 ? -bits : bits;
    if (magnitude != 0 && std::bit_width(magnitude >> std::countr_zero(magnitude)) > 24) {
      refuse(
          "value " + std::to_string(at) + " of the file is " + std::to_string(value) + ", which no float is",
          "save array.astype('<f4') if it may be rounded");
    }
    return static_cast<float>(value);
  }
  float narrowed(std::int32_t value, std::size_t at) const { return narrowed(std::int64_t{value}, at); }
  float narrowed(std::uint8_t value, std::size_t) const { return value; }

  // How many elements of `to` were filled.
  template <class Container>
  std::size_t read_bytes(Container& to) {
    return source_.read(std::as_writable_bytes(std::span(to))) / sizeof to[0];
  }

  [[noreturn]] void refuse_break() const {
    refuse("it breaks off at byte " + std::to_string(source_.position()), again);
  }
  [[noreturn]] void refuse_shrunk() const { refuse("it was cut short while it was read", "read it again"); }
  [[noreturn]] void refuse(const std::string& wrong, const std::string& remedy) const {
    source_.refuse(wrong, remedy);
  }

  byte_source source_;
};

// All that comes before the values, byte for byte as NumPy writes it: the header leaves room for a first
// extent of 21 digits, and blanks make the whole a multiple of 64 bytes.
inline std::string prologue(const std::vector<std::size_t>& shape) {
  std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': " + tuple_text(shape) + ", }";
  if (!shape.empty()) text.append(21 - std::to_string(shape[0]).size(), ' ');
  constexpr std::size_t alignment = 64;
  const std::size_t prefix = magic.size() + 4;
  text.append(alignment - (prefix + text.size() + 1) % alignment, ' ');
  text += '\n';
  const auto length = std::bit_cast<std::array<char, 2>>(static_cast<std::uint16_t>(text.size()));
  return std::string(magic) + std::string{1, 0, length[0], length[1]} + text;
}

inline std::string doing(const std::filesystem::path& path) { return "reading the npy file " + quoted(path); }

}  // namespace npy

// An array of float32, of float64 rounded to float, or of int32, int64 or uint8; in C or Fortran order.
// Throws plexus::error where the file is damaged, holds a finite number beyond float's range or an integer
// that no float is.
inline npy_array read_npy(const std::filesystem::path& path) {
  return npy::reader(byte_source(path, npy::doing(path))).read();
}

// The same from memory.
inline npy_array parse_npy(std::span<const std::byte> bytes) {
  return npy::reader(byte_source(bytes, "reading npy data in memory")).read();
}

// Writes the row-major values as float32, version 1.0, whole or not at all.
inline void write_npy(const std::filesystem::path& path, const std::vector<std::size_t>& shape,
                      std::span<const float> values) {
  atomic_file file(path, "writing the npy file " + quoted(path));
  if (shape.size() > npy::most_extents) {
    file.refuse("its shape has " + std::to_string(shape.size()) + " extents, and NumPy knows " +
                    std::to_string(npy::most_extents),
                "reshape the array");
  }
  if (checked_product(shape) != values.size()) {
    file.refuse(
        std::to_string(values.size()) + " values are not those of the shape " + npy::tuple_text(shape),
        "give as many values as the shape has");
  }
  const std::string prologue = npy::prologue(shape);
  file.write(std::as_bytes(std::span(prologue)));
  file.write(std::as_bytes(values));
  file.commit();
}

}  // namespace plexus::inline PLEXUS_ABI
