// GEMM in FP32: C = A·Bᵀ, A·B or Aᵀ·B, any size, alignment and leading dimension, any epilogue.
//
// A block computes a tile of C. It walks along the common dimension k; of each piece the block's threads
// bring the two operand tiles from global memory through registers into shared memory, and then each thread
// adds the outer products of its own thread_m rows and thread_n columns. Every element of C is one chain of
// multiply-adds in the order of k, whatever the tile: the bits depend neither on the tile nor on the other
// rows of a batch.
#pragma once

#include <plexus/core/launch.hpp>
#include <plexus/core/view.hpp>
#include <plexus/kernels/packet.hpp>

#include <bit>
#include <cstddef>

namespace plexus::inline PLEXUS_ABI {

// The three products of a dense layer: forward Z = X·Wᵀ, BP2 δ·W, BP4 δᵀ·X.
// Shapes: nt A(m,k) B(n,k); nn A(m,k) B(k,n); tn A(k,m) B(k,n); C(m,n).
enum class layout { nt, nn, tn };

namespace kernels {

// A tile says what of C a block and a thread compute, and how much of k is staged at a time.
struct large_gemm_tile {
  static constexpr int block_m = 128, block_n = 128, block_k = 8;
  static constexpr int thread_m = 8, thread_n = 8;
  static constexpr int resident_blocks = 2;  // blocks that a multiprocessor's registers must hold
};
struct small_gemm_tile {
  static constexpr int block_m = 32, block_n = 32, block_k = 16;
  static constexpr int thread_m = 4, thread_n = 4;
  static constexpr int resident_blocks = 8;
};

// What follows from a tile. The 32 lanes of a warp stand 4 × 8 in the warp's part of C.
template <class Tile>
struct gemm_arrangement : Tile {
  static constexpr int lanes_m = 4, lanes_n = 8;
  static constexpr int warp_m = lanes_m * Tile::thread_m, warp_n = lanes_n * Tile::thread_n;
  static constexpr int warps_n = Tile::block_n / warp_n;
  static constexpr int threads = 32 * (Tile::block_m / warp_m) * warps_n;
  static_assert(Tile::thread_m % 4 == 0 && Tile::thread_n % 4 == 0,
                "a GEMM thread reads its operands by 128 bits");
  static_assert(Tile::block_m % warp_m == 0 && Tile::block_n % warp_n == 0,
                "a GEMM tile consists of whole warps");
};

// One operand's way from global through a thread's registers into shared memory, a tile at a time along k.
// The operand is seen as extent × depth: extent is m or n, depth is k. In shared memory depth k is row k, and
// along the extent the tile lies transposed in blocks of 4 × Lanes, so that a thread reads with one 128-bit
// load the four elements lane, lane + Lanes, lane + 2·Lanes, lane + 3·Lanes: neighbouring lanes then own
// neighbouring columns of C, and the epilogue's accesses are coalesced.
template <int Extent, int Depth, int Threads, int Lanes, bool DepthIsContiguous, int Vector>
class operand_loader {
  static constexpr int sector = 8;  // floats that one access to global memory moves at least
  static constexpr int packets = Extent * Depth / (Threads * Vector);
  static_assert(Extent % 32 == 0 && Depth % sector == 0,
                "a GEMM tile covers whole rows of banks and whole sectors");
  static_assert(std::has_single_bit(unsigned{Extent}) && std::has_single_bit(unsigned{Depth}) &&
                    std::has_single_bit(unsigned{Threads}) && packets > 0,
                "place_of() below adds up over the bits of its argument");

 public:
  // Rows 4 mod 32 banks apart, with the orders of place_of(), put the 32 lanes of a warp into 32 different
  // banks when they write, packets and single elements alike.
  static constexpr int stride = Extent + 4;
  static constexpr int size = Depth * stride;

  // Begins at element `first` of the extent and at depth 0.
  __device__ operand_loader(const matrix_view<const float>& operand, int first) : ld_(operand.ld) {
    const place at = place_of(static_cast<int>(threadIdx.x));
    extent_left_ = (DepthIsContiguous ? operand.rows : operand.cols) - first - at.extent;
    depth_left_ = (DepthIsContiguous ? operand.cols : operand.rows) - at.depth;
    from_ = operand.data + offset({first + at.extent, at.depth});
    to_ = at.depth * stride + position_of(at.extent);
  }

  // The next tile from global memory; zeros where it overhangs the operand.
  __device__ void load() {
    PLEXUS_UNROLL
    for (int i = 0; i < packets; ++i) {
      const place at = place_of(i * Threads);
      const bool inside = at.extent < extent_left_ && at.depth < depth_left_;
      packets_[i] = inside ? load_packet<Vector>(from_ + offset(at)) : packet<Vector>{};
    }
    from_ += offset({0, Depth});
    depth_left_ -= Depth;
  }

