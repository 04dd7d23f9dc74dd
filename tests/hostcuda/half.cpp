// __half and __nv_bfloat16 against what their bits mean: values from the definition of the formats, rounding
// by looking for the nearest representable value, arithmetic in exact integers.
#include <hostcuda/cuda_bf16.hpp>
#include <hostcuda/cuda_fp16.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"

using namespace hostcuda;

namespace {

// The format of T, said apart from the code under test.
template <class T>
struct layout;
template <>
struct layout<__half> {
  static constexpr int exponent_bits = 5, mantissa_bits = 10;
};
template <>
struct layout<__nv_bfloat16> {
  static constexpr int exponent_bits = 8, mantissa_bits = 7;
};

template <class T>
constexpr int infinity_bits = ((1 << layout<T>::exponent_bits) - 1) << layout<T>::mantissa_bits;

template <class T>
double value_of(int bits) {
  constexpr int mantissa_bits = layout<T>::mantissa_bits;
  constexpr int bias = (1 << (layout<T>::exponent_bits - 1)) - 1;
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const int exponent = (bits & 0x7fff) >> mantissa_bits;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == (1 << layout<T>::exponent_bits) - 1) {
    return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN()
                         : sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

// The bits of the T nearest to x, of two equally near ones the even: found among all, which their bits order.
// Infinity stands where one more finite number would.
template <class T>
int nearest(double x) {
  if (std::isnan(x)) return 0x7fff;
  const int sign = std::signbit(x) ? 0x8000 : 0;
  const double target = std::fabs(x);
  const double beyond = 2 * value_of<T>(infinity_bits<T> - 1) - value_of<T>(infinity_bits<T> - 2);
  if (target >= beyond) return sign | infinity_bits<T>;
  const auto at = [&](int bits) { return bits == infinity_bits<T> ? beyond : value_of<T>(bits); };
  int below = 0, above = infinity_bits<T>;
  while (above - below > 1) {
    const int middle = (below + above) / 2;
    (at(middle) <= target ? below : above) = middle;
  }
  const double down = target - at(below), up = at(above) - target;  // exact: neighbours of target
  if (down != up) return sign | (down < up ? below : above);
  return sign | (below % 2 == 0 ? below : above);
}

template <class T>
int bits_of(T value) {
  return value.bits();
}

template <class T>
T random_finite(std::mt19937& random) {
  for (;;) {
    const T value = T::from_bits(static_cast<std::uint16_t>(random()));
    if (std::isfinite(static_cast<float>(value))) return value;
  }
}

}  // namespace

TEMPLATE_TEST_CASE("every pattern of 16 bits has its value", "[half]", __half, __nv_bfloat16) {
  int wrong = 0;
  for (int bits = 0; bits < 65536; ++bits) {
    const auto number = TestType::from_bits(static_cast<std::uint16_t>(bits));
    const float value = number;
    const double expected = value_of<TestType>(bits);
    if (std::isnan(expected)) {
      wrong += !std::isnan(value) || !__hisnan(number) || bits_of(TestType(value)) != 0x7fff;
      continue;
    }
    wrong += static_cast<double>(value) != expected || std::signbit(value) != std::signbit(expected);
    wrong += bits_of(TestType(value)) != bits || bits_of(TestType(expected)) != bits;  // and back
    wrong += bits_of(-number) != (bits ^ 0x8000) || bits_of(__habs(number)) != (bits & 0x7fff);
    wrong += __hisinf(number) != (std::isinf(expected) ? (expected > 0 ? 1 : -1) : 0) || __hisnan(number);
  }
  REQUIRE(wrong == 0);
}

TEMPLATE_TEST_CASE("conversion rounds to nearest even", "[half]", __half, __nv_bfloat16) {
  int wrong = 0;
  const auto check = [&](auto value) {
    wrong += bits_of(TestType(value)) != nearest<TestType>(static_cast<double>(value));
    wrong += bits_of(TestType(-value)) != nearest<TestType>(-static_cast<double>(value));
  };
  // Midpoints of neighbours and what lies next to them, where rounding changes; the last one is the limit of
  // infinity.
  for (int bits = 0; bits < infinity_bits<TestType>; ++bits) {
    const double here = value_of<TestType>(bits);
    const double next = bits + 1 < infinity_bits<TestType> ? value_of<TestType>(bits + 1)
                                                           : 2 * here - value_of<TestType>(bits - 1);
    const double middle = (here + next) / 2;
    check(middle);
    check(std::nextafter(middle, 0.0));
    check(std::nextafter(middle, 1e300));
    const auto narrow = static_cast<float>(middle);  // exact: both formats have two bits less, at least
    check(narrow);
    check(std::nextafter(narrow, 0.0f));
    check(std::nextafter(narrow, std::numeric_limits<float>::infinity()));
  }
  std::mt19937_64 random(1);
  for (int i = 0; i < 200000; ++i) {
    check(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
    check(std::bit_cast<double>(random()));
    check(std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 64) - 96));
  }
  check(std::numeric_limits<float>::infinity());
  check(std::numeric_limits<double>::denorm_min());
  check(std::numeric_limits<float>::denorm_min());
  check(std::numeric_limits<double>::max());
  REQUIRE(wrong == 0);
  REQUIRE(bits_of(TestType(std::numeric_limits<float>::signaling_NaN())) == 0x7fff);
  REQUIRE(bits_of(TestType(-std::numeric_limits<double>::quiet_NaN())) == 0x7fff);
}

