// The readers of files as functions of any bytes: each ends in a sound result or in a plexus::error, and in
// nothing else. libfuzzer/entry.cpp gives them what libFuzzer invents, corpora.cpp what is in corpus/.
#pragma once

#include <plexus/data/csv.hpp>
#include <plexus/data/idx.hpp>
#include <plexus/io/npy.hpp>
#include <plexus/io/safetensors.hpp>
#include <plexus/io/tuning.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fuzz {

using bytes = std::span<const std::byte>;

struct target {
  std::string_view name;
  void (*read)(bytes);
};

// No plexus::error: it ends a fuzzer as a crash does.
inline void require_sound(bool sound, const char* what) {
  if (!sound) throw std::logic_error(what);
}

// Whether `read` takes the bytes; what it throws besides plexus::error goes on.
template <class Read>
bool accepts(Read read, bytes input) {
  try {
    read(input);
    return true;
  } catch (const plexus::error&) {
    return false;
  }
}

inline void read_safetensors(bytes input) {
  for (const plexus::stored_tensor& tensor : plexus::parse_safetensors(input).tensors) {
    const auto bits = plexus::safetensors::bits_of(tensor.dtype);
    require_sound(bits && plexus::safetensors::bytes_of(tensor.shape, *bits) == tensor.data.size(),
                  "a tensor's data are not those of its shape");
  }
}

inline void read_idx(bytes input) {
  const plexus::idx_array array = plexus::parse_idx_array(input);
  const std::size_t count = std::visit([](const auto& values) { return values.size(); }, array.values);
  require_sound(plexus::checked_product(array.shape) == count,
                "an IDX array's values are not those of its shape");
}

// A table is read in every way, and taken if it is in one.
inline void read_csv(bytes input) {
  static const std::vector<plexus::csv_options> ways = {
      {.label = -1},
      {.label = "label", .classes = {"no", "yes"}, .ignored = {0}},
      {.has_header = false, .separator = ';', .label = 0},
      {.has_header = false, .separator = '\t', .targets = {-1, 0}}};
  const auto taken = std::ranges::count_if(ways, [&](const plexus::csv_options& options) {
    return accepts(
        [&](bytes table) {
          const plexus::csv_dataset data = plexus::parse_csv(table, options);
          require_sound(accepts([&](bytes) { data.validate(); }, table), "a table became no sound data set");
        },
        input);
  });
  if (taken == 0) throw plexus::error("reading a table", "no way fits", "give another");
}

inline void read_npy(bytes input) {
  const plexus::npy_array array = plexus::parse_npy(input);
  require_sound(plexus::checked_product(array.shape) == array.values.size(),
                "an array's values are not those of its shape");
  std::string written = plexus::npy::prologue(array.shape);
  const auto values = std::as_bytes(std::span(array.values));
  written.append(reinterpret_cast<const char*>(values.data()), values.size());
  const plexus::npy_array again = plexus::parse_npy(std::as_bytes(std::span(written)));
  require_sound(
      again.shape == array.shape && std::ranges::equal(values, std::as_bytes(std::span(again.values))),
      "an array is another after writing and reading");
}

// For the device that the corpus is of, whatever runs this.
inline void read_tuning(bytes input) {
  const plexus::tuning::device_identity device{"hostcuda: CPU", 80};
  const auto text_of_choices = [&](bytes file) {
    plexus::tuning::reader reader(plexus::byte_source(file, "reading tuning data in memory"), device);
    return plexus::tuning::text_of(reader(), device);
  };
  const std::string text = text_of_choices(input);
  require_sound(text_of_choices(std::as_bytes(std::span(text))) == text,
                "choices are others after writing and reading");
}

inline constexpr target targets[] = {{"safetensors", read_safetensors},
                                     {"idx", read_idx},
                                     {"csv", read_csv},
                                     {"npy", read_npy},
                                     {"tuning", read_tuning}};

}  // namespace fuzz