  // The tile last loaded, into shared memory.
  __device__ void store(float* shared) const {
    PLEXUS_UNROLL
    for (int i = 0; i < packets; ++i) {
      const place at = place_of(i * Threads);
      PLEXUS_UNROLL
      for (int v = 0; v < Vector; ++v) {
        const place element =
            DepthIsContiguous ? place{at.extent, at.depth + v} : place{at.extent + v, at.depth};
        shared[to_ + element.depth * stride + position_of(element.extent)] = packets_[i].at[v];
      }
    }
  }

 private:
  struct place {
    int extent, depth;
  };

  // Of the tile's packets, in the order of the threads. A warp reads whole sectors: one of each of several
  // rows where the depth is contiguous (extents in the order of their positions), 32 elements of several rows
  // where the extent is. Every bit of the index is one bit of the place, so place_of(thread + i·Threads) =
  // place_of(thread) + place_of(i·Threads), the last a constant.
  __device__ static constexpr place place_of(int index) {
    constexpr int lanes = (DepthIsContiguous ? sector : 32) / Vector;
    constexpr int rows = DepthIsContiguous ? Extent : Depth;
    const int lane = index % lanes * Vector;
    const int row = index / lanes % rows;
    const int group = index / (lanes * rows);
    if constexpr (DepthIsContiguous) return {extent_at(row), group * sector + lane};
    return {group * 32 + lane, row};
  }

  // The transposition of 4 × Lanes blocks, and its inverse.
  __device__ static constexpr int position_of(int extent) {
    return extent / (4 * Lanes) * (4 * Lanes) + extent % Lanes * 4 + extent % (4 * Lanes) / Lanes;
  }
  __device__ static constexpr int extent_at(int position) {
    return position / (4 * Lanes) * (4 * Lanes) + position % 4 * Lanes + position % (4 * Lanes) / 4;
  }

  __device__ std::ptrdiff_t offset(place at) const {
    return DepthIsContiguous ? static_cast<std::ptrdiff_t>(at.extent) * ld_ + at.depth
                             : static_cast<std::ptrdiff_t>(at.depth) * ld_ + at.extent;
  }

  const float* from_;  // the thread's first packet of the next tile
  int ld_;
  int extent_left_, depth_left_;  // elements from there to the operand's end
  int to_;                        // where that packet goes in shared memory
  packet<Vector> packets_[packets];
};

template <layout L, class Tile, int Vector>
struct gemm_operands {
  using at = gemm_arrangement<Tile>;
  using a = operand_loader<at::block_m, at::block_k, at::threads, at::lanes_m, L != layout::tn, Vector>;
  using b = operand_loader<at::block_n, at::block_k, at::threads, at::lanes_n, L == layout::nt, Vector>;
};

// A thread's part of C: rows row() + 4·i and columns col() + 8·j of its block's tile.
template <class Tile>
class gemm_accumulators {
  using at = gemm_arrangement<Tile>;

 public:
  // Adds the product of two staged tiles, one outer product for every k.
  template <class Operands>
  __device__ void multiply_add(const float* a, const float* b) {
    a += warp_row() + 4 * lane_row();
    b += warp_col() + 4 * lane_col();
    PLEXUS_UNROLL
    for (int k = 0; k < at::block_k; ++k) {
      float fragment_a[at::thread_m];
      float fragment_b[at::thread_n];
      read(fragment_a, a + k * Operands::a::stride, 4 * at::lanes_m);
      read(fragment_b, b + k * Operands::b::stride, 4 * at::lanes_n);
      PLEXUS_UNROLL
      for (int i = 0; i < at::thread_m; ++i) {
        PLEXUS_UNROLL
        for (int j = 0; j < at::thread_n; ++j) sums_[i][j] += fragment_a[i] * fragment_b[j];
      }
    }
  }

  // Hands every element inside C to the epilogue, the tile beginning at (first_row, first_col).
  template <class Epilogue>
  __device__ void finish(int first_row, int first_col, const Epilogue& epilogue) const {
    PLEXUS_UNROLL
    for (int i = 0; i < at::thread_m; ++i) {
      const int row = first_row + warp_row() + lane_row() + i * at::lanes_m;
      PLEXUS_UNROLL
      for (int j = 0; j < at::thread_n; ++j) {
        const int col = first_col + warp_col() + lane_col() + j * at::lanes_n;
        if (row < epilogue.c.rows && col < epilogue.c.cols) epilogue(row, col, sums_[i][j]);
      }
    }
  }

