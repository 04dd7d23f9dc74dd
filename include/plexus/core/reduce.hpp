// Sums in a fixed order: the same values give the same bits on every run of a device.
#pragma once

#include <plexus/core/buffer.hpp>
#include <plexus/core/for_each.hpp>

namespace plexus::inline PLEXUS_ABI {

// Sums `chunk` values a row; rows are added up in double.
template <class T>
struct chunk_sum {
  static constexpr std::size_t chunk = 4096;
  const T* values;
  std::size_t size;
  double* sums;
  bool add;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const std::size_t begin = static_cast<std::size_t>(row) * chunk;
    const std::size_t end = begin + chunk < size ? begin + chunk : size;
    double sum = 0;
    for (std::size_t i = begin + static_cast<std::size_t>(group.rank()); i < end;
         i += static_cast<std::size_t>(group.size())) {
      sum += static_cast<double>(values[i]);
    }
    sum = group.sum(sum);
    if (group.rank() == 0) sums[row] = add ? sums[row] + sum : sum;
  }
};

// Adds Σ values to *total (device memory). Two launches beyond 4,096 values, one below.
class sum_into {
 public:
  sum_into() = default;
  // Prepares for up to `capacity` values, so that summing allocates nothing.
  explicit sum_into(std::size_t capacity) : partial_(divide_up(capacity, chunk_sum<float>::chunk)) {}

  template <class T>
  void operator()(cudaStream_t stream, view<T> values, double* total) const {
    using value = std::remove_const_t<T>;
    const std::size_t chunks = divide_up(values.size, chunk_sum<value>::chunk);
    if (chunks == 0) return;
    if (chunks == 1) {
      for_each_row(stream, 1, chunk_sum<value>{values.data, values.size, total, true});
      return;
    }
    require(chunks <= partial_.size(), "summing values", "there are more values than sum_into was prepared for",
            "construct it with the largest number of values");
    for_each_row(stream, static_cast<int>(chunks),
                 chunk_sum<value>{values.data, values.size, partial_.data(), false});
    for_each_row(stream, 1, chunk_sum<double>{partial_.data(), chunks, total, true});
  }

 private:
  buffer<double> partial_;
};

}  // namespace plexus::inline PLEXUS_ABI
