// GEMM in FP32: C = A·Bᵀ, A·B or Aᵀ·B, any size, alignment and leading dimension, any epilogue.
//
// A block computes a tile of C. It walks along the common dimension k; of each piece the block's threads bring the two
// operand tiles from global memory through registers into shared memory, and then each thread adds the outer products
// of its own thread_m rows and thread_n columns. Every element of C is one chain of multiply-adds in the order of k,
// whatever the tile: the bits depend neither on the tile nor on the other rows of a batch.
#pragma once

#include <plexus/core/launch.hpp>
#include <plexus/core/view.hpp>
#include <plexus/kernels/packet.hpp>

namespace plexus::inline PLEXUS_ABI {

// The three products of a dense layer: forward Z = X·Wᵀ, BP2 δ·W, BP4 δᵀ·X.
// Shapes: nt A(m,k) B(n,k); nn A(m,k) B(k,n); tn A(k,m) B(k,n); C(m,n).
enum class layout { nt, nn, tn };

namespace kernels {

// A tile says what of C a block and a thread compute, and how much of k is staged at a time.
struct large_gemm_tile {
  static constexpr int block_m = 128, block_n = 128, block_k = 8;
  static constexpr int thread_m = 8, thread_n = 8;
};
struct small_gemm_tile {
  static constexpr int block_m = 32, block_n = 32, block_k = 16;
  static constexpr int thread_m = 4, thread_n = 4;
};

// What follows from a tile. The 32 lanes of a warp stand 4 × 8 in the warp's part of C.
template <class Tile>
struct gemm_arrangement : Tile {
  static constexpr int lanes_m = 4, lanes_n = 8;
  static constexpr int warp_m = lanes_m * Tile::thread_m, warp_n = lanes_n * Tile::thread_n;
  static constexpr int warps_n = Tile::block_n / warp_n;
  static constexpr int threads = 32 * (Tile::block_m / warp_m) * warps_n;
  static_assert(Tile::thread_m % 4 == 0 && Tile::thread_n % 4 == 0, "a GEMM thread reads its operands by 128 bits");
  static_assert(Tile::block_m % warp_m == 0 && Tile::block_n % warp_n == 0, "a GEMM tile consists of whole warps");
};

// One operand's tile on its way through a thread's registers. The operand is seen as extent × depth: extent is m or n,
// depth is k. In shared memory depth k is row k, and along the extent the tile lies transposed in blocks of 4 × Lanes, so
// that a thread reads with one 128-bit load the four elements lane, lane + Lanes, lane + 2·Lanes, lane + 3·Lanes:
// neighbouring lanes then own neighbouring columns of C, and the epilogue's accesses are coalesced.
template <int Extent, int Depth, int Threads, int Lanes, bool DepthIsContiguous, int Vector>
class operand_tile {
  // Rows 4 mod 32 banks apart, with the orders of place() below, put the 32 lanes of a warp in 32 different banks
  // when they write, for vectors and single elements alike.
  static constexpr int sector = 8;  // elements that one access to global memory moves at least
  static constexpr int packets = Extent * Depth / (Threads * Vector);
  static_assert(Extent % 32 == 0 && Depth % sector == 0, "a GEMM tile covers whole rows of banks and whole sectors");
  static_assert(packets * Threads * Vector == Extent * Depth, "a GEMM tile is shared out evenly among its threads");

 public:
  static constexpr int stride = Extent + 4;
  static constexpr int size = Depth * stride;

  // From global memory; zeros where the tile at (first, k) overhangs the operand.
  __device__ void load(const matrix_view<const float>& operand, int first, int k) {
    for (int i = 0; i < packets; ++i) {
      const place at = place_of(i);
      const int row = DepthIsContiguous ? first + at.extent : k + at.depth;
      const int col = DepthIsContiguous ? k + at.depth : first + at.extent;
      packets_[i] = row < operand.rows && col < operand.cols ? load_packet<Vector>(operand.row(row) + col)
                                                             : packet<Vector>{};
    }
  }