 private:
  template <int Count>
  __device__ static void read(float (&fragment)[Count], const float* shared, int step) {
    PLEXUS_UNROLL
    for (int i = 0; i < Count; i += 4) {
      const packet<4> four = load_packet<4>(shared + i / 4 * step);
      PLEXUS_UNROLL
      for (int v = 0; v < 4; ++v) fragment[i + v] = four.at[v];
    }
  }

  __device__ static int warp_row() { return static_cast<int>(threadIdx.x / 32 / at::warps_n) * at::warp_m; }
  __device__ static int warp_col() { return static_cast<int>(threadIdx.x / 32 % at::warps_n) * at::warp_n; }
  __device__ static int lane_row() { return static_cast<int>(threadIdx.x % 32 / at::lanes_n); }
  __device__ static int lane_col() { return static_cast<int>(threadIdx.x % at::lanes_n); }

  float sums_[at::thread_m][at::thread_n] = {};
};

template <layout L, class Tile, int Vector, class Epilogue>
__global__ void __launch_bounds__(gemm_arrangement<Tile>::threads, Tile::resident_blocks)
    gemm_kernel(matrix_view<const float> a, matrix_view<const float> b, Epilogue epilogue) {
  using operands = gemm_operands<L, Tile, Vector>;
  alignas(16) __shared__ float shared_a[2][operands::a::size];
  alignas(16) __shared__ float shared_b[2][operands::b::size];

  const int k = L == layout::tn ? a.rows : a.cols;
  const int blocks_n = divide_up(epilogue.c.cols, Tile::block_n);
  const int first_row = static_cast<int>(blockIdx.x) / blocks_n * Tile::block_m;
  const int first_col = static_cast<int>(blockIdx.x) % blocks_n * Tile::block_n;

  typename operands::a loader_a(a, first_row);
  typename operands::b loader_b(b, first_col);
  gemm_accumulators<Tile> sums;
  loader_a.load();
  loader_b.load();
  for (int first_k = 0, stage = 0; first_k < k; first_k += Tile::block_k, stage ^= 1) {
    loader_a.store(shared_a[stage]);
    loader_b.store(shared_b[stage]);
    // One barrier a step is enough: whoever overwrites a stage has passed the barrier of the other stage, and
    // that one comes after everybody's reads of this.
    __syncthreads();
    loader_a.load();  // in flight during the arithmetic
    loader_b.load();
    sums.template multiply_add<operands>(shared_a[stage], shared_b[stage]);
  }
  sums.finish(first_row, first_col, epilogue);
}

template <layout L, class Tile, int Vector, class Epilogue>
void launch_gemm_by(cudaStream_t stream, matrix_view<const float> a, matrix_view<const float> b,
                    const Epilogue& epilogue) {
  const auto blocks = static_cast<unsigned>(divide_up(epilogue.c.rows, Tile::block_m)) *
                      static_cast<unsigned>(divide_up(epilogue.c.cols, Tile::block_n));
  const launch_shape shape{dim3(blocks), dim3(static_cast<unsigned>(gemm_arrangement<Tile>::threads))};
  launch("launching a GEMM", stream, shape, gemm_kernel<L, Tile, Vector, Epilogue>, a, b, epilogue);
}

// Loads by 128 bits where both operands allow it.
template <layout L, class Tile, class Epilogue>
void launch_gemm(cudaStream_t stream, matrix_view<const float> a, matrix_view<const float> b,
                 const Epilogue& epilogue) {
  if (in_packets<4>(a) && in_packets<4>(b)) {
    launch_gemm_by<L, Tile, 4>(stream, a, b, epilogue);
  } else {
    launch_gemm_by<L, Tile, 1>(stream, a, b, epilogue);
  }
}

// Large tiles read shared memory and the operands least; small ones make blocks enough to fill a device where
// the product is too small for that. To a CPU neither tile nor width of a load matters, so that one kernel is
// compiled.
template <layout L, class Epilogue>
void gemm(cudaStream_t stream, matrix_view<const float> a, matrix_view<const float> b,
          const Epilogue& epilogue) {
  if constexpr (platform::on_cpu) {
    launch_gemm_by<L, small_gemm_tile, 1>(stream, a, b, epilogue);
  } else {
    constexpr long long blocks_to_fill_a_device = 64;
    const long long large_blocks =
        static_cast<long long>(divide_up(epilogue.c.rows, large_gemm_tile::block_m)) *
        divide_up(epilogue.c.cols, large_gemm_tile::block_n);
    if (large_blocks >= blocks_to_fill_a_device) {
      launch_gemm<L, large_gemm_tile>(stream, a, b, epilogue);
    } else {
      launch_gemm<L, small_gemm_tile>(stream, a, b, epilogue);
    }
  }
}

}  // namespace kernels
}  // namespace plexus::inline PLEXUS_ABI
