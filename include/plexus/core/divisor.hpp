// Division of indices by a number that is known before a kernel starts: a multiplication instead of the many
// instructions that a GPU makes of a division.
#pragma once

#include <plexus/platform.hpp>

#include <cstdint>

namespace plexus::inline PLEXUS_ABI {

// n / d for 0 ≤ n < 2³¹ and d ≥ 1: with 2^(l−1) < d ≤ 2^l and m = ⌈2^(31+l) / d⌉ it is ⌊n·m / 2^(31+l)⌋.
// T. Granlund, P. Montgomery, "Division by invariant integers using multiplication", PLDI 1994, theorem 4.2.
class divisor {
 public:
  divisor() = default;
  explicit divisor(int d) : divisor_(d), shift_(31) {
    while ((std::int64_t{1} << (shift_ - 31)) < d) ++shift_;
    const auto wide = static_cast<std::uint64_t>(d);
    factor_ = static_cast<std::uint32_t>(((std::uint64_t{1} << shift_) + wide - 1) / wide);
  }

  PLEXUS_FN int operator()(int n) const {
    return static_cast<int>((std::uint64_t{static_cast<std::uint32_t>(n)} * factor_) >> shift_);
  }
  // What is left of n when the quotient is known.
  PLEXUS_FN int remainder(int n, int quotient) const { return n - quotient * divisor_; }

 private:
  int divisor_ = 1;
  int shift_ = 31;
  std::uint32_t factor_ = std::uint32_t{1} << 31;
};

}  // namespace plexus::inline PLEXUS_ABI