TEMPLATE_TEST_CASE("integers convert with one rounding", "[half]", __half, __nv_bfloat16) {
  std::mt19937 random(2);
  for (int i = 0; i < 1000; ++i) {
    const auto number = static_cast<int>(random() >> (random() % 32)) * (i % 2 == 0 ? 1 : -1);
    REQUIRE(bits_of(TestType(number)) == nearest<TestType>(number));
  }
  // 24 bits that a detour over float would round twice: to a midpoint first, then to even.
  const int over_midpoint = (1 << 26) + (1 << (25 - layout<TestType>::mantissa_bits)) + 1;
  REQUIRE(bits_of(TestType(over_midpoint)) == nearest<TestType>(over_midpoint));
  REQUIRE(static_cast<int>(TestType(-3.75f)) == -3);
  REQUIRE(static_cast<bool>(TestType(0.5f)));
}

TEMPLATE_TEST_CASE("arithmetic rounds once", "[half]", __half, __nv_bfloat16) {
  std::mt19937 random(3);
  int wrong = 0;
  for (int i = 0; i < 300000; ++i) {
    const TestType a = random_finite<TestType>(random), b = random_finite<TestType>(random);
    const double x = a, y = b;
    // Of the exact result double keeps enough (see small_float.hpp); the search rounds it once.
    wrong += bits_of(a * b) != nearest<TestType>(x * y);
    wrong += bits_of(a + b) != nearest<TestType>(x + y);
    wrong += bits_of(a - b) != nearest<TestType>(x - y);
    wrong += bits_of(a / b) != nearest<TestType>(x / y);
    wrong += bits_of(hsqrt(__habs(a))) != nearest<TestType>(std::sqrt(std::fabs(x)));
    // Close operands: cancellation and carries.
    const auto near_a = TestType::from_bits(static_cast<std::uint16_t>(a.bits() ^ (random() & 0x803f)));
    if (!std::isfinite(static_cast<float>(near_a))) continue;
    wrong += bits_of(a + near_a) != nearest<TestType>(x + static_cast<double>(near_a));
    wrong += bits_of(a - near_a) != nearest<TestType>(x - static_cast<double>(near_a));
  }
  REQUIRE(wrong == 0);

  TestType sum = 3.0f;
  sum += TestType(2.0f);
  sum *= TestType(4.0f);
  sum -= TestType(5.0f);
  sum /= TestType(2.0f);
  ++sum;
  REQUIRE(static_cast<float>(sum) == 8.5f);
  REQUIRE(static_cast<float>(__hadd(sum, 1)) == 9.5f);  // operands convert
}

