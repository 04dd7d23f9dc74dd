// How kernels read operands: several neighbouring floats by one load, or a row or column of a matrix.
#pragma once

#include <plexus/core/view.hpp>

#include <cstddef>
#include <cstdint>

namespace plexus::inline PLEXUS_ABI::kernels {

template <int Size>
struct alignas(Size * sizeof(float)) packet {
  float at[Size];
};

// `from` is aligned to the packet's size.
template <int Size>
PLEXUS_FN packet<Size> load_packet(const float* from) {
  return *reinterpret_cast<const packet<Size>*>(from);
}

template <int Size>
PLEXUS_FN void store_packet(float* to, const packet<Size>& elements) {
  *reinterpret_cast<packet<Size>*>(to) = elements;
}

// Whether every row consists of whole, aligned packets.
template <int Size>
PLEXUS_FN bool in_packets(const matrix_view<const float>& x) {
  return reinterpret_cast<std::uintptr_t>(x.data) % sizeof(packet<Size>) == 0 && x.ld % Size == 0 &&
         x.cols % Size == 0;
}

// The elements of a matrix of one row or one column.
struct strided_vector {
  const float* data;
  int stride;
  PLEXUS_FN float operator()(int i) const { return data[static_cast<std::ptrdiff_t>(i) * stride]; }
};
inline strided_vector as_vector(const matrix_view<const float>& x) {
  return {x.data, x.rows == 1 ? 1 : x.ld};
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
