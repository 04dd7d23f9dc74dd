// Arithmetic that CUDA has beyond the C library's. The C library's own (sqrtf, expf, fmaf …) device code
// calls as it is.
#pragma once

#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <type_traits>

// glibc declares these names, without a meaning, so a second function of the same name would be ambiguous.
#if defined(__GLIBC__)
#define HOSTCUDA_INTRINSIC extern "C" inline
#define HOSTCUDA_NOEXCEPT noexcept
#if __GLIBC_PREREQ(2, 41)
#define HOSTCUDA_LIBRARY_HAS_COSPI
#endif
#else
namespace hostcuda {
#define HOSTCUDA_INTRINSIC inline
#define HOSTCUDA_NOEXCEPT
#endif

HOSTCUDA_INTRINSIC float __expf(float x) HOSTCUDA_NOEXCEPT { return std::exp(x); }
HOSTCUDA_INTRINSIC float __logf(float x) HOSTCUDA_NOEXCEPT { return std::log(x); }
HOSTCUDA_INTRINSIC float __log2f(float x) HOSTCUDA_NOEXCEPT { return std::log2(x); }
HOSTCUDA_INTRINSIC float __log10f(float x) HOSTCUDA_NOEXCEPT { return std::log10(x); }
HOSTCUDA_INTRINSIC float __sinf(float x) HOSTCUDA_NOEXCEPT { return std::sin(x); }
HOSTCUDA_INTRINSIC float __cosf(float x) HOSTCUDA_NOEXCEPT { return std::cos(x); }
HOSTCUDA_INTRINSIC float __tanf(float x) HOSTCUDA_NOEXCEPT { return std::tan(x); }
HOSTCUDA_INTRINSIC float __powf(float x, float y) HOSTCUDA_NOEXCEPT { return std::pow(x, y); }
#if !defined(HOSTCUDA_LIBRARY_HAS_COSPI)
HOSTCUDA_INTRINSIC double cospi(double x) HOSTCUDA_NOEXCEPT {
  const double turns = std::fabs(std::fmod(x, 2));  // exact
  return turns == 0.5 || turns == 1.5 ? 0 : std::cos(3.14159265358979323846 * turns);
}
#endif

#undef HOSTCUDA_LIBRARY_HAS_COSPI
#undef HOSTCUDA_INTRINSIC
#undef HOSTCUDA_NOEXCEPT
#if !defined(__GLIBC__)
}
#endif

namespace hostcuda {
namespace detail {

template <class T>
concept arithmetic = std::is_arithmetic_v<T>;

template <arithmetic T>
constexpr bool is_nan([[maybe_unused]] T x) {
  if constexpr (std::is_floating_point_v<T>) return x != x;
  return false;
}

}  // namespace detail

// ---- float

// Templates that deduce nothing: where a C library has the function too, its own is preferred.
template <class T = float>
T rsqrtf(std::type_identity_t<T> x) {
  return 1 / std::sqrt(x);
}
template <class T = double>
T rsqrt(std::type_identity_t<T> x) {
  return 1 / std::sqrt(x);
}

inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1 / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __frsqrt_rn(float x) { return static_cast<float>(1 / std::sqrt(static_cast<double>(x))); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
inline double __fma_rn(double x, double y, double z) { return std::fma(x, y, z); }

// Into [0, 1]; NaN becomes 0.
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }

// ---- Bits

inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
inline double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return std::countl_zero(static_cast<unsigned long long>(x)); }
// The place of the lowest bit that is 1, counted from 1; 0 if there is none.
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
inline int __ffsll(long long x) {
  return x == 0 ? 0 : std::countr_zero(static_cast<unsigned long long>(x)) + 1;
}

inline unsigned __brev(unsigned x) {
  unsigned reversed = 0;
  for (int i = 0; i < 32; ++i) reversed |= (x >> i & 1u) << (31 - i);
  return reversed;
}

// ---- Integers

inline int __mulhi(int x, int y) { return static_cast<int>(static_cast<std::int64_t>(x) * y >> 32); }
inline unsigned __umulhi(unsigned x, unsigned y) {
  return static_cast<unsigned>(static_cast<std::uint64_t>(x) * y >> 32);
}
// The product of the lower 24 bits: its lower 32 bits.
inline int __mul24(int x, int y) {
  const auto low = [](int v) {
    return static_cast<std::int64_t>(static_cast<int>(static_cast<unsigned>(v) << 8) >> 8);
  };
  return static_cast<int>(low(x) * low(y));
}
inline unsigned __umul24(unsigned x, unsigned y) { return (x & 0xffffffu) * (y & 0xffffffu); }

// Byte i of the result is byte (s >> 4·i) & 7 of y:x.
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned s) {
  const std::uint64_t bytes = std::uint64_t{y} << 32 | x;
  unsigned result = 0;
  for (unsigned i = 0; i < 4; ++i) {
    result |= static_cast<unsigned>(bytes >> (s >> 4 * i & 7) * 8 & 0xff) << 8 * i;
  }
  return result;
}

// ---- min and max, of mixed types too: in the common type, which is unsigned where CUDA compares as
// unsigned. Of a number and a NaN, the number.

template <detail::arithmetic A, detail::arithmetic B>
constexpr std::common_type_t<A, B> min(A first, B second) {
  using type = std::common_type_t<A, B>;
  const type a = static_cast<type>(first), b = static_cast<type>(second);
  return a < b || detail::is_nan(b) ? a : b;
}

template <detail::arithmetic A, detail::arithmetic B>
constexpr std::common_type_t<A, B> max(A first, B second) {
  using type = std::common_type_t<A, B>;
  const type a = static_cast<type>(first), b = static_cast<type>(second);
  return a > b || detail::is_nan(b) ? a : b;
}

}  // namespace hostcuda
