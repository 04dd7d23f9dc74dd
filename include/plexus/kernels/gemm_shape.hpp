// The sizes of a matrix product, and what is known of them when it is compiled.
#pragma once

#include <plexus/platform.hpp>

#include <compare>
#include <limits>

namespace plexus::inline PLEXUS_ABI {

struct gemm_shape {
  int m, n, k;

  constexpr double multiplications() const {
    return static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  }
  friend bool operator==(const gemm_shape&, const gemm_shape&) = default;
  friend auto operator<=>(const gemm_shape&, const gemm_shape&) = default;
};

// What is known of a product's sizes when it is compiled: a layer knows its widths, and not the batch. Only
// kernels that such a product may be computed with are compiled.
inline constexpr int any_extent = -1;
inline constexpr gemm_shape any_shape{any_extent, any_extent, any_extent};

constexpr bool may_be(int known, int extent) { return known == any_extent || known == extent; }
constexpr int at_most(int known) { return known == any_extent ? std::numeric_limits<int>::max() : known; }
constexpr int at_least(int known) { return known == any_extent ? 1 : known; }
constexpr gemm_shape at_most(const gemm_shape& known) {
  return {at_most(known.m), at_most(known.n), at_most(known.k)};
}

}  // namespace plexus::inline PLEXUS_ABI
