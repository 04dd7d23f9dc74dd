// What goes wrong is an exception that says what was being done, what is wrong and what to do.
#pragma once

#include <plexus/platform.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

namespace plexus::inline PLEXUS_ABI {

// Every error of the library. what() reads "<doing>: <wrong>; <remedy>".
class error : public std::runtime_error {
 public:
  error(const std::string& doing, const std::string& wrong, const std::string& remedy)
      : std::runtime_error(doing + ": " + wrong + "; " + remedy) {}
};

// Throws plexus::error when `condition` does not hold. The texts are built only then.
inline void require(bool condition, const char* doing, const char* wrong, const char* remedy) {
  if (!condition) throw error(doing, wrong, remedy);
}

[[noreturn]] inline void throw_cuda_error(cudaError_t status, const char* doing) {
  cudaGetLastError();  // the exception carries it from here: nobody shall find it again at his own call
  std::string wrong = std::string(cudaGetErrorString(status)) + " (" + cudaGetErrorName(status) + ")";
  if (const std::string report = platform::fault_report(); !report.empty()) wrong += ": " + report;
  throw error(doing, wrong,
              status == cudaErrorMemoryAllocation
                  ? "use a smaller batch or network, or free device memory"
                  : "see the CUDA error; a fault of an earlier kernel may show only here");
}

// Every CUDA call passes here.
inline void check(cudaError_t status, const char* doing) {
  if (status != cudaSuccess) throw_cuda_error(status, doing);
}

// "the <name> is not <demand>; choose one such as <example>".
inline void require_number(bool fits, const char* doing, const char* name, const char* demand,
                           const char* example) {
  if (fits) return;
  throw error(doing, std::string("the ") + name + " is not " + demand,
              std::string("choose one such as ") + example);
}
inline void require_positive(const char* doing, const char* name, float value, const char* example) {
  require_number(std::isfinite(value) && value > 0, doing, name, "a positive number", example);
}
inline void require_not_negative(const char* doing, const char* name, float value, const char* example) {
  require_number(std::isfinite(value) && value >= 0, doing, name, "a number ≥ 0", example);
}
inline void require_fraction(const char* doing, const char* name, float value, const char* example) {
  require_number(value >= 0 && value < 1, doing, name, "in [0, 1)", example);
}

// Vectorised, unlike a search for the first that is not.
inline bool all_finite(std::span<const float> values) {
  std::uint32_t largest = 0;  // infinities and NaNs have all bits of the exponent set
  for (const float value : values) {
    largest = std::max(largest, std::bit_cast<std::uint32_t>(value) & 0x7fffffffu);
  }
  return largest < 0x7f800000u;
}

// Throws if one of `values`, rows of `width`, is NaN or infinite, naming it as `what`. The rows are samples
// 0, 1, … or those of these numbers.
inline void require_finite(std::span<const float> values, int width, const char* what, const char* doing,
                           std::span<const int> numbers = {}) {
  if (all_finite(values)) return;
  const auto bad = std::ranges::find_if_not(values, [](float value) { return std::isfinite(value); });
  const auto at = static_cast<std::size_t>(bad - values.begin()), columns = static_cast<std::size_t>(width);
  const std::size_t row = at / columns;
  throw error(doing,
              std::string(what) + " " + std::to_string(at % columns) + " of sample " +
                  (numbers.empty() ? std::to_string(row) : std::to_string(numbers[row])) + " is " +
                  (std::isnan(*bad) ? "NaN" : "infinite"),
              "remove the sample or replace the value");
}

// Throws if one of the samples' weights, numbered likewise, is not a number ≥ 0.
inline void require_weights(std::span<const float> weights, const char* doing,
                            std::span<const int> numbers = {}) {
  require_finite(weights, 1, "weight", doing, numbers);
  const auto bad = std::ranges::find_if(weights, [](float weight) { return weight < 0; });
  if (bad == weights.end()) return;
  const auto at = static_cast<std::size_t>(bad - weights.begin());
  throw error(doing,
              "the weight of sample " + (numbers.empty() ? std::to_string(at) : std::to_string(numbers[at])) +
                  " is negative",
              "give a number ≥ 0");
}

// Throws if one of the labels of samples 0, 1, … (or of those of these numbers) is none of `classes` classes,
// whose number the caller says by `setting`.
inline void require_labels(std::span<const int> labels, int classes, const std::string& doing,
                           std::span<const int> numbers = {}, const std::string& setting = "outputs") {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] >= 0 && labels[i] < classes) continue;
    throw error(doing,
                "sample " + (numbers.empty() ? std::to_string(i) : std::to_string(numbers[i])) +
                    " has label " + std::to_string(labels[i]) + " of " + std::to_string(classes) + " classes",
                "labels count from 0: correct the label, or set " + setting + " to the number of classes");
  }
}

}  // namespace plexus::inline PLEXUS_ABI
