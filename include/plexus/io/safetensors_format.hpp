// The safetensors format (github.com/huggingface/safetensors, "Format"): its parser, which trusts nothing,
// and the writer of its header. Needs nlohmann-json.
//
// N, the header's length, as 8 bytes little-endian; N bytes of JSON that give each tensor's dtype, shape and
// place; then the data, little-endian, row-major, without gaps.
#pragma once

#include <plexus/io/file.hpp>
#include <plexus/io/shown.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <new>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace plexus::inline PLEXUS_ABI {

static_assert(std::endian::native == std::endian::little,
              "plexus: safetensors files are read on little-endian hosts only");

// A tensor in host memory as a file holds it: row-major, little-endian.
struct stored_tensor {
  std::string name;
  std::string dtype;  // "F32", "F16", "BF16", "I64", …
  std::vector<std::size_t> shape;
  std::vector<std::byte> data;
};

struct tensor_file {
  std::vector<stored_tensor> tensors;  // in the order of their data
  std::map<std::string, std::string> metadata;
};

namespace safetensors {

inline constexpr std::uint64_t longest_header = 100'000'000;  // bytes; the format's own limit
inline constexpr std::string_view metadata_key = "__metadata__";

// The size of one element, or nothing where the format has no such dtype.
inline std::optional<unsigned> bits_of(std::string_view dtype) {
  struct known_dtype {
    std::string_view name;
    unsigned bits;
  };
  static constexpr known_dtype known[] = {
      {"F64", 64},        {"F32", 32},    {"F16", 16},    {"BF16", 16},   {"I64", 64},    {"U64", 64},
      {"I32", 32},        {"U32", 32},    {"I16", 16},    {"U16", 16},    {"I8", 8},      {"U8", 8},
      {"BOOL", 8},        {"C64", 64},    {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
      {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4}};
  for (const auto& [name, bits] : known) {
    if (name == dtype) return bits;
  }
  return std::nullopt;
}

// The size of a tensor's data, or nothing where it is no whole number of bytes or does not fit in 64 bits.
inline std::optional<std::uint64_t> bytes_of(const std::vector<std::size_t>& shape, unsigned bits) {
  const auto count = checked_product(shape);
  if (!count) return std::nullopt;
  const auto size = checked_product(std::array<std::uint64_t, 2>{*count, bits});
  if (!size || *size % 8 != 0) return std::nullopt;
  return *size / 8;
}

// Cut where it is long, as what comes from a hostile file may be.
inline std::string shape_text(const std::vector<std::size_t>& shape) {
  constexpr std::size_t most = 8;
  std::string text = "(";
  for (std::size_t i = 0; i < std::min(shape.size(), most); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + (shape.size() > most ? ", …)" : ")");
}

// Where a tensor lies in a file.
struct entry {
  std::string name;
  std::string dtype;
  std::vector<std::size_t> shape;
  std::vector<std::uint64_t> offsets;  // begin and end, from the first byte of the data

  std::uint64_t size() const { return offsets[1] - offsets[0]; }
};

// Takes the JSON header event by event, so that nothing is stored of what does not belong there: no
// recursion, no tree.
class header_parser : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit header_parser(const byte_source& source) : source_(source) {}

  std::vector<entry> entries;
  std::map<std::string, std::string> metadata;

  bool null() override { refuse_value("null"); }
  bool boolean(bool) override { refuse_value("a boolean"); }
  bool number_integer(number_integer_t) override { refuse_value("a negative number"); }
  bool number_float(number_float_t, const string_t& text) override {
    refuse_value(("the number " + text).c_str());
  }
  bool binary(binary_t&) override { refuse_value("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (state_ != state::in_array) refuse_value("a number");
    if (key_ == "data_offsets" && entries.back().offsets.size() == 2) {
      refuse("the data_offsets of tensor " + shown(name_) + " are more than two numbers");
    }
    if (key_ == "shape") {
      entries.back().shape.push_back(value);
    } else {
      entries.back().offsets.push_back(value);
    }
    return true;
  }

  bool string(string_t& value) override {
    if (state_ == state::in_metadata) {
      metadata.emplace(key_, std::move(value));
    } else if (state_ == state::in_tensor && key_ == "dtype") {
      entries.back().dtype = std::move(value);
    } else {
      refuse_value("a string");
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (state_ == state::before) {
      state_ = state::in_header;
    } else if (state_ == state::in_header) {
      keys_.clear();
      state_ = name_ == metadata_key ? state::in_metadata : state::in_tensor;
      if (state_ == state::in_tensor) entries.emplace_back().name = name_;
    } else {
      refuse_value("an object");
    }
    return true;
  }

  bool key(string_t& value) override {
    std::set<std::string>& seen = state_ == state::in_header ? names_ : keys_;
    if (!seen.insert(value).second) refuse("the name " + shown(value) + " occurs twice");
    if (state_ == state::in_tensor && value != "dtype" && value != "shape" && value != "data_offsets") {
      refuse("tensor " + shown(name_) + " has the unknown field " + shown(value));
    }
    (state_ == state::in_header ? name_ : key_) = std::move(value);
    return true;
  }

  bool end_object() override {
    if (state_ == state::in_tensor) {
      for (const char* field : {"dtype", "shape", "data_offsets"}) {
        if (!keys_.contains(field)) refuse("tensor " + shown(name_) + " has no " + field);
      }
      if (entries.back().offsets.size() != 2) {
        refuse("the data_offsets of tensor " + shown(name_) + " are not two numbers");
      }
    }
    state_ = state_ == state::in_header ? state::after : state::in_header;
    return true;
  }

  bool start_array(std::size_t) override {
    if (state_ != state::in_tensor || key_ == "dtype") refuse_value("an array");
    state_ = state::in_array;
    return true;
  }

  bool end_array() override {
    state_ = state::in_tensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    refuse("it is not valid JSON near byte " + std::to_string(sizeof(std::uint64_t) + position));
  }

 private:
  enum class state { before, in_header, in_metadata, in_tensor, in_array, after };

  [[noreturn]] void refuse(const std::string& wrong) const {
    source_.refuse("its header is damaged: " + wrong, "write the file again with a safetensors library");
  }

  [[noreturn]] void refuse_value(const char* what) const {
    switch (state_) {
      case state::in_header:
        refuse(shown(name_) + " is " + what + " and not a tensor's description");
      case state::in_metadata:
        refuse("the metadata " + shown(key_) + " is " + what + " and not a string");
      case state::in_tensor:
      case state::in_array:
        refuse("the " + key_ + " of tensor " + shown(name_) + " has " + what + " in it");
      default:
        refuse(std::string("it is ") + what);
    }
  }

  const byte_source& source_;
  state state_ = state::before;
  std::string name_;             // of the tensor being described
  std::string key_;              // of the field being read
  std::set<std::string> names_;  // of all tensors so far
  std::set<std::string> keys_;   // of all fields of this one so far
};

// Reads the header, checks all of it, and then gives the tensors in the order of their data.
class reader {
 public:
  explicit reader(byte_source source) : source_(std::move(source)) {
    read_header();
    for (const entry& tensor : entries_) check_size(tensor);
    check_places();
  }

  const std::vector<entry>& entries() const { return entries_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  // The data of all tensors; entries()[i] belongs to result[i].
  std::vector<std::vector<std::byte>> read_data() {
    std::vector<std::vector<std::byte>> data(entries_.size());
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      try {
        data[i].resize(static_cast<std::size_t>(entries_[i].size()));
      } catch (const std::bad_alloc&) {
        refuse("tensor " + shown(entries_[i].name) + " does not fit in memory", "free memory");
      }
      if (source_.read(data[i]) < data[i].size()) {
        refuse("it was cut short while it was read", "read it again");
      }
    }
    return data;
  }

  [[noreturn]] void refuse(const std::string& wrong, const std::string& remedy) const {
    source_.refuse(wrong, remedy);
  }

 private:
  static constexpr const char* fetch_again = "fetch or save the file again";

  void read_header() {
    std::array<std::byte, sizeof(std::uint64_t)> prefix{};
    if (source_.read(prefix) < prefix.size()) {
      refuse("it has " + std::to_string(source_.size()) +
                 " bytes, fewer than the 8 that a safetensors file begins with",
             fetch_again);
    }
    const auto length = std::bit_cast<std::uint64_t>(prefix);
    if (length > longest_header) {
      refuse("its header claims " + std::to_string(length) + " bytes (bytes 0 to 7), and the format allows " +
                 std::to_string(longest_header),
             "give a safetensors file");
    }
    const std::uint64_t rest = source_.size() - prefix.size();
    if (length > rest) {
      refuse("its header claims " + std::to_string(length) + " bytes, and only " + std::to_string(rest) +
                 " follow byte 8",
             fetch_again);
    }
    std::vector<char> header(static_cast<std::size_t>(length));
    if (source_.read(std::as_writable_bytes(std::span(header))) < header.size()) {
      refuse("it was cut short while it was read", "read it again");
    }
    if (header.empty() || header.front() != '{') {
      refuse("its header does not begin with { at byte 8", "give a safetensors file");
    }
    header_parser parser(source_);
    nlohmann::json::sax_parse(header.begin(), header.end(), &parser);
    entries_ = std::move(parser.entries);
    metadata_ = std::move(parser.metadata);
  }

  void check_size(const entry& tensor) const {
    const std::string name = "tensor " + shown(tensor.name);
    const auto bits = bits_of(tensor.dtype);
    if (!bits) refuse(name + " has the unknown dtype " + shown(tensor.dtype), "save it as F32");
    if (tensor.offsets[0] > tensor.offsets[1]) {
      refuse(name + " ends at byte " + std::to_string(tensor.offsets[1]) +
                 " of the data, before it begins at " + std::to_string(tensor.offsets[0]),
             fetch_again);
    }
    if (bytes_of(tensor.shape, *bits) != tensor.size()) {
      refuse(name + " has " + std::to_string(tensor.size()) + " bytes, which is not the size of " +
                 tensor.dtype + " " + shape_text(tensor.shape),
             fetch_again);
    }
  }

  // One tensor after the other, from the first byte of the data to the last: no gap, no overlap.
  void check_places() {
    std::ranges::stable_sort(entries_, {}, &entry::offsets);
    std::uint64_t end = 0;
    for (const entry& tensor : entries_) {
      if (tensor.offsets[0] != end) {
        refuse("tensor " + shown(tensor.name) + " begins at byte " + std::to_string(tensor.offsets[0]) +
                   " of the data, where the one before it ends at " + std::to_string(end),
               fetch_again);
      }
      end = tensor.offsets[1];
    }
    const std::uint64_t size = source_.size() - source_.position();
    if (end != size) {
      refuse("its tensors take " + std::to_string(end) + " bytes, and " + std::to_string(size) +
                 " follow the header",
             fetch_again);
    }
  }

  byte_source source_;
  std::vector<entry> entries_;
  std::map<std::string, std::string> metadata_;
};

inline tensor_file read(byte_source source) {
  reader file(std::move(source));
  tensor_file result{{}, file.metadata()};
  auto data = file.read_data();
  for (std::size_t i = 0; i < data.size(); ++i) {
    const entry& from = file.entries()[i];
    result.tensors.push_back({from.name, from.dtype, from.shape, std::move(data[i])});
  }
  return result;
}

// Tensors with large elements come first, as in the files of the reference implementation: so all are
// aligned.
inline std::vector<const stored_tensor*> data_order(const std::vector<stored_tensor>& tensors) {
  std::vector<const stored_tensor*> order;
  for (const stored_tensor& tensor : tensors) order.push_back(&tensor);
  std::ranges::stable_sort(order, std::ranges::greater{},
                           [](const stored_tensor* tensor) { return bits_of(tensor->dtype).value_or(0); });
  return order;
}

// The 8 bytes of the length and the JSON, padded so that the data begin at a multiple of 8.
inline std::string header(const std::vector<const stored_tensor*>& tensors,
                          const std::map<std::string, std::string>& metadata, const atomic_file& file) {
  nlohmann::json json = nlohmann::json::object();
  if (!metadata.empty()) json[std::string(metadata_key)] = metadata;
  std::uint64_t end = 0;
  for (const stored_tensor* tensor : tensors) {
    const std::string name = "tensor " + shown(tensor->name);
    if (tensor->name == metadata_key) {
      file.refuse(name + " has the name of the metadata", "give it another name");
    }
    if (json.contains(tensor->name)) file.refuse(name + " is there twice", "give each tensor its own name");
    const auto bits = bits_of(tensor->dtype);
    if (!bits) {
      file.refuse(name + " has the unknown dtype " + shown(tensor->dtype),
                  "use one of the format's, like F32");
    }
    if (bytes_of(tensor->shape, *bits) != tensor->data.size()) {
      file.refuse(name + " has " + std::to_string(tensor->data.size()) + " bytes, which is not the size of " +
                      tensor->dtype + " " + shape_text(tensor->shape),
                  "give data of that size");
    }
    const std::uint64_t begin = std::exchange(end, end + tensor->data.size());
    json[tensor->name] = {{"dtype", tensor->dtype}, {"shape", tensor->shape}, {"data_offsets", {begin, end}}};
  }
  std::string text;
  try {
    text = json.dump();
  } catch (const nlohmann::json::exception&) {
    file.refuse("a name or the metadata is not UTF-8", "use UTF-8");
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > longest_header) {
    file.refuse("its header would be larger than 100 MB", "write fewer tensors");
  }
  const auto prefix = std::bit_cast<std::array<char, 8>>(static_cast<std::uint64_t>(text.size()));
  return std::string(prefix.begin(), prefix.end()) + text;
}

}  // namespace safetensors

}  // namespace plexus::inline PLEXUS_ABI