  // Into shared memory.
  __device__ void store(float* shared) const {
    for (int i = 0; i < packets; ++i) {
      const place at = place_of(i);
      for (int v = 0; v < Vector; ++v) {
        const int depth = DepthIsContiguous ? at.depth + v : at.depth;
        const int extent = DepthIsContiguous ? at.extent : at.extent + v;
        shared[depth * stride + position_of(extent)] = packets_[i].at[v];
      }
    }
  }

 private:
  struct place {
    int extent, depth;
  };

  // Of the thread's i-th packet. A warp reads whole sectors: one of each of several rows where depth is contiguous
  // (extents counted in the order of their positions), 32 elements of several rows where the extent is.
  __device__ static place place_of(int i) {
    const int packet_index = static_cast<int>(threadIdx.x) + i * Threads;
    constexpr int lanes = (DepthIsContiguous ? sector : 32) / Vector;
    constexpr int rows = DepthIsContiguous ? Extent : Depth;
    const int lane = packet_index % lanes * Vector;
    const int row = packet_index / lanes % rows;
    const int group = packet_index / (lanes * rows);
    if constexpr (DepthIsContiguous) return {extent_at(row), group * sector + lane};
    return {group * 32 + lane, row};
  }

  // The transposition of 4 × Lanes blocks, and its inverse.
  __device__ static int position_of(int extent) {
    return extent / (4 * Lanes) * (4 * Lanes) + extent % Lanes * 4 + extent % (4 * Lanes) / Lanes;
  }
  __device__ static int extent_at(int position) {
    return position / (4 * Lanes) * (4 * Lanes) + position % 4 * Lanes + position % (4 * Lanes) / 4;
  }

  packet<Vector> packets_[packets];
};

template <layout L, class Tile, int Vector>
struct gemm_operands {
  using at = gemm_arrangement<Tile>;
  using a = operand_tile<at::block_m, at::block_k, at::threads, at::lanes_m, L != layout::tn, Vector>;
  using b = operand_tile<at::block_n, at::block_k, at::threads, at::lanes_n, L == layout::nt, Vector>;
};

// A thread's part of C: rows row() + 4·i and columns col() + 8·j of its block's tile.
template <class Tile>
class gemm_accumulators {
  using at = gemm_arrangement<Tile>;

 public:
  __device__ gemm_accumulators() {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int warp = static_cast<int>(threadIdx.x) / 32;
    warp_row_ = warp / at::warps_n * at::warp_m;
    warp_col_ = warp % at::warps_n * at::warp_n;
    lane_row_ = lane / at::lanes_n;
    lane_col_ = lane % at::lanes_n;
  }

  // Adds the product of two staged tiles, one outer product for every k.
  template <class Operands>
  __device__ void multiply_add(const float* a, const float* b) {
    a += warp_row_ + 4 * lane_row_;
    b += warp_col_ + 4 * lane_col_;
    for (int k = 0; k < at::block_k; ++k) {
      float fragment_a[at::thread_m];
      float fragment_b[at::thread_n];
      read(fragment_a, a + k * Operands::a::stride, 4 * at::lanes_m);
      read(fragment_b, b + k * Operands::b::stride, 4 * at::lanes_n);
      for (int i = 0; i < at::thread_m; ++i) {
        for (int j = 0; j < at::thread_n; ++j) sums_[i][j] += fragment_a[i] * fragment_b[j];
      }
    }
  }

  // Hands every element inside C to the epilogue, the tile beginning at (first_row, first_col).
  template <class Epilogue>
  __device__ void finish(int first_row, int first_col, const Epilogue& epilogue) const {
    for (int i = 0; i < at::thread_m; ++i) {
      const int row = first_row + warp_row_ + lane_row_ + i * at::lanes_m;
      for (int j = 0; j < at::thread_n; ++j) {
        const int col = first_col + warp_col_ + lane_col_ + j * at::lanes_n;
        if (row < epilogue.c.rows && col < epilogue.c.cols) epilogue(row, col, sums_[i][j]);
      }
    }
  }

