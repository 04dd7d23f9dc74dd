// 16-bit floating point: the types behind __half and __nv_bfloat16, with the operators and intrinsics that
// CUDA gives both. Every operation rounds once, to nearest even, as the hardware does; a NaN result is CUDA's
// canonical 0x7fff.
//
// +, -, *, / and sqrt are computed in float: its 24 bits are at least 2p + 2 for p = 11 (half) and p = 8
// (bfloat16), so that rounding again to p bits gives the correctly rounded result (Figueroa, "When is double
// rounding innocuous?", 1995). A fused multiply-add needs more: in double the product is exact, and a sum
// that double must round lies too far from a midpoint of the narrow type for it to matter.
#pragma once

#include <hostcuda/builtins/warp.hpp>
#include <hostcuda/vector_types.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace hostcuda {

// A namespace of its own, so that argument-dependent lookup finds nothing but these friends.
namespace number {

// A sign bit, then the exponent, then the mantissa: 16 bits in all.
template <int ExponentBits, int MantissaBits>
struct format {
  static_assert(1 + ExponentBits + MantissaBits == 16);
  static constexpr int bias = (1 << (ExponentBits - 1)) - 1;
  static constexpr std::uint16_t sign = 0x8000;
  static constexpr std::uint16_t infinity = ((1u << ExponentBits) - 1) << MantissaBits;
  static constexpr std::uint16_t nan = 0x7fff;

  // `value`, a float or a double, rounded to nearest even.
  template <std::floating_point Wide>
  static constexpr std::uint16_t encode(Wide value) {
    using bits = std::conditional_t<sizeof(Wide) == 4, std::uint32_t, std::uint64_t>;
    constexpr int wide_mantissa = std::numeric_limits<Wide>::digits - 1;
    constexpr int wide_bias = std::numeric_limits<Wide>::max_exponent - 1;
    constexpr bits one = 1;
    constexpr bits wide_infinity = std::bit_cast<bits>(std::numeric_limits<Wide>::infinity());

    const bits all = std::bit_cast<bits>(value);
    const bits magnitude = all & ~(one << (8 * sizeof(Wide) - 1));
    if (magnitude > wide_infinity) return nan;
    const bits sign_bit = (all >> (8 * sizeof(Wide) - 16)) & sign;

    const bits wide_exponent = magnitude >> wide_mantissa;
    bits mantissa = magnitude & ((one << wide_mantissa) - 1);
    if (wide_exponent != 0) mantissa |= one << wide_mantissa;
    const int exponent = std::max(static_cast<int>(wide_exponent), 1) - wide_bias + bias;

    // Below exponent 1 numbers are subnormal: the mantissa moves on to the right, at last out of reach.
    const int shift = wide_mantissa - MantissaBits + std::min(std::max(1 - exponent, 0), MantissaBits + 2);
    const bits half_of_last = (one << (shift - 1)) - 1 + ((mantissa >> shift) & 1);
    const bits rounded = (mantissa + half_of_last) >> shift;
    // The leading one of a normal number, and a carry out of the mantissa, add to the exponent.
    const bits result = (static_cast<bits>(std::max(exponent - 1, 0)) << MantissaBits) + rounded;
    return static_cast<std::uint16_t>(sign_bit | std::min<bits>(result, infinity));
  }

  static constexpr float decode(std::uint16_t all) {
    const std::uint32_t magnitude = all & 0x7fffu;
    if (magnitude > infinity) return std::bit_cast<float>(0x7fffffffu);
    const std::uint32_t sign_bit = static_cast<std::uint32_t>(all & sign) << 16;
    if (magnitude == infinity) return std::bit_cast<float>(sign_bit | 0x7f800000u);
    constexpr std::uint32_t rebias = static_cast<std::uint32_t>(127 - bias) << 23;
    if (magnitude >= 1u << MantissaBits) {
      return std::bit_cast<float>(sign_bit | ((magnitude << (23 - MantissaBits)) + rebias));
    }
    // A subnormal lacks the leading one: it is given one, which is subtracted again.
    constexpr std::uint32_t one = rebias + (1u << 23);
    const float size =
        std::bit_cast<float>((magnitude << (23 - MantissaBits)) + one) - std::bit_cast<float>(one);
    return std::bit_cast<float>(sign_bit | std::bit_cast<std::uint32_t>(size));
  }
};

template <class Format>
class small_float {
 public:
  small_float() = default;
  constexpr small_float(float value) : bits_(Format::encode(value)) {}
  constexpr small_float(double value) : bits_(Format::encode(value)) {}
  template <std::integral Integer>
  requires(sizeof(Integer) <= 4)  // exact in double: rounded once
      constexpr small_float(Integer value)
      : small_float(static_cast<double>(value)) {}

