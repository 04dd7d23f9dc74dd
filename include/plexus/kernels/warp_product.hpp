// D = A·B + C with A (16, 16), B (16, 8) of 16-bit elements, C and D in FP32, by one warp, in the registers
// that the PTX manual documents for mma.sync.m16n8k16. WMMA does not say which lane holds what; who knows it
// can hand a product's registers to the next product as they are.
//
// A register of A and B holds a pair of elements, the lower place in the lower half. Of lane 4·g + t:
//   a[0] (g, 2t), a[1] (g + 8, 2t), a[2] (g, 2t + 8), a[3] (g + 8, 2t + 8), each with its neighbour in the
//   row b[0] (2t, g), b[1] (2t + 8, g), each with its neighbour in the column d[0], d[1] (g, 2t) and its
//   neighbour in the row, d[2], d[3] (g + 8, 2t) and its neighbour
#pragma once

#include <plexus/kernels/mma_instructions.hpp>

#include <cstring>

namespace plexus::inline PLEXUS_ABI::kernels {

template <class T>
struct pair_of_elements;
template <>
struct pair_of_elements<__half> {
  using type = __half2;
  __device__ static type round(float low, float high) { return __floats2half2_rn(low, high); }
  __device__ static float2 widen(type pair) { return __half22float2(pair); }
};
template <>
struct pair_of_elements<__nv_bfloat16> {
  using type = __nv_bfloat162;
  __device__ static type round(float low, float high) { return __floats2bfloat162_rn(low, high); }
  __device__ static float2 widen(type pair) { return __bfloat1622float2(pair); }
};

// Two floats, rounded to a pair in one register; and back.
template <class T>
__device__ unsigned to_pair(float low, float high) {
  const auto pair = pair_of_elements<T>::round(low, high);
  unsigned word;
  std::memcpy(&word, &pair, sizeof word);
  return word;
}
template <class T>
__device__ float2 from_pair(unsigned word) {
  typename pair_of_elements<T>::type pair;
  std::memcpy(static_cast<void*>(&pair), &word, sizeof word);
  return pair_of_elements<T>::widen(pair);
}

// The elements of a pair, each where the same one of `gates` is positive, else zero: a product with 1 or 0.
template <class T>
__device__ unsigned pass_gate(unsigned pair, unsigned gates) {
  typename pair_of_elements<T>::type value, gate, zero;
  std::memcpy(static_cast<void*>(&value), &pair, sizeof pair);
  std::memcpy(static_cast<void*>(&gate), &gates, sizeof gates);
  std::memset(static_cast<void*>(&zero), 0, sizeof zero);
  value = __hmul2(value, __hgt2(gate, zero));
  std::memcpy(&pair, &value, sizeof pair);
  return pair;
}

// By shuffles: for the CPU, and for GPUs before sm_80, where it is slow.
template <class T>
__device__ void warp_product_by_shuffles(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  const int g = static_cast<int>(threadIdx.x % 32 / 4), t = static_cast<int>(threadIdx.x % 4);
  const auto both = [](unsigned low, unsigned high) {
    return static_cast<unsigned long long>(high) << 32 | low;
  };
  const auto from = [](unsigned long long words, int lane) { return __shfl_sync(0xffffffffu, words, lane); };
  const auto add = [](float& sum, unsigned left, unsigned right) {
    const float2 x = from_pair<T>(left), y = from_pair<T>(right);
    sum += x.x * y.x + x.y * y.y;
  };
  const unsigned long long first = both(a[0], a[1]), second = both(a[2], a[3]), columns = both(b[0], b[1]);
  PLEXUS_NO_UNROLL
  for (int place = 0; place < 4; ++place) {
    const unsigned long long rows[2] = {from(first, 4 * g + place), from(second, 4 * g + place)};
    const unsigned long long left = from(columns, 8 * t + place), right = from(columns, 8 * t + 4 + place);
    PLEXUS_UNROLL
    for (int half = 0; half < 2; ++half) {
      const auto upper = static_cast<unsigned>(rows[half]), lower = static_cast<unsigned>(rows[half] >> 32);
      const auto of_left = static_cast<unsigned>(left >> 32 * half);
      const auto of_right = static_cast<unsigned>(right >> 32 * half);
      add(d[0], upper, of_left);
      add(d[1], upper, of_right);
      add(d[2], lower, of_left);
      add(d[3], lower, of_right);
    }
  }
}

// c and d may be the same.
template <class T>
__device__ void warp_product(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                             const float (&c)[4]) {
  if constexpr (platform::has_bf16_and_tf32_mma && !platform::on_cpu) {
    multiply_add<T>(d, a, b[0], b[1], c);
  } else {
    PLEXUS_UNROLL
    for (int i = 0; i < 4; ++i) d[i] = c[i];
    warp_product_by_shuffles<T>(d, a, b);
  }
}

// Tiles b of 8 columns, j their number, from 8 rows of W (k, n) in shared memory: a pair of tile j is of
// column 8·j + g of rows t and t + 4.
template <class T>
__device__ void load_pairs(unsigned (&pairs)[4], const T* w, int stride) {
  const int lane = static_cast<int>(threadIdx.x % 32), g = lane / 4, t = lane % 4;
  if constexpr (platform::has_bf16_and_tf32_mma && !platform::on_cpu) {
    // Lane 8·j + i names the i-th row of tile j, of which pairs are neighbours: 0 4 1 5 2 6 3 7.
    load_matrices<true>(pairs, w + (lane % 8 / 2 + lane % 2 * 4) * stride + lane / 8 * 8);
  } else {
    PLEXUS_UNROLL
    for (int j = 0; j < 4; ++j) {
      const T pair[2] = {w[t * stride + 8 * j + g], w[(t + 4) * stride + 8 * j + g]};
      std::memcpy(&pairs[j], pair, sizeof pair);
    }
  }
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
