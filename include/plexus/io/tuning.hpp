// The choices of tune() in a small JSON file, for the device that they were measured on. Needs nlohmann-json.
#pragma once

#include <plexus/io/file.hpp>
#include <plexus/io/shown.hpp>
#include <plexus/linalg/gemm_choices.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

namespace plexus::inline PLEXUS_ABI {

namespace tuning {

inline constexpr const char* format_key = "plexus_tuning";
inline constexpr int format = 1;

struct device_identity {
  std::string name;
  int capability;  // 10·major + minor

  friend bool operator==(const device_identity&, const device_identity&) = default;
};

inline device_identity this_device() {
  int device = 0;
  cudaDeviceProp properties{};
  check(cudaGetDevice(&device), "asking for the current device");
  check(cudaGetDeviceProperties(&properties, device), "asking for a device's name");
  return {properties.name, 10 * properties.major + properties.minor};
}

inline std::string compact(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// A line for each product.
inline std::string text_of(const gemm_choices& choices, const device_identity& device = this_device()) {
  std::string text = "{\"" + std::string(format_key) + "\": " + std::to_string(format) +
                     ",\n \"device\": " + compact(device.name) +
                     ", \"capability\": " + std::to_string(device.capability) + ",\n \"products\": [";
  for (const char* separator = "\n  "; const auto& [product, candidates] : choices.products()) {
    const auto& [choice, ms] = candidates.front();
    const bool tiled = choice.way == gemm_way::tile;
    const auto [m, n, k] = product.shape;
    text += std::exchange(separator, ",\n  ") +
            compact({{"layout", layout_names[static_cast<int>(product.order)]},
                     {"type", element_type_names[static_cast<int>(product.type)]},
                     {"m", m},
                     {"n", n},
                     {"k", k},
                     {"kernel", tiled ? gemm_tiles[static_cast<int>(choice.tile)].name : to_string(choice)},
                     {"slices", choice.slices},
                     {"ms", std::round(1e6 * static_cast<double>(ms)) / 1e6}});
  }
  return text + "]}\n";
}

// Understands a file whole before anything comes of it.
class reader {
 public:
  explicit reader(byte_source source, device_identity device = this_device())
      : source_(std::move(source)), device_(std::move(device)) {}

  gemm_choices operator()() {
    const nlohmann::json file = parsed();
    if (!file.is_object() || file.value(format_key, nlohmann::json()) != format)
      refuse("it has no \"" + std::string(format_key) + "\" of " + std::to_string(format),
             "give a file that save_tuning() wrote");
    const device_identity device{text(file, "device"), whole(file, "capability")};
    if (device != device_) {
      refuse("it is of the device " + shown(device.name) + " of capability " +
                 std::to_string(device.capability) + ", which this is not",
             "tune on this device");
    }
    gemm_choices choices;
    for (const nlohmann::json& product : products_in(file)) {
      ++number_;
      add_to(choices, product);
    }
    return choices;
  }

 private:
  nlohmann::json parsed() {
    constexpr std::uint64_t largest = 1 << 20;
    if (source_.size() > largest) {
      refuse("it has " + std::to_string(source_.size()) + " bytes, more than any tuning file",
             "give a file that save_tuning() wrote");
    }
    std::string bytes(static_cast<std::size_t>(source_.size()), '\0');
    bytes.resize(source_.read(std::as_writable_bytes(std::span(bytes))));
    try {
      return nlohmann::json::parse(bytes);
    } catch (const nlohmann::json::parse_error& error) {
      refuse("it is not valid JSON near byte " + std::to_string(error.byte), again);
    } catch (const nlohmann::json::out_of_range&) {
      refuse("it has a number beyond the range of double", again);
    }
  }

  const nlohmann::json& products_in(const nlohmann::json& file) const {
    const auto at = file.find("products");
    if (at == file.end() || !at->is_array()) refuse("it has no list \"products\"", again);
    return *at;
  }

  void add_to(gemm_choices& choices, const nlohmann::json& entry) const {
    const auto order = static_cast<layout>(place_in(layout_names, entry, "layout"));
    const auto type = static_cast<element_type>(place_in(element_type_names, entry, "type"));
    const gemm_product product{order, type, {whole(entry, "m"), whole(entry, "n"), whole(entry, "k")}};
    if (choices.find(product) != nullptr)
      refuse(subject() + ", " + to_string(product) + ", is there already", again);
    const gemm_choice choice = choice_in(entry);
    if (!can_compute(product, choice)) {
      refuse(subject() + ", " + to_string(product) + ", goes by " + to_string(choice) +
                 ", which is no way of this program",
             "tune with this program");
    }
    choices.set({product, {{choice, milliseconds(entry)}}});
  }

  gemm_choice choice_in(const nlohmann::json& entry) const {
    const std::string kernel = text(entry, "kernel");
    const int slices = whole(entry, "slices");
    for (const gemm_way way : {gemm_way::native, gemm_way::vendor, gemm_way::loops}) {
      if (kernel == gemm_way_names[static_cast<int>(way)]) return {{}, slices, way};
    }
    for (const gemm_tile_row& row : gemm_tiles) {
      if (kernel == row.name) return {row.tile, slices};
    }
    refuse(subject() + " names the unknown kernel " + shown(kernel), "tune with this version of plexus");
  }

  template <std::size_t Count>
  int place_in(const char* const (&names)[Count], const nlohmann::json& entry, const char* field) const {
    const std::string name = text(entry, field);
    for (std::size_t i = 0; i < Count; ++i) {
      if (name == names[i]) return static_cast<int>(i);
    }
    refuse(subject() + " has the unknown " + field + " " + shown(name), again);
  }

  std::string text(const nlohmann::json& object, const char* field) const {
    const nlohmann::json& value = field_of(object, field);
    if (!value.is_string()) refuse("the " + std::string(field) + " of " + subject() + " is no string", again);
    return value.get<std::string>();
  }

  int whole(const nlohmann::json& object, const char* field) const {
    constexpr std::uint64_t most = 1 << 30;  // so that blocks can be counted
    const nlohmann::json& value = field_of(object, field);
    const std::uint64_t number = value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
    if (number < 1 || number > most) {
      refuse("the " + std::string(field) + " of " + subject() + " is no whole number from 1 to " +
                 std::to_string(most),
             again);
    }
    return static_cast<int>(number);
  }

  float milliseconds(const nlohmann::json& object) const {
    constexpr double most = 1e9;
    const nlohmann::json& value = field_of(object, "ms");
    if (!value.is_number() || value.get<double>() < 0 || value.get<double>() > most)
      refuse("the ms of " + subject() + " are no time", again);
    return value.get<float>();
  }

  const nlohmann::json& field_of(const nlohmann::json& object, const char* field) const {
    const auto at = object.is_object() ? object.find(field) : object.end();
    if (at == object.end()) refuse(subject() + " has no " + field, again);
    return *at;
  }

  // What is being read.
  std::string subject() const { return number_ == 0 ? "the file" : "product " + std::to_string(number_); }

  [[noreturn]] void refuse(const std::string& wrong, const std::string& remedy) const {
    source_.refuse(wrong, remedy);
  }

  static constexpr const char* again = "tune and save again";

  byte_source source_;
  device_identity device_;
  int number_ = 0;  // of the product being read, from 1
};

}  // namespace tuning

// Writes the choices, measured on the current device, whole or not at all.
inline void save_tuning(const gemm_choices& choices, const std::filesystem::path& path) {
  atomic_file file(path, "writing the tuning file " + quoted(path));
  const std::string text = tuning::text_of(choices);
  file.write(std::as_bytes(std::span(text)));
  file.commit();
}

// Reads what save_tuning() wrote, for net.set_choices(). Refuses the file of another device, and what this
// program cannot compute.
inline gemm_choices load_tuning(const std::filesystem::path& path) {
  return tuning::reader(byte_source(path, "reading the tuning file " + quoted(path)))();
}

}  // namespace plexus::inline PLEXUS_ABI
