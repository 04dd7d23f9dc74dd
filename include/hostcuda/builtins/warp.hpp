// Shuffles, votes and other operations of a warp: 32 lanes, always.
//
// The lanes of the mask that have not returned from the kernel must all call the same operation with the same
// mask.
#pragma once

#include <hostcuda/engine/warp.hpp>

#include <bit>
#include <concepts>
#include <cstring>
#include <functional>
#include <type_traits>

namespace hostcuda {
namespace detail {

// What may be shuffled. A header with types of its own (half) adds them.
template <class T>
inline constexpr bool is_shuffled = std::is_arithmetic_v<T>;
template <class T>
concept shuffled = is_shuffled<T>;

// Small integers are shuffled as int, as in CUDA.
template <class T>
struct promoted {
  using type = T;
};
template <std::integral T>
struct promoted<T> {
  using type = decltype(+T());
};

template <class T>
struct shuffle_argument {
  T value;
  unsigned source;
};

template <class T>
T poison() {
  T value;
  std::memset(static_cast<void*>(&value), 0xff, sizeof value);  // NaN
  return value;
}

// The value of lane `source`; undefined in CUDA, here NaN, if that lane does not take part.
template <class T>
T shuffle(unsigned mask, T value, unsigned source, const char* operation) {
  shuffle_argument<T> mine{value, source};
  warp_collective(
      mask, mine,
      [](const std::array<shuffle_argument<T>*, warp_lanes>& lanes) {
        std::array<T, warp_lanes> values;
        for (unsigned i = 0; i < warp_lanes; ++i)
          values[i] = lanes[i] != nullptr ? lanes[i]->value : poison<T>();
        for (shuffle_argument<T>* lane : lanes) {
          if (lane != nullptr) lane->value = values[lane->source % warp_lanes];
        }
      },
      operation);
  return mine.value;
}

inline unsigned this_lane(const char* function) { return kernel_runner(function).lane(); }

struct vote {
  bool value;
  unsigned ballot;
};

// The lanes of the mask whose value is true.
inline unsigned ballot(unsigned mask, bool value, const char* operation) {
  vote mine{value, 0};
  warp_collective(
      mask, mine,
      [](const std::array<vote*, warp_lanes>& lanes) {
        unsigned ballot = 0;
        for (unsigned i = 0; i < warp_lanes; ++i) {
          if (lanes[i] != nullptr && lanes[i]->value) ballot |= 1u << i;
        }
        for (vote* lane : lanes) {
          if (lane != nullptr) lane->ballot = ballot;
        }
      },
      operation);
  return mine.ballot;
}

template <class T>
concept matched = std::is_arithmetic_v<T> && sizeof(T) >= 4;

template <class T>
struct match {
  T value;
  unsigned equal;
  bool all;
};

template <class T>
match<T> match_lanes(unsigned mask, T value, const char* operation) {
  match<T> mine{value, 0, true};
  warp_collective(
      mask, mine,
      [](const std::array<match<T>*, warp_lanes>& lanes) {
        for (match<T>* lane : lanes) {
          if (lane == nullptr) continue;
          for (unsigned i = 0; i < warp_lanes; ++i) {
            if (lanes[i] == nullptr) continue;
            const bool equal = std::memcmp(&lanes[i]->value, &lane->value, sizeof(T)) == 0;
            if (equal) lane->equal |= 1u << i;
            lane->all = lane->all && equal;
          }
        }
      },
      operation);
  return mine;
}

template <class T, class Combine>
T reduce_lanes(unsigned mask, T value, Combine, const char* operation) {
  T mine = value;
  warp_collective(
      mask, mine,
      [](const std::array<T*, warp_lanes>& lanes) {
        const T* first = nullptr;
        T total{};
        for (const T* lane : lanes) {
          if (lane == nullptr) continue;
          total = first == nullptr ? *lane : Combine()(total, *lane);
          first = lane;
        }
        for (T* lane : lanes) {
          if (lane != nullptr) *lane = total;
        }
      },
      operation);
  return mine;
}

template <class T>
concept reducible = std::same_as<T, int> || std::same_as<T, unsigned>;

struct smaller {
  template <class T>
  T operator()(T a, T b) const {
    return b < a ? b : a;
  }
};
struct larger {
  template <class T>
  T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};

}  // namespace detail

inline void __syncwarp(unsigned mask = 0xffffffffu, detail::source_line where = detail::source_line::here()) {
  if (detail::is_left_out(where)) return;
  struct nothing {
  } mine;
  detail::warp_collective(mask, mine, [](const std::array<nothing*, detail::warp_lanes>&) {});
}

// `width` (2, 4, 8, 16 or 32) parts the warp into groups that shuffle apart.
template <detail::shuffled T>
typename detail::promoted<T>::type __shfl_sync(unsigned mask, T value, int source, int width = warpSize) {
  const unsigned lane = detail::this_lane(__func__), size = static_cast<unsigned>(width);
  using type = typename detail::promoted<T>::type;
  return detail::shuffle<type>(mask, value,
                               (lane & ~(size - 1)) | (static_cast<unsigned>(source) & (size - 1)), __func__);
}

template <detail::shuffled T>
typename detail::promoted<T>::type __shfl_up_sync(unsigned mask, T value, unsigned delta,
                                                  int width = warpSize) {
  const unsigned lane = detail::this_lane(__func__), size = static_cast<unsigned>(width);
  using type = typename detail::promoted<T>::type;
  return detail::shuffle<type>(mask, value, (lane & (size - 1)) < delta ? lane : lane - delta, __func__);
}

template <detail::shuffled T>
typename detail::promoted<T>::type __shfl_down_sync(unsigned mask, T value, unsigned delta,
                                                    int width = warpSize) {
  const unsigned lane = detail::this_lane(__func__), size = static_cast<unsigned>(width);
  using type = typename detail::promoted<T>::type;
  return detail::shuffle<type>(mask, value, delta >= size - (lane & (size - 1)) ? lane : lane + delta,
                               __func__);
}

// A lane reads from its own group or an earlier one, never from a later.
template <detail::shuffled T>
typename detail::promoted<T>::type __shfl_xor_sync(unsigned mask, T value, int lane_mask,
                                                   int width = warpSize) {
  const unsigned lane = detail::this_lane(__func__), size = static_cast<unsigned>(width);
  using type = typename detail::promoted<T>::type;
  const unsigned source = lane ^ static_cast<unsigned>(lane_mask);
  return detail::shuffle<type>(mask, value, source > (lane | (size - 1)) ? lane : source, __func__);
}

inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return detail::ballot(mask, predicate != 0, __func__);
}
inline int __any_sync(unsigned mask, int predicate) {
  return detail::ballot(mask, predicate != 0, __func__) != 0;
}
inline int __all_sync(unsigned mask, int predicate) {
  return detail::ballot(mask, predicate == 0, __func__) == 0;
}

