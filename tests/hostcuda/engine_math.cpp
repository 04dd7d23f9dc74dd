// Arithmetic and bit intrinsics, and the vector types.
#include "engine_support.hpp"
#include "support/catch.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <type_traits>

namespace device_code {  // where calls resolve as they do in a library that uses hostcuda

using namespace hostcuda;

TEST_CASE("float intrinsics", "[hostcuda]") {
  for (const float x : {0.37f, 1.0f, 2.5f, 11.25f}) {
    CHECK(__expf(x) == Approx(std::exp(static_cast<double>(x))).epsilon(1e-6));
    CHECK(__logf(x) == Approx(std::log(static_cast<double>(x))).margin(1e-6));
    CHECK(__log2f(x) == Approx(std::log2(static_cast<double>(x))).margin(1e-6));
    CHECK(__log10f(x) == Approx(std::log10(static_cast<double>(x))).margin(1e-6));
    CHECK(__sinf(x) == Approx(std::sin(static_cast<double>(x))).margin(1e-6));
    CHECK(__cosf(x) == Approx(std::cos(static_cast<double>(x))).margin(1e-6));
    CHECK(__powf(x, 1.75f) == Approx(std::pow(static_cast<double>(x), 1.75)).epsilon(1e-6));
    CHECK(cospi(1e15 + 0.5) == 0);
    CHECK(cospi(-1) == -1);
    CHECK(cospi(static_cast<double>(x)) ==
          Approx(std::cos(std::acos(-1.0) * static_cast<double>(x))).margin(1e-12));
    CHECK(rsqrtf(x) == Approx(1 / std::sqrt(static_cast<double>(x))).epsilon(1e-6));
    CHECK(__frsqrt_rn(x) == Approx(1 / std::sqrt(static_cast<double>(x))).epsilon(1e-7));
    CHECK(__fdividef(x, 3) == x / 3);
    CHECK(__frcp_rn(x) == 1 / x);
  }
  // One rounding, not two: 1 + 2⁻²³ squared is 1 + 2⁻²² + 2⁻⁴⁶.
  const float a = 1 + 0x1p-23f;
  CHECK(__fmaf_rn(a, a, -(1 + 0x1p-22f)) == 0x1p-46f);
  CHECK(__saturatef(-0.5f) == 0);
  CHECK(__saturatef(0.25f) == 0.25f);
  CHECK(__saturatef(7) == 1);
  CHECK(__saturatef(std::numeric_limits<float>::quiet_NaN()) == 0);
}

TEST_CASE("bits of numbers", "[hostcuda]") {
  CHECK(__float_as_int(-2.0f) == static_cast<int>(0xc0000000u));
  CHECK(__float_as_uint(1.0f) == 0x3f800000u);
  CHECK(__int_as_float(0x40490fdb) == 3.14159274f);
  CHECK(__uint_as_float(0xbf800000u) == -1.0f);
  CHECK(__double_as_longlong(1.0) == 0x3ff0000000000000);
  CHECK(__longlong_as_double(0x4000000000000000) == 2.0);
  CHECK(__popc(0xf0f00001u) == 9);
  CHECK(__popcll(0xf000000000000001u) == 5);
  CHECK(__clz(1) == 31);
  CHECK(__clz(-1) == 0);
  CHECK(__clz(0) == 32);
  CHECK(__clzll(1) == 63);
  CHECK(__ffs(0) == 0);
  CHECK(__ffs(1) == 1);
  CHECK(__ffs(static_cast<int>(0x80000000u)) == 32);
  CHECK(__ffsll(0x100000000) == 33);
  CHECK(__brev(0x00000001u) == 0x80000000u);
  CHECK(__brev(0x12345678u) == 0x1e6a2c48u);
}

TEST_CASE("integer products", "[hostcuda]") {
  CHECK(__umulhi(0xffffffffu, 0xffffffffu) == 0xfffffffeu);
  CHECK(__mulhi(-1, 1) == -1);
  CHECK(__mulhi(0x40000000, 8) == 2);
  CHECK(__mul24(-3, 5) == -15);
  CHECK(__mul24(0x01000002, 3) == 6);  // the upper 8 bits do not count
  CHECK(__mul24(0x00ffffff, 2) == -2);
  CHECK(__umul24(0x01000002u, 3u) == 6u);
}

TEST_CASE("min and max", "[hostcuda]") {
  CHECK(min(3, -4) == -4);
  CHECK(max(3, -4) == 3);
  CHECK(min(2u, 0xffffffffu) == 2u);
  CHECK(max(-1, 1u) == 0xffffffffu);  // as unsigned, as in CUDA
  CHECK(min(1LL << 40, 5) == 5);
  CHECK(max(1.5f, 2.5) == 2.5);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(min(nan, 2.0f) == 2.0f);
  CHECK(max(2.0f, nan) == 2.0f);
  STATIC_REQUIRE(std::is_same_v<decltype(min(1.0f, 2.0f)), float>);
  STATIC_REQUIRE(std::is_same_v<decltype(min(1, 2u)), unsigned>);
}

TEST_CASE("cached loads and stores", "[hostcuda]") {
  float4 value = make_float4(1, 2, 3, 4);
  CHECK(__ldg(&value).z == 3);
  CHECK(__ldcs(&value).w == 4);
  __stcs(&value, make_float4(5, 6, 7, 8));
  CHECK(__ldcg(&value).x == 5);
  __stcg(&value.y, 9.0f);
  CHECK(value.y == 9);
}

TEST_CASE("__byte_perm picks any four of eight bytes", "[hostcuda]") {
  CHECK(__byte_perm(0x03020100u, 0x07060504u, 0x5410) == 0x05040100u);
  CHECK(__byte_perm(0x03020100u, 0x07060504u, 0x7632) == 0x07060302u);
  CHECK(__byte_perm(0x03020100u, 0x07060504u, 0x0127) == 0x00010207u);
}

template <class T, std::size_t Size, std::size_t Alignment>
constexpr bool laid_out = sizeof(T) == Size && alignof(T) == Alignment;

TEST_CASE("vector types are laid out as CUDA's", "[hostcuda]") {
  STATIC_REQUIRE(laid_out<char2, 2, 2> && laid_out<char3, 3, 1> && laid_out<char4, 4, 4>);
  STATIC_REQUIRE(laid_out<short2, 4, 4> && laid_out<short3, 6, 2> && laid_out<short4, 8, 8>);
  STATIC_REQUIRE(laid_out<int1, 4, 4> && laid_out<int2, 8, 8> && laid_out<int3, 12, 4> &&
                 laid_out<int4, 16, 16>);
  STATIC_REQUIRE(laid_out<float2, 8, 8> && laid_out<float3, 12, 4> && laid_out<float4, 16, 16>);
  STATIC_REQUIRE(laid_out<double2, 16, 16> && laid_out<double3, 24, 8> && laid_out<double4, 32, 16>);
  STATIC_REQUIRE(laid_out<longlong2, 16, 16> && laid_out<longlong4, 32, 16>);
  const int3 i = make_int3(1, 2, 3);
  CHECK((i.x == 1 && i.y == 2 && i.z == 3));
  const uchar4 c = make_uchar4(1, 2, 3, 255);
  CHECK((c.x == 1 && c.w == 255));
  const dim3 given(7, 8);
  CHECK((given.x == 7 && given.y == 8 && given.z == 1));
  const uint3 back = given;
  CHECK((back.x == 7 && back.z == 1));
}

}  // namespace device_code
