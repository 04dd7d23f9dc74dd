// Warp operations, against their definition in the CUDA C++ Programming Guide written out for all lanes at
// once.
#include "engine_support.hpp"
#include "support/catch.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <vector>

using namespace hostcuda_tests;

namespace {

constexpr unsigned all_lanes = 0xffffffffu;

enum class way { from, up, down, across };

template <class T>
__global__ void shuffle(way direction, int amount, int width, const T* in, T* out) {
  const unsigned t = threadIdx.x;
  T value = in[t];
  switch (direction) {
    case way::from:
      value = __shfl_sync(all_lanes, value, amount, width);
      break;
    case way::up:
      value = __shfl_up_sync(all_lanes, value, static_cast<unsigned>(amount), width);
      break;
    case way::down:
      value = __shfl_down_sync(all_lanes, value, static_cast<unsigned>(amount), width);
      break;
    case way::across:
      value = __shfl_xor_sync(all_lanes, value, amount, width);
      break;
  }
  out[t] = value;
}

int source_lane(way direction, int lane, int amount, int width) {
  const int group = lane / width * width, place = lane % width;
  switch (direction) {
    case way::from:
      return group + ((amount % width) + width) % width;
    case way::up:
      return place - amount < 0 ? lane : lane - amount;
    case way::down:
      return place + amount >= width ? lane : lane + amount;
    case way::across:
      return (lane ^ amount) >= group + width ? lane : (lane ^ amount);
  }
  return -1;
}

template <class T>
void check_shuffles() {
  std::array<T, 64> in{}, out{};
  for (unsigned i = 0; i < in.size(); ++i) in[i] = static_cast<T>(10000019.0 * (i + 1) / 3);
  for (const way direction : {way::from, way::up, way::down, way::across}) {
    for (const int width : {2, 8, 32}) {
      for (const int amount : {0, 1, 3, 9, 31}) {
        out.fill(T{});
        REQUIRE(launch({1, 64}, shuffle<T>, direction, amount, width, in.data(), out.data()) == cudaSuccess);
        for (int i = 0; i < 64; ++i) {
          INFO("way " << static_cast<int>(direction) << ", width " << width << ", amount " << amount
                      << ", lane " << i);
          REQUIRE(out[static_cast<unsigned>(i)] ==
                  in[static_cast<unsigned>(i / 32 * 32 + source_lane(direction, i % 32, amount, width))]);
        }
      }
    }
  }
}

// Two halves of a warp, each with its own mask, in step with themselves only.
__global__ void sum_halves(int* out) {
  const unsigned half = threadIdx.x / 16;
  const unsigned mask = half == 0 ? 0x0000ffffu : 0xffff0000u;
  int value = static_cast<int>(threadIdx.x);
  for (int round = 0; round < (half == 0 ? 1 : 3); ++round) {
    for (int distance = 8; distance > 0; distance /= 2) value += __shfl_xor_sync(mask, value, distance);
  }
  out[threadIdx.x] = value;
}

// Lanes return one after the other; those that are left still name all.
__global__ void sum_of_those_left(int* out) {
  int sum = 0;
  for (unsigned round = 0; round <= threadIdx.x; ++round) sum += std::popcount(__ballot_sync(all_lanes, 1));
  out[threadIdx.x] = sum;
}

__global__ void read_absent_lane(float* out) { out[threadIdx.x] = __shfl_down_sync(all_lanes, 1.0f, 4); }

__global__ void vote(unsigned voters, unsigned* ballots, int* any, int* all) {
  const int mine = (voters >> threadIdx.x & 1u) != 0 ? -3 : 0;
  ballots[threadIdx.x] = __ballot_sync(all_lanes, mine);
  any[threadIdx.x] = __any_sync(all_lanes, mine);
  all[threadIdx.x] = __all_sync(all_lanes, mine);
}

template <class T>
__global__ void match(const T* values, unsigned* equal, unsigned* all_equal, int* all) {
  equal[threadIdx.x] = __match_any_sync(all_lanes, values[threadIdx.x]);
  all_equal[threadIdx.x] = __match_all_sync(all_lanes, values[threadIdx.x], &all[threadIdx.x]);
}

__global__ void reduce(const int* values, int* results) {
  const unsigned lane = threadIdx.x;
  const unsigned mask = lane < 20 ? 0x000fffffu : 0xfff00000u;
  const int value = values[lane];
  results[lane * 6] = __reduce_add_sync(mask, value);
  results[lane * 6 + 1] = __reduce_min_sync(mask, value);
  results[lane * 6 + 2] = __reduce_max_sync(mask, value);
  results[lane * 6 + 3] = static_cast<int>(__reduce_and_sync(mask, static_cast<unsigned>(value)));
  results[lane * 6 + 4] = static_cast<int>(__reduce_or_sync(mask, static_cast<unsigned>(value)));
  results[lane * 6 + 5] = static_cast<int>(__reduce_xor_sync(mask, static_cast<unsigned>(value)));
}

__global__ void show_active(unsigned* masks) { masks[threadIdx.x] = __activemask(); }

// Lane 0 waits for lanes 1 and 2, these wait for lane 3 before, and lane 3 returns.
__global__ void wait_for_those_who_wait(unsigned* sums) {
  if (threadIdx.x == 3) return;
  if (threadIdx.x != 0) sums[threadIdx.x] = __reduce_add_sync(0xeu, threadIdx.x);
  __syncwarp(0x7u);
}

}  // namespace

