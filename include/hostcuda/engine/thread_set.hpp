// A set of the threads of a block: 32 warps of 32 lanes.
#pragma once

#include <hostcuda/engine/sanitizers.hpp>

#include <bit>
#include <cstdint>

namespace hostcuda::detail {

inline constexpr unsigned warp_lanes = 32;
inline constexpr unsigned most_warps = 32;
inline constexpr unsigned most_threads = warp_lanes * most_warps;

class thread_set {
 public:
  HOSTCUDA_UNSEEN bool empty() const { return warps_ == 0; }

  HOSTCUDA_UNSEEN void add(unsigned warp, std::uint32_t lanes) {
    if (lanes == 0) return;
    warps_ |= 1u << warp;
    lanes_[warp] |= lanes;
  }

  HOSTCUDA_UNSEEN void remove(unsigned thread) {
    const unsigned warp = thread / warp_lanes;
    lanes_[warp] &= ~(1u << thread % warp_lanes);
    if (lanes_[warp] == 0) warps_ &= ~(1u << warp);
  }

  HOSTCUDA_UNSEEN std::uint32_t lanes(unsigned warp) const { return lanes_[warp]; }

  // Of a set that is not empty:
  HOSTCUDA_UNSEEN unsigned lowest() const {
    const auto warp = static_cast<unsigned>(std::countr_zero(warps_));
    return warp * warp_lanes + static_cast<unsigned>(std::countr_zero(lanes_[warp]));
  }
  HOSTCUDA_UNSEEN unsigned highest() const {
    const auto warp = 31u - static_cast<unsigned>(std::countl_zero(warps_));
    return warp * warp_lanes + 31u - static_cast<unsigned>(std::countl_zero(lanes_[warp]));
  }
  HOSTCUDA_UNSEEN unsigned chosen_by(std::uint64_t random) const {
    const unsigned warp = first_from(warps_, static_cast<unsigned>(random >> 59));
    return warp * warp_lanes + first_from(lanes_[warp], static_cast<unsigned>(random >> 54 & 31u));
  }

 private:
  std::uint32_t warps_ = 0;  // those with a lane in the set
  std::uint32_t lanes_[most_warps] = {};

  // The first member at or, cyclically, after `start`.
  HOSTCUDA_UNSEEN static unsigned first_from(std::uint32_t members, unsigned start) {
    const auto turned = std::rotr(members, static_cast<int>(start));
    return (start + static_cast<unsigned>(std::countr_zero(turned))) % 32u;
  }
};

}  // namespace hostcuda::detail
