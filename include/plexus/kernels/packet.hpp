// Several neighbouring floats moved by one load.
#pragma once

#include <plexus/core/view.hpp>

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

// Whether every row consists of whole, aligned packets.
template <int Size>
bool in_packets(const matrix_view<const float>& x) {
  return reinterpret_cast<std::uintptr_t>(x.data) % sizeof(packet<Size>) == 0 && x.ld % Size == 0 && x.cols % Size == 0;
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
