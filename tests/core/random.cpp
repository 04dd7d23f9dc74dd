#include <plexus/core/buffer.hpp>
#include <plexus/core/initializers.hpp>
#include <plexus/core/random.hpp>
#include <plexus/core/stream.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <set>

using namespace plexus;

namespace {

bool equal(philox_words a, philox_words b) { return std::equal(a.word, a.word + 4, b.word); }

struct moments {
  double mean = 0, variance = 0, smallest = 1e30, largest = -1e30;
};

moments moments_of(const std::vector<float>& values) {
  moments m;
  for (const float v : values) {
    m.mean += v;
    m.smallest = std::min(m.smallest, static_cast<double>(v));
    m.largest = std::max(m.largest, static_cast<double>(v));
  }
  m.mean /= static_cast<double>(values.size());
  for (const float v : values) m.variance += (v - m.mean) * (v - m.mean);
  m.variance /= static_cast<double>(values.size());
  return m;
}

template <class Initializer>
std::vector<float> initialized(const Initializer& initializer, std::size_t size, fan fan,
                               std::uint64_t key = 7) {
  const stream on;
  buffer<float> w(size);
  initializer(on.get(), w.view(), random_stream{key, 3}, fan);
  return to_host(on.get(), w.view());
}

}  // namespace

// The known answers that the generator's authors publish with it (Random123, kat_vectors, philox4x32 10).
TEST_CASE("Philox4x32-10 gives its published answers", "[core][random]") {
  CHECK(equal(philox4x32({{0, 0, 0, 0}}, 0, 0), {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}));
  CHECK(equal(philox4x32({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffff, 0xffffffff),
              {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}));
  CHECK(equal(philox4x32({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0),
              {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}));
}

TEST_CASE("Numbers of different seeds and streams differ", "[core][random]") {
  std::set<float> seen;
  for (std::uint64_t key = 0; key < 4; ++key) {
    for (std::uint64_t stream = 0; stream < 4; ++stream) {
      for (std::uint64_t i = 0; i < 4; ++i) seen.insert(random_stream{key, stream}.uniform(i));
    }
  }
  CHECK(seen.size() == 64);
}

TEST_CASE("A shuffle is a permutation that depends on seed and epoch alone", "[core][random]") {
  const auto shuffled = [](std::uint64_t key, std::uint64_t epoch) {
    std::vector<int> order(1000);
    std::iota(order.begin(), order.end(), 0);
    shuffle(random_stream{key, epoch}, order);
    return order;
  };
  const std::vector<int> first = shuffled(1, 0);
  CHECK(first == shuffled(1, 0));
  CHECK(first != shuffled(1, 1));
  CHECK(first != shuffled(2, 0));
  std::vector<int> sorted = first;
  std::sort(sorted.begin(), sorted.end());
  for (int i = 0; i < 1000; ++i) CHECK(sorted[static_cast<std::size_t>(i)] == i);
  // A fixed place keeps its value once in 1,000: among 1,000 places one, give or take.
  int kept = 0;
  for (int i = 0; i < 1000; ++i) kept += first[static_cast<std::size_t>(i)] == i;
  CHECK(kept < 8);
}

// Bounds and moments: for 40,000 numbers the mean's standard error is σ/200 and the variance's about σ²/140.
TEST_CASE("Initialisers have the range and the variance of their papers", "[core][random]") {
  const std::size_t size = 40000;
  const fan fan{300, 100};
  const auto check_uniform = [&](const std::vector<float>& w, double limit) {
    const moments m = moments_of(w);
    CHECK(m.smallest > -limit);
    CHECK(m.largest < limit);
    CHECK(m.smallest < -0.99 * limit);
    CHECK(m.largest > 0.99 * limit);
    CHECK(std::abs(m.mean) < 0.03 * limit);
    CHECK(m.variance == Approx(limit * limit / 3).epsilon(0.04));
  };
  check_uniform(initialized(uniform{-0.5f, 0.5f}, size, fan), 0.5);
  check_uniform(initialized(glorot_uniform{}, size, fan), std::sqrt(6.0 / 400));
  check_uniform(initialized(he_uniform{}, size, fan), std::sqrt(6.0 / 300));

  const auto check_normal = [&](const std::vector<float>& w, double mean, double variance) {
    const moments m = moments_of(w);
    CHECK(std::abs(m.mean - mean) < 0.025 * std::sqrt(variance));
    CHECK(m.variance == Approx(variance).epsilon(0.04));
    double fourth = 0;
    for (const float v : w) fourth += std::pow(v - m.mean, 4);
    CHECK(fourth / static_cast<double>(size) ==
          Approx(3 * variance * variance).epsilon(0.1));  // a normal's kurtosis
  };
  check_normal(initialized(normal{2, 3}, size, fan), 2, 9);
  check_normal(initialized(glorot_normal{}, size, fan), 0, 2.0 / 400);
  check_normal(initialized(he_normal{}, size, fan), 0, 2.0 / 300);
  check_normal(initialized(lecun_normal{}, size, fan), 0, 1.0 / 300);
}

TEST_CASE("An initialiser repeats itself for a seed and not for another", "[core][random]") {
  CHECK(initialized(he_normal{}, 100, {10, 10}, 1) == initialized(he_normal{}, 100, {10, 10}, 1));
  CHECK(initialized(he_normal{}, 100, {10, 10}, 1) != initialized(he_normal{}, 100, {10, 10}, 2));
}
