// CUDA's bfloat16: __nv_bfloat16 (1 sign, 8 exponent, 7 mantissa bits: the upper half of a float) and
// __nv_bfloat162.
#pragma once

#include <hostcuda/small_float.hpp>

namespace hostcuda {

using __nv_bfloat16 = number::small_float<number::format<8, 7>>;
using __nv_bfloat162 = number::pair<__nv_bfloat16>;
using nv_bfloat16 = __nv_bfloat16;
using nv_bfloat162 = __nv_bfloat162;

constexpr __nv_bfloat16 __float2bfloat16(float value) { return value; }
constexpr __nv_bfloat16 __float2bfloat16_rn(float value) { return value; }
constexpr __nv_bfloat16 __double2bfloat16(double value) { return value; }
constexpr float __bfloat162float(__nv_bfloat16 value) { return value; }
constexpr __nv_bfloat16 __int2bfloat16_rn(int value) { return value; }
constexpr __nv_bfloat16 __uint2bfloat16_rn(unsigned value) { return value; }
constexpr __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) { return __nv_bfloat16::from_bits(bits); }
constexpr __nv_bfloat16 __short_as_bfloat16(short bits) {
  return __nv_bfloat16::from_bits(static_cast<unsigned short>(bits));
}
constexpr unsigned short __bfloat16_as_ushort(__nv_bfloat16 value) { return value.bits(); }
constexpr short __bfloat16_as_short(__nv_bfloat16 value) { return static_cast<short>(value.bits()); }

constexpr __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 low, __nv_bfloat16 high) { return {low, high}; }
constexpr __nv_bfloat162 __bfloat162bfloat162(__nv_bfloat16 value) { return {value, value}; }
constexpr __nv_bfloat162 __float2bfloat162_rn(float value) { return {value, value}; }
constexpr __nv_bfloat162 __floats2bfloat162_rn(float low, float high) { return {low, high}; }
constexpr __nv_bfloat162 __float22bfloat162_rn(float2 values) { return {values.x, values.y}; }
constexpr float2 __bfloat1622float2(__nv_bfloat162 values) { return {values.x, values.y}; }
constexpr __nv_bfloat16 __low2bfloat16(__nv_bfloat162 values) { return values.x; }
constexpr __nv_bfloat16 __high2bfloat16(__nv_bfloat162 values) { return values.y; }
constexpr __nv_bfloat162 __low2bfloat162(__nv_bfloat162 values) { return {values.x, values.x}; }
constexpr __nv_bfloat162 __high2bfloat162(__nv_bfloat162 values) { return {values.y, values.y}; }
constexpr __nv_bfloat162 __lows2bfloat162(__nv_bfloat162 a, __nv_bfloat162 b) { return {a.x, b.x}; }
constexpr __nv_bfloat162 __highs2bfloat162(__nv_bfloat162 a, __nv_bfloat162 b) { return {a.y, b.y}; }
constexpr __nv_bfloat162 __lowhigh2highlow(__nv_bfloat162 values) { return {values.y, values.x}; }
constexpr __nv_bfloat162 make_bfloat162(__nv_bfloat16 low, __nv_bfloat16 high) { return {low, high}; }

}  // namespace hostcuda
