// Arrays in .npy files trained on where they lie.
#pragma once

#include <plexus/data/class_count.hpp>
#include <plexus/data/mapped_source.hpp>
#include <plexus/io/npy.hpp>

#include <climits>
#include <cmath>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

// Give either labels or targets.
struct npy_files {
  std::filesystem::path inputs;     // float32 or uint8, (samples, …): what follows the samples are features
  std::filesystem::path labels{};   // whole numbers from 0, below 2²⁴, (samples)
  std::filesystem::path targets{};  // float32 or uint8, (samples, …): what follows the samples are outputs
  float divisor = 1;                // of the inputs: 255 makes bytes to numbers in [0, 1]
  int classes = 0;                  // 0: largest label + 1
};

namespace npy {

inline mapped_rows map_rows(const std::filesystem::path& path, float divisor) {
  using element = mapped_rows::element;
  reader reader(byte_source(path, doing(path)));
  const byte_source& file = reader.source();
  const header head = reader.read_header();
  if (*head.element_type != "<f4" && *head.element_type != "|u1") {
    file.refuse(
        "its elements are " + shown(*head.element_type) + ", and only float32 and uint8 can be mapped",
        "save array.astype('<f4')");
  }
  if (*head.fortran_order) {
    file.refuse("its values lie in Fortran order, where no sample lies in one piece",
                "save numpy.ascontiguousarray(array)");
  }
  const element type = *head.element_type == "<f4" ? element::float32 : element::uint8;
  const std::vector<std::size_t>& shape = *head.shape;
  const std::size_t count = reader.checked_count(shape, mapped_rows::size_of(type));
  if (shape.empty() || count == 0) {
    file.refuse("its shape is " + tuple_text(shape) + ", without samples", "give an array of samples");
  }
  const std::size_t width = count / shape[0];
  if (shape[0] > INT_MAX || width > INT_MAX) {
    file.refuse("its shape " + tuple_text(shape) + " is more than an int counts", "split the file");
  }
  return {mapped_file(file),          file.position(),         type,
          static_cast<int>(shape[0]), static_cast<int>(width), divisor};
}

// The classes of samples: a file that is read whole.
inline std::vector<int> read_labels(const std::filesystem::path& path) {
  reader whole(byte_source(path, doing(path)));
  const npy_array array = whole.read();
  const byte_source& file = whole.source();
  if (array.shape.size() != 1) {
    file.refuse("its shape is " + tuple_text(array.shape), "give labels of the shape (samples,)");
  }
  std::vector<int> labels;
  labels.reserve(array.values.size());
  for (const float value : array.values) {
    if (!(value >= 0 && value < 0x1p24f && value == std::floor(value))) {
      file.refuse("value " + std::to_string(labels.size()) + " is no class: " + std::to_string(value),
                  "give whole numbers from 0 to 16777215");
    }
    labels.push_back(static_cast<int>(value));
  }
  return labels;
}

inline void require_pairs(const std::string& pairing, int samples, std::size_t others, const char* what) {
  if (static_cast<std::size_t>(samples) == others) return;
  throw error(pairing, std::to_string(samples) + " samples but " + std::to_string(others) + " " + what,
              "give two files of the same set");
}

}  // namespace npy

// Throws plexus::error where a file is damaged, or of a type or order that cannot be trained on as it lies.
inline mapped_source map_npy(const npy_files& files) {
  const std::string pairing = "mapping the npy file " + quoted(files.inputs);
  if (files.labels.empty() == files.targets.empty()) {
    throw error(
        pairing,
        files.labels.empty() ? "neither labels nor targets are given" : "both labels and targets are given",
        "set npy_files.labels or npy_files.targets");
  }
  if (!(std::isfinite(files.divisor) && files.divisor != 0)) {
    throw error(pairing, "the divisor is " + std::to_string(files.divisor), "choose one such as 255");
  }
  mapped_rows inputs = npy::map_rows(files.inputs, files.divisor);
  if (!files.targets.empty()) {
    mapped_rows targets = npy::map_rows(files.targets, 1);
    npy::require_pairs(pairing, inputs.rows(), static_cast<std::size_t>(targets.rows()), "targets");
    return {std::move(inputs), std::move(targets)};
  }
  std::vector<int> labels = npy::read_labels(files.labels);
  npy::require_pairs(pairing, inputs.rows(), labels.size(), "labels");
  const int classes = class_count(labels, files.classes, pairing, "npy_files.classes");
  return {std::move(inputs), std::move(labels), classes};
}

}  // namespace plexus::inline PLEXUS_ABI