TEMPLATE_TEST_CASE("a fused multiply-add rounds once", "[half]", __half, __nv_bfloat16) {
  // In units of 2^-60 all products and sums here are integers of less than 127 bits, so that the reference is
  // exact.
  __extension__ using wide = __int128;
  const auto units = [](double value) {
    int exponent = 0;
    const double fraction = std::frexp(value, &exponent);
    return static_cast<wide>(std::ldexp(fraction, 24)) * (static_cast<wide>(1) << (exponent - 24 + 60));
  };
  // The nearest TestType of `exact` units, found among its neighbours.
  const auto rounded = [&](wide exact) {
    const int near = nearest<TestType>(static_cast<double>(exact) * std::ldexp(1, -60));
    if ((near & 0x7fff) >= infinity_bits<TestType> - 1 || (near & 0x7fff) == 0) return near;
    int best = near;
    const auto distance = [&](int bits) {
      const wide d = exact - units(value_of<TestType>(bits));
      return d < 0 ? -d : d;
    };
    for (const int candidate : {near - 1, near + 1}) {
      const wide apart = distance(candidate) - distance(best);
      if (apart < 0 || (apart == 0 && candidate % 2 == 0)) best = candidate;
    }
    return best;
  };
  std::mt19937 random(4);
  std::uniform_int_distribution<int> exponent(-10, 8), mantissa(-(1 << 11), 1 << 11);
  int wrong = 0, checked = 0;
  for (int i = 0; i < 300000; ++i) {
    const auto draw = [&] {
      return TestType(std::ldexp(static_cast<double>(mantissa(random)), exponent(random) - 8));
    };
    const TestType a = draw(), b = draw();
    TestType c = draw();
    if (i % 2 == 0) c = TestType(static_cast<float>(-(a * b)) * 1.01f);  // cancels most of the product
    if (i % 3 == 0) c = TestType(std::ldexp(static_cast<float>(a * b), 9 + i % 5));  // far above it
    if (!std::isfinite(static_cast<float>(c)) || c == TestType(0.0f)) continue;
    const wide exact = units(static_cast<double>(a) * static_cast<double>(b)) + units(c);
    const int expected = rounded(exact);
    if ((expected & 0x7fff) >= infinity_bits<TestType> - 1) continue;
    ++checked;
    wrong += exact != 0 && bits_of(__hfma(a, b, c)) != expected;
  }
  REQUIRE(checked > 150000);
  REQUIRE(wrong == 0);

  // A product just above a midpoint, which rounding before the addition would lose.
  const TestType one = 1.0f, ulp = std::ldexp(1.0f, -layout<TestType>::mantissa_bits);
  const TestType above_one = one + ulp;
  REQUIRE(
      bits_of(__hfma(above_one, above_one, -one)) ==
      nearest<TestType>(2 * static_cast<double>(ulp) + static_cast<double>(ulp) * static_cast<double>(ulp)));
  REQUIRE(bits_of(__hfma_relu(one, -one, TestType(0.5f))) == 0);
  REQUIRE(static_cast<float>(__hfma_sat(one, one, one)) == 1.0f);
  REQUIRE(bits_of(__hfma_sat(one, one, TestType(NAN))) == 0);
  REQUIRE(__hisnan(__hfma_relu(one, one, TestType(NAN))));
}

TEMPLATE_TEST_CASE("comparisons and extremes know NaN and the sign of zero", "[half]", __half,
                   __nv_bfloat16) {
  const TestType low = -2.5f, high = 1.5f, nan = NAN, zero = 0.0f, minus_zero = -0.0f;
  REQUIRE((low < high && low <= high && high > low && high >= low && low != high && low == low));
  REQUIRE(zero == minus_zero);
  REQUIRE_FALSE((nan == nan || nan < high || nan > high || nan <= nan || nan >= nan));
  REQUIRE(nan != nan);
  REQUIRE_FALSE((__heq(nan, high) || __hne(nan, high) || __hlt(nan, high) || __hge(nan, high)));
  REQUIRE((__hequ(nan, high) && __hneu(nan, high) && __hltu(nan, high) && __hleu(nan, high)));
  REQUIRE((__hgtu(nan, high) && __hgeu(nan, high)));
  REQUIRE_FALSE((__hltu(high, low) || __hleu(high, low) || __hgtu(low, high) || __hgeu(low, high)));

  REQUIRE(bits_of(__hmax(low, high)) == bits_of(high));
  REQUIRE(bits_of(__hmin(low, high)) == bits_of(low));
  REQUIRE(bits_of(__hmax(nan, low)) == bits_of(low));
  REQUIRE(bits_of(__hmin(low, nan)) == bits_of(low));
  REQUIRE(bits_of(__hmax(zero, minus_zero)) == 0);
  REQUIRE(bits_of(__hmax(minus_zero, zero)) == 0);
  REQUIRE(bits_of(__hmin(zero, minus_zero)) == 0x8000);
  REQUIRE(bits_of(__hmin(minus_zero, zero)) == 0x8000);
  REQUIRE(bits_of(__hmax(TestType::from_bits(0xffff), nan)) == 0x7fff);
  REQUIRE(bits_of(__hmax_nan(nan, low)) == 0x7fff);
  REQUIRE(bits_of(__hmin_nan(low, high)) == bits_of(low));
}