  constexpr operator float() const { return Format::decode(bits_); }

  static constexpr small_float from_bits(std::uint16_t bits) {
    small_float result;
    result.bits_ = bits;
    return result;
  }
  constexpr std::uint16_t bits() const { return bits_; }

  friend constexpr small_float operator+(small_float a, small_float b) { return a.wide() + b.wide(); }
  friend constexpr small_float operator-(small_float a, small_float b) { return a.wide() - b.wide(); }
  friend constexpr small_float operator*(small_float a, small_float b) { return a.wide() * b.wide(); }
  friend constexpr small_float operator/(small_float a, small_float b) { return a.wide() / b.wide(); }
  friend constexpr small_float operator+(small_float a) { return a; }
  friend constexpr small_float operator-(small_float a) { return from_bits(a.bits_ ^ Format::sign); }
  constexpr small_float& operator+=(small_float b) { return *this = *this + b; }
  constexpr small_float& operator-=(small_float b) { return *this = *this - b; }
  constexpr small_float& operator*=(small_float b) { return *this = *this * b; }
  constexpr small_float& operator/=(small_float b) { return *this = *this / b; }
  constexpr small_float& operator++() { return *this += small_float(1.0f); }
  constexpr small_float& operator--() { return *this -= small_float(1.0f); }

  friend constexpr bool operator==(small_float a, small_float b) { return a.wide() == b.wide(); }
  friend constexpr bool operator!=(small_float a, small_float b) { return a.wide() != b.wide(); }
  friend constexpr bool operator<(small_float a, small_float b) { return a.wide() < b.wide(); }
  friend constexpr bool operator<=(small_float a, small_float b) { return a.wide() <= b.wide(); }
  friend constexpr bool operator>(small_float a, small_float b) { return a.wide() > b.wide(); }
  friend constexpr bool operator>=(small_float a, small_float b) { return a.wide() >= b.wide(); }

  friend constexpr small_float __hadd(small_float a, small_float b) { return a + b; }
  friend constexpr small_float __hsub(small_float a, small_float b) { return a - b; }
  friend constexpr small_float __hmul(small_float a, small_float b) { return a * b; }
  friend constexpr small_float __hdiv(small_float a, small_float b) { return a / b; }
  friend constexpr small_float __hadd_rn(small_float a, small_float b) { return a + b; }
  friend constexpr small_float __hsub_rn(small_float a, small_float b) { return a - b; }
  friend constexpr small_float __hmul_rn(small_float a, small_float b) { return a * b; }
  friend constexpr small_float __hneg(small_float a) { return -a; }
  friend constexpr small_float __habs(small_float a) { return from_bits(a.bits_ & 0x7fff); }
  friend constexpr small_float __hfma(small_float a, small_float b, small_float c) { return fused(a, b, c); }
  friend constexpr small_float __hadd_sat(small_float a, small_float b) { return saturate(a + b); }
  friend constexpr small_float __hsub_sat(small_float a, small_float b) { return saturate(a - b); }
  friend constexpr small_float __hmul_sat(small_float a, small_float b) { return saturate(a * b); }
  friend constexpr small_float __hfma_sat(small_float a, small_float b, small_float c) {
    return saturate(fused(a, b, c));
  }
  friend constexpr small_float __hfma_relu(small_float a, small_float b, small_float c) {
    return __hmax_nan(fused(a, b, c), from_bits(0));
  }

  friend constexpr bool __heq(small_float a, small_float b) { return a == b; }
  friend constexpr bool __hlt(small_float a, small_float b) { return a < b; }
  friend constexpr bool __hle(small_float a, small_float b) { return a <= b; }
  friend constexpr bool __hgt(small_float a, small_float b) { return a > b; }
  friend constexpr bool __hge(small_float a, small_float b) { return a >= b; }
  friend constexpr bool __hne(small_float a, small_float b) {
    return a < b || a > b;
  }  // ordered: false for NaN
  friend constexpr bool __hequ(small_float a, small_float b) { return !(a < b || a > b); }
  friend constexpr bool __hneu(small_float a, small_float b) { return a != b; }
  friend constexpr bool __hltu(small_float a, small_float b) { return !(a >= b); }
  friend constexpr bool __hleu(small_float a, small_float b) { return !(a > b); }
  friend constexpr bool __hgtu(small_float a, small_float b) { return !(a <= b); }
  friend constexpr bool __hgeu(small_float a, small_float b) { return !(a < b); }
  friend constexpr bool __hisnan(small_float a) { return (a.bits_ & 0x7fff) > Format::infinity; }
  // 1 for +infinity, -1 for -infinity, else 0.
  friend constexpr int __hisinf(small_float a) {
    return (a.bits_ & 0x7fff) != Format::infinity ? 0 : a.bits_ == Format::infinity ? 1 : -1;
  }

