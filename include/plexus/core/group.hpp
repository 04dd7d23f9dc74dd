// Groups: the threads that share one row of a matrix. A row's code is written once against rank(), size() and
// the reductions, and runs on a warp (coalesced on a GPU) or on one thread (a vectorisable loop on a CPU).
#pragma once

#include <plexus/platform.hpp>

namespace plexus::inline PLEXUS_ABI {

// The 32 lanes of a warp. Reductions go by butterfly, so every lane gets the same bits, in a fixed order.
struct warp_group {
  static constexpr unsigned everyone = 0xffffffffu;

  __device__ static int rank() { return static_cast<int>(threadIdx.x % 32u); }
  PLEXUS_FN static constexpr int size() { return 32; }

  template <class T>
  __device__ static T sum(T value) {
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(everyone, value, distance);
    return value;
  }

  // Lane l gets the sum over all lanes of values[l·Count / 32]. At each distance a lane keeps one half of its
  // values and hands over the half that its partner keeps: fewer shuffles than Count sums take by themselves.
  template <int Distance = 16, class T, int Count>
  __device__ static T sum_each(const T (&values)[Count]) {
    static_assert(Count > 0 && 32 % Count == 0, "warp_group::sum_each() divides the lanes among the values");
    if constexpr (Distance == 0) {
      return values[0];
    } else if constexpr (Count == 1) {
      const T sum[1] = {values[0] + __shfl_xor_sync(everyone, values[0], Distance)};
      return sum_each<Distance / 2>(sum);
    } else {
      constexpr int half = Count / 2;
      const bool is_upper = (rank() & Distance) != 0;
      T sums[half];
      PLEXUS_UNROLL
      for (int i = 0; i < half; ++i) {
        const T kept = is_upper ? values[half + i] : values[i],
                given = is_upper ? values[i] : values[half + i];
        sums[i] = kept + __shfl_xor_sync(everyone, given, Distance);
      }
      return sum_each<Distance / 2>(sums);
    }
  }

  template <class T>
  __device__ static T max(T value) {
    for (int distance = 16; distance > 0; distance /= 2) {
      const T other = __shfl_xor_sync(everyone, value, distance);
      value = other > value ? other : value;
    }
    return value;
  }

  template <class T>
  __device__ static T min(T value) {
    for (int distance = 16; distance > 0; distance /= 2) {
      const T other = __shfl_xor_sync(everyone, value, distance);
      value = other < value ? other : value;
    }
    return value;
  }
};

// All threads of a block, of whole warps. Its sum adds the warps' sums in their order, and every thread gets
// it.
template <int Threads>
struct block_group {
  static_assert(Threads % 32 == 0, "a block_group consists of whole warps");

  __device__ static int rank() { return static_cast<int>(threadIdx.x); }
  PLEXUS_FN static constexpr int size() { return Threads; }

  template <class T>
  __device__ static T sum(T value) {
    __shared__ T sums[Threads / 32];
    value = warp_group::sum(value);
    __syncthreads();  // everybody has read what an earlier call left
    if (warp_group::rank() == 0) sums[rank() / 32] = value;
    __syncthreads();
    T total = 0;
    for (const T one : sums) total += one;
    return total;
  }
};

struct single_thread_group {
  PLEXUS_FN static constexpr int rank() { return 0; }
  PLEXUS_FN static constexpr int size() { return 1; }

  template <class T>
  PLEXUS_FN static T sum(T value) {
    return value;
  }
  template <class T>
  PLEXUS_FN static T max(T value) {
    return value;
  }
  template <class T>
  PLEXUS_FN static T min(T value) {
    return value;
  }
};

// This thread's part of Σ value(i) over [0, count): its own i, in a fixed order. A thread by itself keeps 16
// sums, which a CPU's vector registers add up at once.
template <class T, class Group, class Value>
PLEXUS_FN T part_of_sum(Group group, int count, const Value& value) {
  constexpr int width = Group::size() == 1 ? 16 : 1;
  T sums[width] = {};
  int i = group.rank() * width;
  for (; i + width <= count; i += group.size() * width) {
    for (int k = 0; k < width; ++k) sums[k] += value(i + k);
  }
  T total = 0;
  if constexpr (width > 1) {
    for (; i < count; ++i) total += value(i);
  }
  for (const T sum : sums) total += sum;
  return total;
}

}  // namespace plexus::inline PLEXUS_ABI
