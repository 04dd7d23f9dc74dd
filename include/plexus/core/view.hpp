// Views: device memory that somebody else owns, with its shape.
#pragma once

#include <plexus/platform.hpp>

#include <cstddef>
#include <type_traits>

namespace plexus::inline PLEXUS_ABI {

// A contiguous range of device memory.
template <class T>
struct view {
  T* data = nullptr;
  std::size_t size = 0;

  PLEXUS_FN T& operator[](std::size_t i) const { return data[i]; }
  template <class U>
  requires(std::is_same_v<U, const T> && !std::is_const_v<T>) PLEXUS_FN operator view<U>() const {
    return {data, size};
  }
};

// A row-major matrix in device memory; row i begins at data + i·ld (leading dimension, ld ≥ cols).
template <class T>
struct matrix_view {
  T* data = nullptr;
  int rows = 0;
  int cols = 0;
  int ld = 0;

  PLEXUS_FN T* row(int i) const { return data + static_cast<std::ptrdiff_t>(i) * ld; }
  PLEXUS_FN T& operator()(int i, int j) const { return row(i)[j]; }
  template <class U>
  requires(std::is_same_v<U, const T> && !std::is_const_v<T>) PLEXUS_FN operator matrix_view<U>() const {
    return {data, rows, cols, ld};
  }
};

// A matrix without gaps between its rows.
template <class T>
PLEXUS_FN matrix_view<T> matrix(T* data, int rows, int cols) {
  return {data, rows, cols, cols};
}

}  // namespace plexus::inline PLEXUS_ABI