TEMPLATE_TEST_CASE("mathematical functions are those of float, rounded", "[half]", __half, __nv_bfloat16) {
  for (const float x : {0.03f, 0.7f, 1.0f, 2.6f, 9.3f}) {
    const TestType a = x;
    const double y = a;
    CHECK(bits_of(hexp(a)) == nearest<TestType>(std::exp(y)));
    CHECK(bits_of(hexp2(a)) == nearest<TestType>(std::exp2(y)));
    CHECK(bits_of(hlog(a)) == nearest<TestType>(std::log(y)));
    CHECK(bits_of(hlog2(a)) == nearest<TestType>(std::log2(y)));
    CHECK(bits_of(hlog10(a)) == nearest<TestType>(std::log10(y)));
    CHECK(bits_of(hsin(a)) == nearest<TestType>(std::sin(y)));
    CHECK(bits_of(hcos(a)) == nearest<TestType>(std::cos(y)));
    CHECK(bits_of(htanh(a)) == nearest<TestType>(std::tanh(y)));
    CHECK(bits_of(hrcp(a)) == nearest<TestType>(1 / y));
    CHECK(bits_of(hrsqrt(a)) == nearest<TestType>(1 / std::sqrt(y)));
    CHECK(bits_of(hfloor(-a)) == nearest<TestType>(std::floor(-y)));
    CHECK(bits_of(hceil(a)) == nearest<TestType>(std::ceil(y)));
    CHECK(bits_of(htrunc(-a)) == nearest<TestType>(std::trunc(-y)));
  }
  CHECK(static_cast<float>(hrint(TestType(2.5f))) == 2.0f);
  CHECK(static_cast<float>(hrint(TestType(3.5f))) == 4.0f);
}

TEST_CASE("the conversion functions of half", "[half]") {
  STATIC_REQUIRE(sizeof(__half) == 2);
  STATIC_REQUIRE(alignof(__half2) == 4);
  STATIC_REQUIRE(std::is_trivially_copyable_v<__half2>);
  STATIC_REQUIRE(std::is_trivially_default_constructible_v<__half2>);
  const int tenth = nearest<__half>(0.1f);
  REQUIRE(bits_of(__float2half(0.1f)) == tenth);
  REQUIRE(bits_of(__float2half_rn(0.1f)) == tenth);
  REQUIRE(bits_of(__double2half(65519.999)) == 0x7bff);
  REQUIRE(bits_of(__double2half(65520.0)) == 0x7c00);
  REQUIRE(bits_of(__int2half_rn(2049)) == nearest<__half>(2048));
  REQUIRE(bits_of(__uint2half_rn(4000000000u)) == 0x7c00);
  REQUIRE(__half2float(__ushort_as_half(0x3555)) == static_cast<float>(value_of<__half>(0x3555)));
  REQUIRE(__half_as_ushort(__short_as_half(-1)) == 0xffff);
  REQUIRE(__half_as_short(__ushort_as_half(0x8001)) == -32767);

  const __half2 both = __floats2half2_rn(1.5f, -2.25f);
  REQUIRE((__low2float(both) == 1.5f && __high2float(both) == -2.25f));
  const float2 wide = __half22float2(both);
  REQUIRE((wide.x == 1.5f && wide.y == -2.25f));
  const __half2 again = __float22half2_rn(wide);
  REQUIRE((again == both && __hbeq2(again, both)));
  REQUIRE(__lowhigh2highlow(both) == __halves2half2(__high2half(both), __low2half(both)));
  REQUIRE(__low2half2(both) == __half2half2(__low2half(both)));
  REQUIRE(__high2half2(both) == __float2half2_rn(-2.25f));
  REQUIRE(__lows2half2(both, -both) == make_half2(1.5f, -1.5f));
  REQUIRE(__highs2half2(both, -both) == make_half2(-2.25f, 2.25f));
}