// The lanes that go in step with the caller. Threads here go each its own way, so it is the caller alone: as
// in CUDA, do not take it for the lanes of a branch.
inline unsigned __activemask() { return 1u << detail::this_lane(__func__); }

// The lanes of the mask with the same value, by its bits.
template <detail::matched T>
unsigned __match_any_sync(unsigned mask, T value) {
  return detail::match_lanes(mask, value, __func__).equal;
}

// The mask if all of its lanes have the same value, else 0.
template <detail::matched T>
unsigned __match_all_sync(unsigned mask, T value, int* all) {
  const detail::match<T> found = detail::match_lanes(mask, value, __func__);
  *all = found.all ? 1 : 0;
  return found.all ? found.equal : 0;
}

template <detail::reducible T>
T __reduce_add_sync(unsigned mask, T value) {
  // Overflow wraps around, as on the GPU.
  return static_cast<T>(detail::reduce_lanes(mask, static_cast<unsigned>(value), std::plus<>(), __func__));
}
template <detail::reducible T>
T __reduce_min_sync(unsigned mask, T value) {
  return detail::reduce_lanes(mask, value, detail::smaller(), __func__);
}
template <detail::reducible T>
T __reduce_max_sync(unsigned mask, T value) {
  return detail::reduce_lanes(mask, value, detail::larger(), __func__);
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value) {
  return detail::reduce_lanes(mask, value, std::bit_and<>(), __func__);
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value) {
  return detail::reduce_lanes(mask, value, std::bit_or<>(), __func__);
}
inline unsigned __reduce_xor_sync(unsigned mask, unsigned value) {
  return detail::reduce_lanes(mask, value, std::bit_xor<>(), __func__);
}

}  // namespace hostcuda
