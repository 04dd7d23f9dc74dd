// Samples in mapped files: a batch's are read from the disk when they are wanted. map_idx() and map_npy()
// make them.
#pragma once

#include <plexus/data/batch_source.hpp>
#include <plexus/io/mapped_file.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

// A matrix of bytes or of floats in a mapped file, row-major.
class mapped_rows {
 public:
  enum class element { uint8, float32 };

  // `begin` is the place of its first value in the file, which holds all of the matrix.
  mapped_rows(mapped_file file, std::uint64_t begin, element type, int rows, int width, float divisor)
      : file_(std::move(file)),
        values_(file_.bytes().data() + begin),
        type_(type),
        rows_(rows),
        width_(width),
        divisor_(divisor) {}

  int rows() const { return rows_; }
  int width() const { return width_; }

  // Row i of `to` becomes row rows[i], each value divided by the divisor.
  void copy(std::span<const int> rows, std::span<float> to) const {
    const auto width = static_cast<std::size_t>(width_);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (i + rows_ahead < rows.size()) expect(bytes_of(rows[i + rows_ahead]));
      const std::byte* from = bytes_of(rows[i]);
      float* const row = to.data() + i * width;
      if (type_ == element::uint8) {
        convert(reinterpret_cast<const std::uint8_t*>(from), row, width_, divisor_);
      } else {
        std::memcpy(row, from, width * sizeof(float));  // it may lie anywhere in the file
        if (divisor_ != 1) divide(row);
      }
    }
  }

  static std::size_t size_of(element type) { return type == element::uint8 ? 1 : sizeof(float); }

 private:
  static constexpr std::size_t rows_ahead = 4;

  const std::byte* bytes_of(int row) const { return values_ + static_cast<std::size_t>(row) * row_bytes(); }
  std::size_t row_bytes() const { return static_cast<std::size_t>(width_) * size_of(type_); }

  // Shuffled rows lie far apart, which no processor guesses: their reading begins while others are converted.
  // It goes on by itself where a row is long.
  void expect(const std::byte* row) const {
    constexpr std::size_t line = 64, page = 4096;
    for (std::size_t at = 0; at < std::min(row_bytes(), page); at += line) __builtin_prefetch(row + at);
  }

  // A byte may alias anything: without __restrict, which is lost where the function is inlined, this is no
  // loop for the vector unit.
  [[gnu::noinline]] static void convert(const std::uint8_t* __restrict from, float* __restrict to, int width,
                                        float divisor) {
    for (int j = 0; j < width; ++j) to[j] = static_cast<float>(from[j]) / divisor;
  }

  void divide(float* row) const {
    for (int j = 0; j < width_; ++j) row[j] /= divisor_;
  }

  mapped_file file_;
  const std::byte* values_;
  element type_;
  int rows_, width_;
  float divisor_;
};

class mapped_source : public batch_source {
 public:
  // As many labels as rows, each in [0, classes).
  mapped_source(mapped_rows inputs, std::vector<int> labels, int classes)
      : inputs_(std::move(inputs)), labels_(std::move(labels)), outputs_(classes) {}
  // As many targets as inputs.
  mapped_source(mapped_rows inputs, mapped_rows targets)
      : inputs_(std::move(inputs)), targets_(std::move(targets)), outputs_(targets_->width()) {}

  source_shape shape() const override {
    return {inputs_.rows(), inputs_.width(), outputs_, !targets_.has_value()};
  }

  void fill(std::uint64_t, std::span<const int> samples, const batch_view& to) const override {
    inputs_.copy(samples, to.inputs);
    if (targets_) {
      targets_->copy(samples, to.targets);
    } else {
      for (std::size_t i = 0; i < samples.size(); ++i) {
        to.labels[i] = labels_[static_cast<std::size_t>(samples[i])];
      }
    }
  }

 private:
  mapped_rows inputs_;
  std::vector<int> labels_;
  std::optional<mapped_rows> targets_;
  int outputs_;
};

}  // namespace plexus::inline PLEXUS_ABI