  // Of a number and a NaN the number; +0 is above -0.
  friend constexpr small_float __hmax(small_float a, small_float b) {
    if (__hisnan(a) || __hisnan(b)) return __hisnan(a) ? canonical(b) : a;
    return a > b || (a == b && (a.bits_ & Format::sign) == 0) ? a : b;
  }
  friend constexpr small_float __hmin(small_float a, small_float b) {
    if (__hisnan(a) || __hisnan(b)) return __hisnan(a) ? canonical(b) : a;
    return a < b || (a == b && (a.bits_ & Format::sign) != 0) ? a : b;
  }
  // NaN if either is.
  friend constexpr small_float __hmax_nan(small_float a, small_float b) {
    return __hisnan(a) || __hisnan(b) ? from_bits(Format::nan) : __hmax(a, b);
  }
  friend constexpr small_float __hmin_nan(small_float a, small_float b) {
    return __hisnan(a) || __hisnan(b) ? from_bits(Format::nan) : __hmin(a, b);
  }

  friend small_float hsqrt(small_float a) { return std::sqrt(a.wide()); }
  friend small_float hrsqrt(small_float a) { return 1 / std::sqrt(static_cast<double>(a.wide())); }
  friend small_float hrcp(small_float a) { return 1 / a.wide(); }
  friend small_float hexp(small_float a) { return std::exp(a.wide()); }
  friend small_float hexp2(small_float a) { return std::exp2(a.wide()); }
  friend small_float hlog(small_float a) { return std::log(a.wide()); }
  friend small_float hlog2(small_float a) { return std::log2(a.wide()); }
  friend small_float hlog10(small_float a) { return std::log10(a.wide()); }
  friend small_float hsin(small_float a) { return std::sin(a.wide()); }
  friend small_float hcos(small_float a) { return std::cos(a.wide()); }
  friend small_float htanh(small_float a) { return std::tanh(a.wide()); }
  friend small_float hfloor(small_float a) { return std::floor(a.wide()); }
  friend small_float hceil(small_float a) { return std::ceil(a.wide()); }
  friend small_float htrunc(small_float a) { return std::trunc(a.wide()); }
  friend small_float hrint(small_float a) { return std::nearbyint(a.wide()); }

 private:
  std::uint16_t bits_;

  constexpr float wide() const { return Format::decode(bits_); }
  static constexpr small_float canonical(small_float a) { return __hisnan(a) ? from_bits(Format::nan) : a; }

  static constexpr small_float fused(small_float a, small_float b, small_float c) {
    return static_cast<double>(a.wide()) * static_cast<double>(b.wide()) + static_cast<double>(c.wide());
  }

  // Into [0, 1]; NaN becomes 0.
  static constexpr small_float saturate(small_float a) {
    return !(a.wide() > 0) ? from_bits(0) : a.wide() > 1 ? small_float(1.0f) : a;
  }
};

// Two numbers side by side, each operation on both: __half2, __nv_bfloat162.
template <class Float>
struct alignas(4) pair {
  Float x, y;

  pair() = default;
  constexpr pair(Float low, Float high) : x(low), y(high) {}

  friend constexpr pair operator+(pair a, pair b) { return {a.x + b.x, a.y + b.y}; }
  friend constexpr pair operator-(pair a, pair b) { return {a.x - b.x, a.y - b.y}; }
  friend constexpr pair operator*(pair a, pair b) { return {a.x * b.x, a.y * b.y}; }
  friend constexpr pair operator/(pair a, pair b) { return {a.x / b.x, a.y / b.y}; }
  friend constexpr pair operator+(pair a) { return a; }
  friend constexpr pair operator-(pair a) { return {-a.x, -a.y}; }
  constexpr pair& operator+=(pair b) { return *this = *this + b; }
  constexpr pair& operator-=(pair b) { return *this = *this - b; }
  constexpr pair& operator*=(pair b) { return *this = *this * b; }
  constexpr pair& operator/=(pair b) { return *this = *this / b; }

