// CUDA's half precision: __half (1 sign, 5 exponent, 10 mantissa bits) and __half2.
#pragma once

#include <hostcuda/small_float.hpp>

namespace hostcuda {

using __half = number::small_float<number::format<5, 10>>;
using __half2 = number::pair<__half>;
using half = __half;
using half2 = __half2;

constexpr __half __float2half(float value) { return value; }
constexpr __half __float2half_rn(float value) { return value; }
constexpr __half __double2half(double value) { return value; }
constexpr float __half2float(__half value) { return value; }
constexpr __half __int2half_rn(int value) { return value; }
constexpr __half __uint2half_rn(unsigned value) { return value; }
constexpr __half __ushort_as_half(unsigned short bits) { return __half::from_bits(bits); }
constexpr __half __short_as_half(short bits) { return __half::from_bits(static_cast<unsigned short>(bits)); }
constexpr unsigned short __half_as_ushort(__half value) { return value.bits(); }
constexpr short __half_as_short(__half value) { return static_cast<short>(value.bits()); }

constexpr __half2 __halves2half2(__half low, __half high) { return {low, high}; }
constexpr __half2 __half2half2(__half value) { return {value, value}; }
constexpr __half2 __float2half2_rn(float value) { return {value, value}; }
constexpr __half2 __floats2half2_rn(float low, float high) { return {low, high}; }
constexpr __half2 __float22half2_rn(float2 values) { return {values.x, values.y}; }
constexpr float2 __half22float2(__half2 values) { return {values.x, values.y}; }
constexpr __half __low2half(__half2 values) { return values.x; }
constexpr __half __high2half(__half2 values) { return values.y; }
constexpr __half2 __low2half2(__half2 values) { return {values.x, values.x}; }
constexpr __half2 __high2half2(__half2 values) { return {values.y, values.y}; }
constexpr __half2 __lows2half2(__half2 a, __half2 b) { return {a.x, b.x}; }
constexpr __half2 __highs2half2(__half2 a, __half2 b) { return {a.y, b.y}; }
constexpr __half2 __lowhigh2highlow(__half2 values) { return {values.y, values.x}; }
constexpr __half2 make_half2(__half low, __half high) { return {low, high}; }

}  // namespace hostcuda
