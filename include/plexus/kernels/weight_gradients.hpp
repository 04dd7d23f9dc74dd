// The gradients of all dense layers of a network at once: dW = δᵀ X (BP4) and db = column sums of δ (BP3).
//
// Such products are small and tall: the batch is their depth. So the batch is split into parts, and each part
// of each 64 × 64 tile of each dW has a block of its own, which makes blocks enough for a whole device. The
// parts are added up in their order, by a second launch: same batch, same bits.
#pragma once

#include <plexus/core/for_each.hpp>
#include <plexus/kernels/fused_chain.hpp>

namespace plexus::inline PLEXUS_ABI::kernels {

// One layer's operands, and where its gradients lie in the arena.
template <class T>
struct weight_gradient {
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  matrix_view<const T> delta;  // (n, out)
  matrix_view<const T> x;      // (n, in)
  std::size_t dw = 0;          // (out, in)
  std::size_t db = none;       // (out)
};

template <class T, int Count>
struct weight_gradients {
  weight_gradient<T> of[Count];
};

struct gradient_tile {
  static constexpr int size = 64, threads = 128;
  static constexpr int slice = 32;  // parts of the batch are multiples of it

  int first_out, first_in;

  template <class T>
  PLEXUS_FN static int count(const weight_gradient<T>& gradient) {
    return divide_up(gradient.delta.cols, size) * divide_up(gradient.x.cols, size);
  }
};

// The batch in parts of `rows` samples, at most 64 of them, so that the partial sums need no more than 64
// arenas.
struct batch_parts {
  static constexpr int most = 64, least_rows = 128;

  int rows, count;
  explicit batch_parts(int n)
      : rows(
            std::max(least_rows, divide_up(divide_up(n, most), gradient_tile::slice) * gradient_tile::slice)),
        count(divide_up(n, rows)) {}

  // The most parts that batches of up to n samples have.
  static int most_of(int n) { return std::min(most, divide_up(n, least_rows)); }
};

// How a block finds its sums over samples [begin, end), whose gradients go to `arena`; of other types
// elsewhere.
template <class T>
struct gradient_block;

template <>
struct gradient_block<float> {
  static constexpr int size = gradient_tile::size, threads = gradient_tile::threads;
  static constexpr int slice = 16;  // samples staged at a time
  static constexpr int stride = size + 4;
  using sums = thread_tile<8, 4>;  // four warps in two rows and two columns

  // Samples [first, last) of 64 columns of x, zeros outside; Permuted: in the order of thread_tile's columns.
  template <bool Permuted>
  __device__ static void stage_columns(matrix_view<const float> x, int first, int last, int first_col,
                                       float* stage) {
    PLEXUS_UNROLL
    for (int i = static_cast<int>(threadIdx.x); i < slice * size; i += threads) {
      const int place = i % size, k = i / size;
      const int col = first_col + (Permuted ? sums::col_at(place) : place);
      stage_element(stage + k * stride + place, x.row(first + k) + col, first + k < last && col < x.cols);
    }
  }

  __device__ static void find(const weight_gradient<float>& gradient, gradient_tile tile, int begin, int end,
                              float* arena) {
    alignas(16) __shared__ float shared_delta[2][slice * stride];
    alignas(16) __shared__ float shared_x[2][slice * stride];
    const auto stage = [&](int first, int to) {
      stage_columns<false>(gradient.delta, first, end, tile.first_out, shared_delta[to]);
      stage_columns<true>(gradient.x, first, end, tile.first_in, shared_x[to]);
      __pipeline_commit();
    };

    const int warp = static_cast<int>(threadIdx.x) / 32, thread = static_cast<int>(threadIdx.x);
    const int warp_row = warp / 2 * sums::warp_rows, warp_col = warp % 2 * sums::warp_cols;
    sums dw;
    float db = 0;
    stage(begin, 0);
    for (int first = begin, to = 0; first < end; first += slice, to ^= 1) {
      __pipeline_wait_prior(0);
      // The slice has arrived from all threads, and nobody reads the one before it any more.
      __syncthreads();
      if (first + slice < end) stage(first + slice, to ^ 1);
      dw.template add<slice>(shared_delta[to] + warp_row, stride, shared_x[to] + warp_col, stride);
      if (thread < size && tile.first_in == 0) {
        PLEXUS_UNROLL
        for (int k = 0; k < slice; ++k) db += shared_delta[to][k * stride + thread];
      }
    }

    const int out = gradient.delta.cols, in = gradient.x.cols;
    dw.for_each_packet([&](int row, int col, packet<4> four) {
      row += tile.first_out + warp_row;
      col += tile.first_in + warp_col;
      PLEXUS_UNROLL
      for (int i = 0; i < 4; ++i) {
        if (row + i < out && col < in)
          arena[gradient.dw + static_cast<std::size_t>((row + i) * in + col)] = four.at[i];
      }
    });
    const int row = tile.first_out + thread;
    if (thread < size && tile.first_in == 0 && row < out && gradient.db != gradient.none) {
      arena[gradient.db + static_cast<std::size_t>(row)] = db;
    }
  }
};

// Block (tile, part): the part's sums of one tile, into the part's arena.
template <class T, int Count>
__global__ void __launch_bounds__(gradient_tile::threads)
    weight_gradients_kernel(weight_gradients<T, Count> gradients, int rows_of_part, float* arenas,
                            std::size_t arena_size) {
  weight_gradient<T> gradient;
  int tile = 0;
  PLEXUS_UNROLL  // an index that is no constant would have the arguments copied to memory of each thread
      for (int layer = 0, first = 0; layer < Count; ++layer) {
    const int next = first + gradient_tile::count(gradients.of[layer]);
    if (static_cast<int>(blockIdx.x) >= first && static_cast<int>(blockIdx.x) < next) {
      gradient = gradients.of[layer];
      tile = static_cast<int>(blockIdx.x) - first;
    }
    first = next;
  }
  const int tiles_in = divide_up(gradient.x.cols, gradient_tile::size);
  const int begin = static_cast<int>(blockIdx.y) * rows_of_part;
  gradient_block<T>::find(
      gradient, {tile / tiles_in * gradient_tile::size, tile % tiles_in * gradient_tile::size}, begin,
      min(begin + rows_of_part, gradient.x.rows), arenas + blockIdx.y * arena_size);
}

// Element i of the arena: its partial sums in the order of the parts.
struct add_parts {
  const float* arenas;
  std::size_t arena_size;
  int count;
  float* sums;

  PLEXUS_FN void operator()(std::size_t i) const {
    float sum = 0;
    for (int part = 0; part < count; ++part) sum += arenas[static_cast<std::size_t>(part) * arena_size + i];
    sums[i] = sum;
  }
};

// The gradients of all layers, in the arena `sums`. `arenas` holds an arena for each of the batch's parts;
// what lies in it between the tensors is zero and stays so.
template <class T, int Count>
void find_weight_gradients(cudaStream_t stream, const weight_gradients<T, Count>& gradients, float* arenas,
                           std::size_t arena_size, float* sums) {
  const batch_parts parts(gradients.of[0].x.rows);
  int tiles = 0;
  for (const weight_gradient<T>& gradient : gradients.of) tiles += gradient_tile::count(gradient);
  const launch_shape shape{dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(parts.count)),
                           dim3(gradient_tile::threads)};
  launch("launching the gradients of weights", stream, shape, weight_gradients_kernel<T, Count>, gradients,
         parts.rows, arenas, arena_size);
  for_each(stream, arena_size, add_parts{arenas, arena_size, parts.count, sums});
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
