// The precision policy: part of a network's type, it says in which type what is stored and multiplied.
// Whatever it is, the parameters that the optimiser changes, their gradients, all sums and the network's
// outputs are in FP32.
#pragma once

#include <plexus/platform.hpp>

#include <concepts>
#include <type_traits>

namespace plexus::inline PLEXUS_ABI {

// Everything in FP32: the default.
struct fp32 {
  using storage = float;  // activations and their gradients, and the weights as products read them
  static constexpr bool scales_loss = false;
};

// FP32 in memory; products by tensor cores, which round their operands to TF32: FP32's range with 10 bits of
// mantissa. A CPU, which has no such type, multiplies in FP32.
struct tf32 {
  using storage = float;
  static constexpr bool scales_loss = false;
};

// Formats of 16 bits, for mixed<…>.
struct fp16 {  // 10 bits of mantissa, but from 6e-8 to 65504 only: small gradients vanish unless they are
               // scaled
  using element = __half;
  static constexpr bool scales_loss = true;
};
struct bf16 {  // FP32's range with 7 bits of mantissa
  using element = __nv_bfloat16;
  static constexpr bool scales_loss = false;
};

// Mixed precision: Micikevicius et al., "Mixed precision training", ICLR 2018.
template <class Format>
struct mixed {
  using storage = typename Format::element;
  static constexpr bool scales_loss = Format::scales_loss;
};

template <class T>
concept precision_policy = requires {
  typename T::storage;
  { T::scales_loss } -> std::convertible_to<bool>;
};

template <class T>
concept sixteen_bit_float = std::is_same_v<T, __half> || std::is_same_v<T, __nv_bfloat16>;

// The elements from one row to the next of a matrix that is `width` wide: rows of 16-bit elements begin on
// 128-bit boundaries, whatever the width.
template <class T>
PLEXUS_FN constexpr int leading_dimension(int width) {
  constexpr int alignment = sixteen_bit_float<T> ? 8 : 1;
  return (width + alignment - 1) / alignment * alignment;
}

}  // namespace plexus::inline PLEXUS_ABI
