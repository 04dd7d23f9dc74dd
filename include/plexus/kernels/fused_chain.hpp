// A chain of dense layers as one kernel: a block brings 64 samples into shared memory and takes them through
// all layers, forward or backward, without leaving it.
//
// The samples lie there as a slab: row k holds element k of every sample. A step of the chain multiplies them
// with its weights, which come slice by slice along k, each weight once a block, and every thread adds up
// outer products in registers. The step's epilogue makes the next slab of the sums, in the place of the old
// one. Every element is one chain of multiply-adds in the order of k, whatever the batch.
#pragma once

#include <plexus/core/launch.hpp>
#include <plexus/core/view.hpp>
#include <plexus/kernels/thread_tile.hpp>

#include <algorithm>

namespace plexus::inline PLEXUS_ABI::kernels {

// The widest layer of a fused chain.
inline constexpr int most_fused_width = 128;

// How a step reads its weights: forward as Wᵀ, the depth contiguous, backward (BP2) as they are.
enum class fused_weights { transposed, plain };

// One step, D (n, extent) = epilogue(S·op(W)), S (n, depth) being what the step before left: S·Wᵀ with W
// (extent, depth) or S·W with W (depth, extent).
//
// epilogue(row, col, sum) is called for every element, also for rows behind the batch. It stores what is to
// be kept and returns what the next step reads.
template <fused_weights Weights, int Depth, int Extent, class Epilogue>
struct fused_step {
  static_assert(Depth <= most_fused_width && Extent <= most_fused_width,
                "plexus: a fused chain has layers of at most 128 units");
  static constexpr int depth = Depth, extent = Extent;
  static constexpr bool depth_is_contiguous = Weights == fused_weights::transposed;

  const float* w;
  Epilogue epilogue;

  PLEXUS_FN const float* weight(int k, int col) const {
    return depth_is_contiguous ? w + col * Depth + k : w + k * Extent + col;
  }
};

struct fused_block {
  static constexpr int rows = 64, warps = 4, threads = 32 * warps;
  static constexpr int stride = rows + 4;  // rows of the slab 4 banks apart: no conflicts when it is written
};

// How the block shares out D (64, extent), extent rounded up to 32, 64 or 128 columns.
template <class Step>
struct fused_arrangement {
  static constexpr int cols = Step::extent <= 32 ? 32 : Step::extent <= 64 ? 64 : 128;
  static constexpr int warps_n = cols == 32 ? 1 : 2;
  static constexpr int warps_m = fused_block::warps / warps_n;
  using tile = thread_tile<fused_block::rows / warps_m / 4, cols / warps_n / 8>;

  static constexpr int slice = cols == 128 ? 8 : 16;  // depth staged at a time
  static constexpr int slices = divide_up(Step::depth, slice);
  static constexpr int stride = cols + 4;
  static constexpr int stage_size = slice * stride;
  static constexpr int slab_rows = std::max(slices * slice, cols);

  __device__ static int first_row() { return warp() / warps_n * tile::warp_rows; }
  __device__ static int first_col() { return warp() % warps_n * tile::warp_cols; }

