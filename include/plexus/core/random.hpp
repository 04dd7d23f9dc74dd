// Counter-based random numbers: number i of a stream is a function of (seed, stream, i) alone, so any thread
// can make it and the order of threads changes nothing.
//
// Philox4x32-10: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011.
#pragma once

#include <plexus/core/for_each.hpp>

#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

// What makes a run reproducible.
struct seed {
  std::uint64_t value = 0;
};

struct philox_words {
  std::uint32_t word[4];
};

// Ten rounds over the 128-bit counter with the 64-bit key.
PLEXUS_FN constexpr philox_words philox4x32(philox_words counter, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter.word[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = {{static_cast<std::uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0,
                static_cast<std::uint32_t>(product1),
                static_cast<std::uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1,
                static_cast<std::uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

// One stream of random numbers.
struct random_stream {
  std::uint64_t key = 0;
  std::uint64_t stream = 0;

  PLEXUS_FN constexpr philox_words words(std::uint64_t i) const {
    return philox4x32({{static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i >> 32),
                        static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)}},
                      static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32));
  }

  // Number i, uniform in (0, 1): the middle of one of 2²³ equal intervals, so that no rounding reaches 0
  // or 1.
  PLEXUS_FN float uniform(std::uint64_t i) const { return to_unit(words(i).word[0]); }

  // Number i, normal with mean 0 and standard deviation 1, by Box and Muller's transform.
  PLEXUS_FN float normal(std::uint64_t i) const {
    const philox_words random = words(i);
    constexpr float two_pi = 6.28318530717958647692f;
    return sqrtf(-2 * logf(to_unit(random.word[0]))) * cosf(two_pi * to_unit(random.word[1]));
  }

  // Number i, uniform in [0, bound); the bias of the multiplication is below bound / 2³².
  PLEXUS_FN constexpr std::uint32_t below(std::uint64_t i, std::uint32_t bound) const {
    return static_cast<std::uint32_t>((std::uint64_t{words(i).word[0]} * bound) >> 32);
  }

 private:
  PLEXUS_FN static float to_unit(std::uint32_t random) {
    return (static_cast<float>(random >> 9) + 0.5f) * (1.0f / 8388608.0f);
  }
};

// The random numbers of one layer in one step of training. The step is read where they are drawn, so that a
// step recorded as a graph moves on.
struct random_step {
  std::uint64_t key = 0, layer = 0;
  const std::uint64_t* step = nullptr;  // in device memory

  // Far from the streams of initialisers and orders.
  PLEXUS_FN random_stream stream() const { return {key, std::uint64_t{1} << 63 | layer << 48 | *step}; }
};

// 0 … size−1
inline std::vector<int> in_order(int size) {
  std::vector<int> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

// A random permutation of an order (Fisher and Yates).
inline void shuffle(random_stream random, std::vector<int>& order) {
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[random.below(i, static_cast<std::uint32_t>(i))]);
  }
}

inline std::vector<int> shuffled(int size, random_stream random) {
  std::vector<int> order = in_order(size);
  shuffle(random, order);
  return order;
}

}  // namespace plexus::inline PLEXUS_ABI