TEST_CASE("shuffles take the value of the lane that CUDA says", "[hostcuda]") {
  const auto order = GENERATE(from_range(std::begin(all_orders), std::end(all_orders)));
  fresh_device device;
  device.order(order, 1);
  check_shuffles<int>();
  check_shuffles<double>();
}

TEST_CASE("shuffles take all types that CUDA shuffles", "[hostcuda]") {
  fresh_device device;
  check_shuffles<unsigned>();
  check_shuffles<long long>();
  check_shuffles<unsigned long long>();
  check_shuffles<float>();
  STATIC_REQUIRE(std::is_same_v<decltype(__shfl_sync(1u, short{1}, 0)), int>);
  STATIC_REQUIRE(std::is_same_v<decltype(__shfl_sync(1u, true, 0)), int>);
  STATIC_REQUIRE(!detail::shuffled<float4>);
}

TEST_CASE("lanes wait for the lanes of their mask alone", "[hostcuda]") {
  const auto order = GENERATE(from_range(std::begin(all_orders), std::end(all_orders)));
  fresh_device device;
  device.order(order, 2);
  std::vector<int> out(32);
  REQUIRE(launch({1, 32}, sum_halves, out.data()) == cudaSuccess);
  for (unsigned i = 0; i < 16; ++i) CHECK(out[i] == 120);
  for (unsigned i = 16; i < 32; ++i) CHECK(out[i] == 376 * 16 * 16);
}

TEST_CASE("lanes that have met go on, whoever of a smaller number still waits for them", "[hostcuda]") {
  const auto order = GENERATE(from_range(std::begin(all_orders), std::end(all_orders)));
  fresh_device device;
  device.order(order, 5);
  std::vector<unsigned> sums(4);
  REQUIRE(launch({1, 4}, wait_for_those_who_wait, sums.data()) == cudaSuccess);
  CHECK(sums == std::vector<unsigned>{0, 3, 3, 0});
}

TEST_CASE("a warp operation does without lanes that have returned or never were", "[hostcuda]") {
  const auto order = GENERATE(from_range(std::begin(all_orders), std::end(all_orders)));
  const auto threads = GENERATE(1u, 7u, 32u, 45u);
  fresh_device device;
  device.order(order, 3);
  std::vector<int> out(threads);
  REQUIRE(launch({1, threads}, sum_of_those_left, out.data()) == cudaSuccess);
  for (unsigned i = 0; i < threads; ++i) {
    // In its first warp thread i counts 32 + 31 + …; the lanes of the second are all there for as long as it
    // counts.
    const unsigned in_warp = std::min(threads - i / 32 * 32, 32u), lane = i % 32;
    int expected = 0;
    for (unsigned round = 0; round <= i; ++round) {
      const unsigned returned = round > i / 32 * 32 ? round - i / 32 * 32 : 0;
      expected += static_cast<int>(in_warp - std::min(returned, lane));
    }
    CHECK(out[i] == expected);
  }
}