TEST_CASE("the conversion functions of bfloat16", "[half]") {
  STATIC_REQUIRE(alignof(__nv_bfloat162) == 4);
  REQUIRE(bits_of(__float2bfloat16(0.1f)) == nearest<__nv_bfloat16>(0.1f));
  REQUIRE(bits_of(__float2bfloat16_rn(-3e38f)) == nearest<__nv_bfloat16>(-3e38f));
  REQUIRE(bits_of(__double2bfloat16(1e39)) == 0x7f80);
  REQUIRE(bits_of(__int2bfloat16_rn(257)) == nearest<__nv_bfloat16>(257));
  REQUIRE(bits_of(__uint2bfloat16_rn(259)) == nearest<__nv_bfloat16>(259));
  REQUIRE(__bfloat162float(__ushort_as_bfloat16(0x4049)) == 3.140625f);
  REQUIRE(__bfloat16_as_ushort(__short_as_bfloat16(-2)) == 0xfffe);
  REQUIRE(__bfloat16_as_short(__ushort_as_bfloat16(0x8001)) == -32767);

  const __nv_bfloat162 both = __floats2bfloat162_rn(1.5f, -2.25f);
  const float2 wide = __bfloat1622float2(both);
  REQUIRE((wide.x == 1.5f && wide.y == -2.25f && __low2float(both) == 1.5f && __high2float(both) == -2.25f));
  REQUIRE(__float22bfloat162_rn(wide) == both);
  REQUIRE(__lowhigh2highlow(both) == __halves2bfloat162(__high2bfloat16(both), __low2bfloat16(both)));
  REQUIRE(__low2bfloat162(both) == __bfloat162bfloat162(__low2bfloat16(both)));
  REQUIRE(__high2bfloat162(both) == __float2bfloat162_rn(-2.25f));
  REQUIRE(__lows2bfloat162(both, -both) == make_bfloat162(1.5f, -1.5f));
  REQUIRE(__highs2bfloat162(both, -both) == make_bfloat162(-2.25f, 2.25f));
}

TEMPLATE_TEST_CASE("a pair works on both of its halves", "[half]", __half2, __nv_bfloat162) {
  const TestType a(3.0f, -0.5f), b(2.0f, 8.0f), c(-1.0f, 0.25f);
  const auto is = [](TestType value, float low, float high) {
    return static_cast<float>(value.x) == low && static_cast<float>(value.y) == high;
  };
  CHECK((is(a + b, 5, 7.5f) && is(__hadd2(a, b), 5, 7.5f)));
  CHECK((is(a - b, 1, -8.5f) && is(__hsub2(a, b), 1, -8.5f)));
  CHECK((is(a * b, 6, -4) && is(__hmul2(a, b), 6, -4)));
  CHECK((is(a / b, 1.5f, -0.0625f) && is(__h2div(a, b), 1.5f, -0.0625f)));
  CHECK((is(-a, -3, 0.5f) && is(__hneg2(a), -3, 0.5f) && is(__habs2(a), 3, 0.5f)));
  CHECK(is(__hfma2(a, b, c), 5, -3.75f));
  CHECK(is(__hfma2_sat(a, b, c), 1, 0));
  CHECK(is(__hfma2_relu(a, b, c), 5, 0));
  CHECK((is(__hmax2(a, b), 3, 8) && is(__hmin2(a, b), 2, -0.5f)));
  CHECK(is(__hmax2(TestType(NAN, 1.0f), a), 3, 1));
  CHECK(__hisnan(__hmax2_nan(TestType(NAN, 1.0f), a).x));
  CHECK(
      (is(__hgt2(a, b), 1, 0) && is(__hlt2(a, b), 0, 1) && is(__heq2(a, a), 1, 1) && is(__hne2(a, b), 1, 1)));
  CHECK((is(__hge2(a, b), 1, 0) && is(__hle2(a, b), 0, 1)));
  CHECK_FALSE((a < b || a > b || a == b));
  CHECK((a != b && a == a && a <= a && a >= a && __hble2(a, a) && !__hblt2(a, b) && !__hbgt2(a, b) &&
         __hbge2(a, a)));
  CHECK_FALSE(a != TestType(3.0f, 1.0f));  // one half is equal
  CHECK((is(h2sqrt(TestType(9.0f, 0.25f)), 3, 0.5f) && is(h2rcp(b), 0.5f, 0.125f)));
  CHECK((is(h2exp(TestType(0.0f, 0.0f)), 1, 1) && is(h2log(TestType(1.0f, 1.0f)), 0, 0)));
  TestType d = a;
  d += b;
  d *= c;
  d -= a;
  d /= b;
  CHECK(is(d, -4, (7.5f * 0.25f + 0.5f) / 8));
}
