// A chain of dense layers as one kernel on tensor cores: elements of 16 bits, sums in FP32.
//
// A warp takes 32 samples through all layers without their ever leaving its registers: the sums of one layer,
// rounded, are the next one's operand. Shared memory holds nothing but the weights of the layer at hand.
//
// That works because a product may add up its depth in any order, and may call its columns by any names. Of
// each group of 32 columns lane 4·g + t holds columns 8t … 8t + 7, of rows g, g + 8, g + 16 and g + 24, in
// pairs of neighbours. Samples, outputs and deltas are read and written by 16 bytes a lane. So are, forward,
// the weights W (out, in); backward, when a pair is an element of row k and the one below it, shared memory
// holds rows and columns in another order, of which ldmatrix makes such pairs.
#pragma once

#include <plexus/core/launch.hpp>
#include <plexus/core/precision.hpp>
#include <plexus/core/view.hpp>
#include <plexus/kernels/fused_chain.hpp>
#include <plexus/kernels/warp_product.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <type_traits>

namespace plexus::inline PLEXUS_ABI::kernels {

struct fused_tensor_block {
  static constexpr int warps = 4, threads = 32 * warps;
  static constexpr int warp_rows = 32, rows = warps * warp_rows;
  static constexpr int group = 32;  // columns that are taken together

  __device__ static int lane() { return static_cast<int>(threadIdx.x % 32); }
  __device__ static int g() { return static_cast<int>(threadIdx.x % 32 / 4); }
  __device__ static int t() { return static_cast<int>(threadIdx.x % 4); }
};

// Eight neighbours of a row in memory, by pairs.
struct alignas(16) octet {
  unsigned pairs[4];
};

// A warp's samples: at[r][c] is of row g + 8·r and column group c.
template <int Width>
struct warp_samples {
  static constexpr int groups = divide_up(Width, fused_tensor_block::group);
  octet at[4][groups];
};

// Whether `col` of `left` columns is inside: known at compile time where Extent is a multiple of a group.
template <int Extent>
PLEXUS_FN constexpr bool is_column(int col, int left) {
  return Extent % fused_tensor_block::group == 0 || col < left;
}

// Where a lane stands: in its first row of the batch and its first column of a group; and how many rows there
// are from its first on, none where that is behind the batch.
struct lane_place {
  int row, col, rows;
};

// A lane's part of a matrix with Extent columns, whose rows lie leading_dimension<T>(Extent) apart.
template <int Extent, class T>
struct lane_part {
  T* first;
  int rows, cols;

  __device__ lane_part(T* matrix, lane_place at)
      : first(matrix + static_cast<std::ptrdiff_t>(at.row) * ld + at.col),
        rows(at.rows),
        cols(Extent - at.col) {}

  // Eight neighbours of a row. Behind the batch, where nobody needs them, those of the last row; zeros behind
  // the columns.
  __device__ octet load(int row, int col) const {
    if (!is_column<Extent>(col, cols)) return {};
    return *reinterpret_cast<const octet*>(first + min(row, rows - 1) * ld + col);
  }
  __device__ void store(int row, int col, const octet& values) const {
    if (row < rows && is_column<Extent>(col, cols))
      *reinterpret_cast<octet*>(first + row * ld + col) = values;
  }

 private:
  static constexpr int ld = leading_dimension<std::remove_const_t<T>>(Extent);
};

// One step. W is row-major with rows leading_dimension<T>() apart, begins at a multiple of 16 bytes, and is
// zero behind its columns. The bias (extent) is in FP32; null where there is none.
//
// epilogue(place, row, col, sums) gets eight neighbouring columns at once, the bias added, row rows and col
// columns from the lane's place, also behind the batch; and returns what the next step reads.
template <fused_weights Weights, class T, int Depth, int Extent, class Epilogue>
struct fused_tensor_step {
  static_assert(Depth <= most_fused_width && Extent <= most_fused_width,
                "plexus: a fused chain has layers of at most 128 units");
  using element = T;
  static constexpr bool forward = Weights == fused_weights::transposed;
  static constexpr int depth = Depth, extent = Extent;

