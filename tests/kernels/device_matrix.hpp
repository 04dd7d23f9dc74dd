// Matrices for kernel tests: any leading dimension and alignment, with NaN in every place that is not an
// element. A kernel that reads beside its operand spreads NaN; one that writes beside its result is caught by
// `guards_intact`.
#pragma once

#include <plexus/core/buffer.hpp>
#include <plexus/core/stream.hpp>

#include <bit>
#include <cstdint>
#include <random>
#include <type_traits>
#include <vector>

namespace plexus::kernel_test {

using generator = std::mt19937;

// Uniform in [-1, 1).
inline float random_float(generator& random) {
  return static_cast<float>(static_cast<double>(random()) / 2147483648.0 - 1.0);
}

inline int random_int(generator& random, int from, int to) {
  return from + static_cast<int>(random() % static_cast<unsigned>(to - from + 1));
}

struct placement {
  int slack = 0;   // elements between the end of a row and the next
  int offset = 0;  // elements between an aligned address and the first element
};

// Elements are float, __half or __nv_bfloat16.
template <class T>
class device_matrix_of {
 public:
  device_matrix_of(int rows, int cols, placement where)
      : rows_(rows),
        cols_(cols),
        ld_(cols + where.slack),
        first_(guard + static_cast<std::size_t>(where.offset)),
        memory_(first_ + static_cast<std::size_t>(rows) * static_cast<std::size_t>(ld_) + guard, poison()),
        device_(to_device(nullptr, memory_)) {
    check(cudaStreamSynchronize(nullptr), "uploading a test matrix");  // kernels run on other streams
  }

  // Uniform in [offset − 1, offset + 1).
  static device_matrix_of random(generator& random, int rows, int cols, placement where, float offset = 0) {
    device_matrix_of result(rows, cols, where);
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < cols; ++j) result.memory_[result.index(i, j)] = T(offset + random_float(random));
    }
    copy_to_device<T>(nullptr, result.device_.data(), result.memory_);
    check(cudaStreamSynchronize(nullptr), "uploading a test matrix");
    return result;
  }

  int rows() const { return rows_; }
  int cols() const { return cols_; }
  matrix_view<T> view() const { return {device_.data() + first_, rows_, cols_, ld_}; }

  // The host's copy: what was uploaded, or what download() brought.
  T operator()(int i, int j) const { return memory_[index(i, j)]; }

  void download(cudaStream_t stream) { copy_to_host<T>(stream, memory_, device_.data()); }

  // Whether everything that is not an element still holds the bits it was poisoned with.
  bool guards_intact() const {
    for (std::size_t at = 0; at < memory_.size(); ++at) {
      const bool inside = at >= first_ && at < index(rows_, 0) &&
                          (at - first_) % static_cast<std::size_t>(ld_) < static_cast<std::size_t>(cols_);
      if (!inside && std::bit_cast<bit_pattern>(memory_[at]) != poison_bits) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t guard = 64;
  using bit_pattern = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint16_t>;
  static constexpr bit_pattern poison_bits =
      sizeof(T) == 4 ? 0x7fc0beef : 0x7fef;  // a NaN that no arithmetic makes
  static T poison() { return std::bit_cast<T>(poison_bits); }

  std::size_t index(int i, int j) const {
    return first_ + static_cast<std::size_t>(i) * static_cast<std::size_t>(ld_) + static_cast<std::size_t>(j);
  }

  int rows_, cols_, ld_;
  std::size_t first_;
  std::vector<T> memory_;
  buffer<T> device_;
};

using device_matrix = device_matrix_of<float>;

// The bits of all elements, to compare two runs.
inline std::vector<std::uint32_t> bits(const device_matrix& x) {
  std::vector<std::uint32_t> result;
  for (int i = 0; i < x.rows(); ++i) {
    for (int j = 0; j < x.cols(); ++j) result.push_back(std::bit_cast<std::uint32_t>(x(i, j)));
  }
  return result;
}

}  // namespace plexus::kernel_test