  // True only where both halves compare so; != too: false as soon as one half is equal.
  friend constexpr bool operator==(pair a, pair b) { return a.x == b.x && a.y == b.y; }
  friend constexpr bool operator!=(pair a, pair b) { return a.x != b.x && a.y != b.y; }
  friend constexpr bool operator<(pair a, pair b) { return a.x < b.x && a.y < b.y; }
  friend constexpr bool operator<=(pair a, pair b) { return a.x <= b.x && a.y <= b.y; }
  friend constexpr bool operator>(pair a, pair b) { return a.x > b.x && a.y > b.y; }
  friend constexpr bool operator>=(pair a, pair b) { return a.x >= b.x && a.y >= b.y; }

  friend constexpr pair __hadd2(pair a, pair b) { return a + b; }
  friend constexpr pair __hsub2(pair a, pair b) { return a - b; }
  friend constexpr pair __hmul2(pair a, pair b) { return a * b; }
  friend constexpr pair __h2div(pair a, pair b) { return a / b; }
  friend constexpr pair __hadd2_rn(pair a, pair b) { return a + b; }
  friend constexpr pair __hsub2_rn(pair a, pair b) { return a - b; }
  friend constexpr pair __hmul2_rn(pair a, pair b) { return a * b; }
  friend constexpr pair __hneg2(pair a) { return -a; }
  friend constexpr pair __habs2(pair a) { return {__habs(a.x), __habs(a.y)}; }
  friend constexpr pair __hfma2(pair a, pair b, pair c) {
    return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)};
  }
  friend constexpr pair __hfma2_sat(pair a, pair b, pair c) {
    return {__hfma_sat(a.x, b.x, c.x), __hfma_sat(a.y, b.y, c.y)};
  }
  friend constexpr pair __hfma2_relu(pair a, pair b, pair c) {
    return {__hfma_relu(a.x, b.x, c.x), __hfma_relu(a.y, b.y, c.y)};
  }
  friend constexpr pair __hmax2(pair a, pair b) { return {__hmax(a.x, b.x), __hmax(a.y, b.y)}; }
  friend constexpr pair __hmin2(pair a, pair b) { return {__hmin(a.x, b.x), __hmin(a.y, b.y)}; }
  friend constexpr pair __hmax2_nan(pair a, pair b) { return {__hmax_nan(a.x, b.x), __hmax_nan(a.y, b.y)}; }
  friend constexpr pair __hmin2_nan(pair a, pair b) { return {__hmin_nan(a.x, b.x), __hmin_nan(a.y, b.y)}; }

  // 1 where it holds, else 0.
  friend constexpr pair __heq2(pair a, pair b) { return {Float(__heq(a.x, b.x)), Float(__heq(a.y, b.y))}; }
  friend constexpr pair __hne2(pair a, pair b) { return {Float(__hne(a.x, b.x)), Float(__hne(a.y, b.y))}; }
  friend constexpr pair __hlt2(pair a, pair b) { return {Float(__hlt(a.x, b.x)), Float(__hlt(a.y, b.y))}; }
  friend constexpr pair __hle2(pair a, pair b) { return {Float(__hle(a.x, b.x)), Float(__hle(a.y, b.y))}; }
  friend constexpr pair __hgt2(pair a, pair b) { return {Float(__hgt(a.x, b.x)), Float(__hgt(a.y, b.y))}; }
  friend constexpr pair __hge2(pair a, pair b) { return {Float(__hge(a.x, b.x)), Float(__hge(a.y, b.y))}; }
  friend constexpr bool __hbeq2(pair a, pair b) { return a == b; }
  friend constexpr bool __hblt2(pair a, pair b) { return a < b; }
  friend constexpr bool __hble2(pair a, pair b) { return a <= b; }
  friend constexpr bool __hbgt2(pair a, pair b) { return a > b; }
  friend constexpr bool __hbge2(pair a, pair b) { return a >= b; }

  friend constexpr float __low2float(pair a) { return a.x; }
  friend constexpr float __high2float(pair a) { return a.y; }

  friend pair h2sqrt(pair a) { return {hsqrt(a.x), hsqrt(a.y)}; }
  friend pair h2rcp(pair a) { return {hrcp(a.x), hrcp(a.y)}; }
  friend pair h2exp(pair a) { return {hexp(a.x), hexp(a.y)}; }
  friend pair h2log(pair a) { return {hlog(a.x), hlog(a.y)}; }
};

}  // namespace number

namespace detail {

template <class Format>
inline constexpr bool is_shuffled<number::small_float<Format>> = true;
template <class Float>
inline constexpr bool is_shuffled<number::pair<Float>> = true;

}  // namespace detail
}  // namespace hostcuda