  const T* w;
  const float* bias;
  Epilogue epilogue;
};

// The weights of a step in shared memory, filled up with zeros to whole groups.
template <class Step>
struct staged_weights {
  static constexpr int group = fused_tensor_block::group;
  static constexpr int used_rows = Step::forward ? Step::extent : Step::depth;
  static constexpr int used_cols = Step::forward ? Step::depth : Step::extent;
  static constexpr int rows = divide_up(used_rows, group) * group;
  static constexpr int cols = divide_up(used_cols, group) * group;
  // Forward, a quarter warp reads 64 bytes of each of two rows, backward (ldmatrix) 16 bytes of each of
  // eight: these must not lie on the same banks.
  static constexpr int stride = Step::forward ? cols + (cols / group % 2 == 0 ? group : 0) : cols + 8;
  static constexpr int size = rows * stride;

  // Where an element lies. Backward, the rows that lanes t = 0 … 3 hold at the same time lie one behind the
  // other, and so do the pairs of columns.
  __device__ static constexpr int place_of(int row, int col) {
    if (Step::forward) return row * stride + col;
    return (row / group * group + row % 8 * 4 + row % group / 8) * stride + col / group * group +
           col % 8 / 2 * 8 + col % group / 8 * 2 + col % 2;
  }

  static constexpr int packet = Step::forward ? 8 : 2;  // neighbours in global and in shared memory
  static constexpr int packets = cols / packet;
  static constexpr int step_rows =  // that the block copies at a time: a power of two
      static_cast<int>(std::bit_floor(static_cast<unsigned>(fused_tensor_block::threads / packets)));

  __device__ static void copy(const Step& step, typename Step::element* w, float* bias) {
    using element = typename Step::element;
    constexpr int ld = leading_dimension<element>(used_cols);
    const int thread = static_cast<int>(threadIdx.x);
    const int first = static_cast<int>(threadIdx.x / unsigned{packets});
    const int col = static_cast<int>(threadIdx.x % unsigned{packets}) * packet;
    if (first < step_rows) {
      element* const to = w + place_of(first, col);
      const element* const from = step.w + first * ld + col;
      PLEXUS_UNROLL
      for (int row = 0; row < rows; row += step_rows) {
        element* const place = to + place_of(row, 0);  // first and row have no bits in common
        const bool is_row = row + step_rows <= used_rows || first + row < used_rows;
        if (is_row && is_column<used_cols>(col, used_cols)) {
          __pipeline_memcpy_async(place, from + row * ld, packet * sizeof(element));
        } else {
          PLEXUS_UNROLL
          for (int i = 0; i < packet; i += 2) *reinterpret_cast<unsigned*>(place + i) = 0;
        }
      }
    }
    if constexpr (Step::forward) {
      const bool has_bias = step.bias != nullptr && thread < Step::extent;
      stage_element(bias + thread, has_bias ? step.bias + thread : nullptr, has_bias);
    }
    __pipeline_commit();
  }