 private:
  __device__ static int warp() { return static_cast<int>(threadIdx.x) / 32; }
};

// *from on its way into shared memory, or zero.
__device__ inline void stage_element(float* to, const float* from, bool inside) {
  if (inside) {
    __pipeline_memcpy_async(to, from, sizeof(float));
  } else {
    *to = 0;
  }
}

// Depths [first, first + slice) of the step's weights. Warps read whole sectors: eight depths of four columns
// where the depth is contiguous, else 32 columns; and write 32 different banks.
template <class Step>
__device__ void stage_weights(const Step& step, int first, float* stage) {
  using at = fused_arrangement<Step>;
  PLEXUS_UNROLL
  for (int i = static_cast<int>(threadIdx.x); i < at::slice * at::cols; i += fused_block::threads) {
    const int place = Step::depth_is_contiguous ? i / 8 % at::cols : i % at::cols;
    const int k = Step::depth_is_contiguous ? i / (8 * at::cols) * 8 + i % 8 : i / at::cols;
    const int col = at::tile::col_at(place);
    stage_element(stage + k * at::stride + place, step.weight(first + k, col),
                  first + k < Step::depth && col < Step::extent);
  }
  __pipeline_commit();
}

// Samples [first, first + 64) of x into rows [0, depth) of the slab, zeros where x has none.
__device__ inline void stage_samples(matrix_view<const float> x, int first, int depth, float* slab) {
  for (int i = static_cast<int>(threadIdx.x); i < depth * fused_block::rows; i += fused_block::threads) {
    const int row = i / 8 % fused_block::rows;
    const int k = i / (8 * fused_block::rows) * 8 + i % 8;
    stage_element(slab + k * fused_block::stride + row, x.row(first + row) + k,
                  first + row < x.rows && k < x.cols);
  }
}

template <class Step>
__device__ auto multiply_slab(const Step& step, const float* slab, float* stages) {
  using at = fused_arrangement<Step>;
  typename at::tile sums;
  stage_weights(step, 0, stages);
  for (int slice = 0; slice < at::slices; ++slice) {
    const float* stage = stages + slice % 2 * at::stage_size;
    __pipeline_wait_prior(0);
    // The slice has arrived from all threads, and nobody reads the one before it any more.
    __syncthreads();
    if (slice + 1 < at::slices) {
      stage_weights(step, (slice + 1) * at::slice, stages + (slice + 1) % 2 * at::stage_size);
    }
    sums.template add<at::slice>(slab + slice * at::slice * fused_block::stride + at::first_row(),
                                 fused_block::stride, stage + at::first_col(), at::stride);
  }
  __syncthreads();  // the slab has been read
  return sums;
}

// The steps one after the other, for the samples from first_row on.
template <class Step, class... Rest>
__device__ void take_steps(int first_row, float* slab, float* stages, const Step& step, const Rest&... rest) {
  using at = fused_arrangement<Step>;
  const auto sums = multiply_slab(step, slab, stages);
  sums.for_each_packet([&](int row, int col, packet<4> four) {
    row += at::first_row();
    col += at::first_col();
    PLEXUS_UNROLL
    for (int i = 0; i < 4; ++i) {
      four.at[i] = col < Step::extent ? step.epilogue(first_row + row + i, col, four.at[i]) : 0;
    }
    if constexpr (sizeof...(Rest) > 0) store_packet(slab + col * fused_block::stride + row, four);
  });
  if constexpr (sizeof...(Rest) > 0) take_steps(first_row, slab, stages, rest...);
}

// The shared memory of a chain, in floats.
template <class... Steps>
struct fused_shared {
  static constexpr int slab = std::max({fused_arrangement<Steps>::slab_rows...}) * fused_block::stride;
  static constexpr int stages = 2 * std::max({fused_arrangement<Steps>::stage_size...});
};

template <class First, class... Rest>
__global__ void __launch_bounds__(fused_block::threads)
    fused_chain_kernel(matrix_view<const float> x, First first, Rest... rest) {
  alignas(16) __shared__ float slab[fused_shared<First, Rest...>::slab];
  alignas(16) __shared__ float stages[fused_shared<First, Rest...>::stages];
  using at = fused_arrangement<First>;
  const int first_row = static_cast<int>(blockIdx.x) * fused_block::rows;
  stage_samples(x, first_row, at::slices * at::slice, slab);
  take_steps(first_row, slab, stages, first, rest...);
}

// Takes all samples x (n, depth of the first step) through the steps.
template <class... Steps>
void fused_chain(cudaStream_t stream, matrix_view<const float> x, const Steps&... steps) {
  const launch_shape shape{dim3(static_cast<unsigned>(divide_up(x.rows, fused_block::rows))),
                           dim3(fused_block::threads)};
  launch("launching a fused chain of layers", stream, shape, fused_chain_kernel<Steps...>, x, steps...);
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