TEST_CASE("the value of a lane that does not take part is NaN", "[hostcuda]") {
  fresh_device device;
  std::vector<float> out(8, -1.0f);
  REQUIRE(launch({1, 8}, read_absent_lane, out.data()) == cudaSuccess);
  for (unsigned i = 0; i < 4; ++i) CHECK(out[i] == 1.0f);
  for (unsigned i = 4; i < 8; ++i) CHECK(out[i] != out[i]);
}

TEST_CASE("votes", "[hostcuda]") {
  const auto voters = GENERATE(0u, 0xffffffffu, 0x80000001u, 0x12345678u);
  fresh_device device;
  std::vector<unsigned> ballots(32);
  std::vector<int> any(32, -1), all(32, -1);
  REQUIRE(launch({1, 32}, vote, voters, ballots.data(), any.data(), all.data()) == cudaSuccess);
  CHECK(ballots == std::vector<unsigned>(32, voters));
  CHECK(any == std::vector<int>(32, voters != 0));
  CHECK(all == std::vector<int>(32, voters == all_lanes));
}

TEST_CASE("lanes with the same value find each other", "[hostcuda]") {
  fresh_device device;
  std::vector<unsigned> equal(32), all_equal(32, 1);
  std::vector<int> all(32, -1);
  std::vector<double> values(32);
  for (unsigned i = 0; i < 32; ++i) values[i] = i % 5 + 0.5;
  REQUIRE(launch({1, 32}, match<double>, values.data(), equal.data(), all_equal.data(), all.data()) ==
          cudaSuccess);
  for (unsigned i = 0; i < 32; ++i) {
    unsigned expected = 0;
    for (unsigned other = i % 5; other < 32; other += 5) expected |= 1u << other;
    CHECK(equal[i] == expected);
  }
  CHECK(all_equal == std::vector<unsigned>(32, 0));
  CHECK(all == std::vector<int>(32, 0));

  const std::vector<int> alike(32, 9);
  REQUIRE(launch({1, 32}, match<int>, alike.data(), equal.data(), all_equal.data(), all.data()) ==
          cudaSuccess);
  CHECK(equal == std::vector<unsigned>(32, all_lanes));
  CHECK(all_equal == std::vector<unsigned>(32, all_lanes));
  CHECK(all == std::vector<int>(32, 1));
}

TEST_CASE("reductions over the lanes of a mask", "[hostcuda]") {
  fresh_device device;
  std::vector<int> values(32), results(32 * 6);
  for (unsigned i = 0; i < 32; ++i) values[i] = static_cast<int>((i + 1) * 2654435761u);
  REQUIRE(launch({1, 32}, reduce, values.data(), results.data()) == cudaSuccess);
  for (unsigned lane = 0; lane < 32; ++lane) {
    const unsigned first = lane < 20 ? 0 : 20, end = lane < 20 ? 20 : 32;
    unsigned add = 0, both = ~0u, either = 0, odd = 0;
    int least = values[first], most = values[first];
    for (unsigned i = first; i < end; ++i) {
      const auto bits = static_cast<unsigned>(values[i]);
      add += bits, both &= bits, either |= bits, odd ^= bits;
      least = std::min(least, values[i]);
      most = std::max(most, values[i]);
    }
    const std::vector<int> expected{
        static_cast<int>(add), least, most, static_cast<int>(both), static_cast<int>(either),
        static_cast<int>(odd)};
    CHECK(std::vector<int>(results.begin() + lane * 6, results.begin() + lane * 6 + 6) == expected);
  }
}

TEST_CASE("the active mask names the caller", "[hostcuda]") {
  fresh_device device;
  std::vector<unsigned> masks(40);
  REQUIRE(launch({1, 40}, show_active, masks.data()) == cudaSuccess);
  for (unsigned i = 0; i < 40; ++i) CHECK((masks[i] & 1u << i % 32) != 0);
}