  // The operand B of depth group k and column group n: tile j, half h of the depth.
  __device__ static void read(const typename Step::element* w, int k, int n, unsigned (&b)[4][2][2]) {
    using at = fused_tensor_block;
    if constexpr (Step::forward) {
      w += (group * n + at::g() / 2 * 8 + at::g() % 2) * stride + group * k + 8 * at::t();
      PLEXUS_UNROLL
      for (int j = 0; j < 4; ++j) {
        const octet row = *reinterpret_cast<const octet*>(w + 2 * j * stride);
        PLEXUS_UNROLL
        for (int p = 0; p < 4; ++p) b[j][p / 2][p % 2] = row.pairs[p];
      }
    } else {
      w += group * k * stride + group * n;
      PLEXUS_UNROLL
      for (int p = 0; p < 4; ++p) {
        unsigned pairs[4];
        load_pairs(pairs, w + 8 * p * stride, stride);
        PLEXUS_UNROLL
        for (int j = 0; j < 4; ++j) b[j][p / 2][p % 2] = pairs[j];
      }
    }
  }
};

// The product with column group n, through the epilogue.
template <class Step>
__device__ void multiply_group(const Step& step, lane_place place, const typename Step::element* w,
                               const float* bias, int n, const warp_samples<Step::depth>& from,
                               warp_samples<Step::extent>& to) {
  using at = fused_tensor_block;
  using weights = staged_weights<Step>;
  float sums[2][4][4] = {};       // of rows 16·m …, tile j; they begin at the bias
  if constexpr (Step::forward) {  // the warp reads those of the group at once, and each lane takes its
                                  // columns'
    const float own = bias[at::group * n + at::lane()];
    PLEXUS_UNROLL
    for (int i = 0; i < 8; ++i) {
      const float bias_of_column = __shfl_sync(0xffffffffu, own, 8 * at::t() + i);
      PLEXUS_UNROLL
      for (int r = 0; r < 4; ++r) sums[r / 2][i / 2][r % 2 * 2 + i % 2] = bias_of_column;
    }
  }
  PLEXUS_UNROLL
  for (int k = 0; k < from.groups; ++k) {
    unsigned b[4][2][2];
    weights::read(w, k, n, b);
    PLEXUS_UNROLL
    for (int half = 0; half < 2; ++half) {
      PLEXUS_UNROLL
      for (int m = 0; m < 2; ++m) {
        const auto &upper = from.at[2 * m][k].pairs, &lower = from.at[2 * m + 1][k].pairs;
        const unsigned a[4] = {upper[2 * half], lower[2 * half], upper[2 * half + 1], lower[2 * half + 1]};
        PLEXUS_UNROLL
        for (int j = 0; j < 4; ++j)
          warp_product<typename Step::element>(sums[m][j], a, b[j][half], sums[m][j]);
      }
    }
  }

  PLEXUS_UNROLL
  for (int r = 0; r < 4; ++r) {
    float eight[8];
    PLEXUS_UNROLL
    for (int i = 0; i < 8; ++i) eight[i] = sums[r / 2][i / 2][r % 2 * 2 + i % 2];
    to.at[r][n] = step.epilogue(place, 8 * r, at::group * n, eight);
  }
}

template <int Width, class Step, class... Rest>
__device__ void take_tensor_steps(lane_place place, typename Step::element* w, float* bias,
                                  const warp_samples<Width>& from, const Step& step, const Rest&... rest) {
  __syncthreads();  // nobody reads the weights of the step before any more
  staged_weights<Step>::copy(step, w, bias);
  __pipeline_wait_prior(0);
  __syncthreads();
  warp_samples<Step::extent> to;
  PLEXUS_UNROLL
  for (int n = 0; n < to.groups; ++n) multiply_group(step, place, w, bias, n, from, to);
  if constexpr (sizeof...(Rest) > 0) take_tensor_steps(place, w, bias, to, rest...);
}

template <class... Steps>
inline constexpr int most_staged_weights = std::max({staged_weights<Steps>::size...});

template <class First, class... Rest>
__global__ void __launch_bounds__(fused_tensor_block::threads)
    fused_tensor_chain_kernel(matrix_view<const typename First::element> x, First first, Rest... rest) {
  using at = fused_tensor_block;
  alignas(16) __shared__ typename First::element w[most_staged_weights<First, Rest...>];
  __shared__ float bias[most_fused_width];
  static_assert(at::threads == most_fused_width, "a thread copies a bias");
  const int row =
      static_cast<int>(blockIdx.x) * at::rows + static_cast<int>(threadIdx.x) / 32 * at::warp_rows + at::g();
  const lane_place place{row, 8 * at::t(), x.rows - row};
  const lane_part<First::depth, const typename First::element> own(x.data, place);
  warp_samples<First::depth> samples;
  PLEXUS_UNROLL
  for (int r = 0; r < 4; ++r) {
    PLEXUS_UNROLL
    for (int c = 0; c < samples.groups; ++c) {
      samples.at[r][c] = own.load(8 * r, at::group * c);
    }
  }
  take_tensor_steps(place, w, bias, samples, first, rest...);
}

// Takes all samples x (n, depth of the first step) through the steps. x begins at a multiple of 16 bytes, its
// rows lie leading_dimension<T>() apart and are zero up to there.
template <class T, class... Steps>
void fused_tensor_chain(cudaStream_t stream, matrix_view<const T> x, const Steps&... steps) {
  const launch_shape shape{dim3(static_cast<unsigned>(divide_up(x.rows, fused_tensor_block::rows))),
                           dim3(fused_tensor_block::threads)};
  launch("launching a fused chain of layers on tensor cores", stream, shape,
         fused_tensor_chain_kernel<Steps...>, x, steps...);
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