 private:
  template <int Count>
  __device__ static void read(float (&fragment)[Count], const float* shared, int step) {
    for (int i = 0; i < Count; i += 4) {
      const packet<4> four = load_packet<4>(shared + i / 4 * step);
      for (int v = 0; v < 4; ++v) fragment[i + v] = four.at[v];
    }
  }

  int warp_row_, warp_col_, lane_row_, lane_col_;
  float sums_[at::thread_m][at::thread_n] = {};
};

template <layout L, class Tile, int Vector, class Epilogue>
__global__ void __launch_bounds__(gemm_arrangement<Tile>::threads)
    gemm_kernel(matrix_view<const float> a, matrix_view<const float> b, Epilogue epilogue) {
  using operands = gemm_operands<L, Tile, Vector>;
  alignas(16) __shared__ float shared_a[2][operands::a::size];
  alignas(16) __shared__ float shared_b[2][operands::b::size];

  const int k = L == layout::tn ? a.rows : a.cols;
  const int blocks_n = divide_up(epilogue.c.cols, Tile::block_n);
  const int first_row = static_cast<int>(blockIdx.x) / blocks_n * Tile::block_m;
  const int first_col = static_cast<int>(blockIdx.x) % blocks_n * Tile::block_n;

  typename operands::a tile_a;
  typename operands::b tile_b;
  gemm_accumulators<Tile> sums;
  tile_a.load(a, first_row, 0);
  tile_b.load(b, first_col, 0);
  for (int first_k = 0, stage = 0; first_k < k; first_k += Tile::block_k, stage ^= 1) {
    tile_a.store(shared_a[stage]);
    tile_b.store(shared_b[stage]);
    // One barrier a step is enough: whoever overwrites a stage has passed the barrier of the other stage, and that
    // one comes after everybody's reads of this.
    __syncthreads();
    tile_a.load(a, first_row, first_k + Tile::block_k);  // in flight during the arithmetic
    tile_b.load(b, first_col, first_k + Tile::block_k);
    sums.template multiply_add<operands>(shared_a[stage], shared_b[stage]);
  }
  sums.finish(first_row, first_col, epilogue);
}

template <layout L, class Tile, class Epilogue>
void launch_gemm(cudaStream_t stream, matrix_view<const float> a, matrix_view<const float> b, const Epilogue& epilogue) {
  const auto blocks = static_cast<unsigned>(divide_up(epilogue.c.rows, Tile::block_m)) *
                      static_cast<unsigned>(divide_up(epilogue.c.cols, Tile::block_n));
  const launch_shape shape{dim3(blocks), dim3(static_cast<unsigned>(gemm_arrangement<Tile>::threads))};
  constexpr const char* name = "launching a GEMM";
  if (in_packets<4>(a) && in_packets<4>(b)) {
    launch(name, stream, shape, gemm_kernel<L, Tile, 4, Epilogue>, a, b, epilogue);
  } else {
    launch(name, stream, shape, gemm_kernel<L, Tile, 1, Epilogue>, a, b, epilogue);
  }
}

// Large tiles read shared memory and the operands least; small ones make blocks enough to fill a device where the
// product is too small for that.
template <layout L, class Epilogue>
void gemm(cudaStream_t stream, matrix_view<const float> a, matrix_view<const float> b, const Epilogue& epilogue) {
  constexpr long long blocks_to_fill_a_device = 64;
  const long long large_blocks = static_cast<long long>(divide_up(epilogue.c.rows, large_gemm_tile::block_m)) *
                                 divide_up(epilogue.c.cols, large_gemm_tile::block_n);
  if (large_blocks >= blocks_to_fill_a_device) {
    launch_gemm<L, large_gemm_tile>(stream, a, b, epilogue);
  } else {
    launch_gemm<L, small_gemm_tile>(stream, a, b, epilogue);
  }
}

}  // namespace kernels
}  // namespace plexus::inline PLEXUS_ABI
