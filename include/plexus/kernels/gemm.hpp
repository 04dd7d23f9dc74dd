// GEMM in FP32: C = A·Bᵀ, A·B or Aᵀ·B, any size, alignment and leading dimension, any epilogue.
//
// A block computes a tile of C. It walks along the common dimension k; of each piece the block's threads
// bring the two operand tiles into shared memory, one stage of two, while each thread adds the outer products
// of its own thread_m rows and thread_n columns from the other stage. Every element of C is one chain of
// multiply-adds in the order of k, whatever the tile: the bits depend neither on the tile nor on the other
// rows of a batch. (A product in slices adds the chains of its slices, in their order.)
#pragma once

#include <plexus/core/launch.hpp>
#include <plexus/core/view.hpp>
#include <plexus/kernels/packet.hpp>
#include <plexus/kernels/slices.hpp>

#include <bit>
#include <concepts>
#include <cstddef>
#include <type_traits>

namespace plexus::inline PLEXUS_ABI {

// The three products of a dense layer: forward Z = X·Wᵀ, BP2 δ·W, BP4 δᵀ·X.
// Shapes: nt A(m,k) B(n,k); nn A(m,k) B(k,n); tn A(k,m) B(k,n); C(m,n).
enum class layout { nt, nn, tn };

namespace kernels {

// A tile says what of C a block and a thread compute, how much of k is staged at a time, and how many blocks
// a multiprocessor's registers must hold.
struct wide_gemm_tile {
  static constexpr int block_m = 128, block_n = 256, block_k = 8;
  static constexpr int thread_m = 8, thread_n = 16;
  static constexpr int resident_blocks = 1;
};
struct large_gemm_tile {
  static constexpr int block_m = 128, block_n = 128, block_k = 8;
  static constexpr int thread_m = 8, thread_n = 8;
  static constexpr int resident_blocks = 2;
};
struct medium_gemm_tile {
  static constexpr int block_m = 64, block_n = 64, block_k = 8;
  static constexpr int thread_m = 8, thread_n = 4;
  static constexpr int resident_blocks = 4;
};
struct small_gemm_tile {
  static constexpr int block_m = 32, block_n = 32, block_k = 16;
  static constexpr int thread_m = 4, thread_n = 4;
  static constexpr int resident_blocks = 8;
};
// Products of few columns or few rows. The long operand is read once, at the pace of memory, with which even
// a tile of which half idles keeps up.
struct tall_gemm_tile {
  static constexpr int block_m = 128, block_n = 32, block_k = 16;
  static constexpr int thread_m = 8, thread_n = 4;
  static constexpr int resident_blocks = 4;
};
struct flat_gemm_tile {
  static constexpr int block_m = 32, block_n = 128, block_k = 16;
  static constexpr int thread_m = 4, thread_n = 8;
  static constexpr int resident_blocks = 4;
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

// In shared memory an operand's piece is depth × extent: extent is m or n, depth is k. Along the extent it
// lies transposed in blocks of 4 × Lanes, so that a thread reads with one 128-bit load the four elements
// lane, lane + Lanes, lane + 2·Lanes, lane + 3·Lanes: neighbouring lanes then own neighbouring columns of C,
// and the epilogue's accesses are coalesced. Rows 4 mod 32 banks apart put a warp's 32 floats into 32
// different banks when it writes them, be they 32 neighbours of one row or 4 of each of 8 rows.
template <int Extent, int Depth, int Lanes>
struct staged_piece {
  static_assert(Extent % 32 == 0 && std::has_single_bit(unsigned{Extent}),
                "a GEMM tile covers whole rows of banks, and places are permutations of bits");
  static constexpr int depth = Depth;
  static constexpr int stride = Extent + 4;
  static constexpr int size = Depth * stride;

  __device__ static constexpr int place_of(int extent, int k) {
    return k * stride + extent / block * block + extent % Lanes * 4 + extent % block / Lanes;
  }
  // The extents in the order of their places.
  __device__ static constexpr int extent_at(int index) {
    return index / block * block + index % 4 * Lanes + index % block / 4;
  }

 private:
  static constexpr int block = 4 * Lanes;
};

// What the main loop asks of an operand's way into shared memory. A loader begins where its part of the depth
// does and walks along it, a piece at a time. (A convolution gives one that finds the elements of its
// patches.)
template <class Loader>
concept operand_loader = requires(Loader loader, float* shared, int depths) {
  { Loader::piece::stride + Loader::piece::size } -> std::convertible_to<int>;
  loader.load_first(shared, depths);  // `depths` of the first piece, and zeros behind them
  loader.fetch();                     // begins to bring the next piece
  loader.land(shared);                // and ends it
};

// Loads a matrix by 128 bits where its rows consist of whole, aligned packets, else float by float. What a
// piece holds goes through registers, in flight during the arithmetic: so the transposition costs nothing,
// which asynchronous copies would make float by float. Source says which packets are the thread's own:
//   count          how many of a piece
//   at(i)          where the i-th begins
//   has(v)         whether its float v is one of the operand's, beyond whose edge are zeros
//   place(i)       where its first float goes in shared memory, the others `step` after each other
//   depth(i, v)    at which depth of the piece float v lies
//   move(depths)   moves all along the depth
template <class Source>
class packet_loader {
 public:
  using piece = typename Source::piece;

  // Begins at element `first` of the extent. Beyond the operand's edge its last packet is loaded again: what
  // comes of it lies outside C, and the loads need no predicates.
  __device__ packet_loader(const matrix_view<const float>& operand, int first)
      : source_(operand, first), whole_packets_(in_packets<4>(operand)) {}

  __device__ void load_first(float* shared, int depths) {
    PLEXUS_UNROLL
    for (int i = 0; i < Source::count; ++i) {
      PLEXUS_UNROLL
      for (int v = 0; v < 4; ++v) {
        const bool is_there = source_.depth(i, v) < depths && source_.has(v);
        shared[source_.place(i) + v * Source::step] = is_there ? source_.at(i)[v] : 0.0f;
      }
    }
    source_.move(depths);
  }

  __device__ void fetch() {
    if (whole_packets_) {
      PLEXUS_UNROLL
      for (int i = 0; i < Source::count; ++i) in_flight_[i] = load_packet<4>(source_.at(i));
    } else {
      PLEXUS_UNROLL
      for (int i = 0; i < Source::count; ++i) {
        PLEXUS_UNROLL
        for (int v = 0; v < 4; ++v) in_flight_[i].at[v] = source_.has(v) ? source_.at(i)[v] : 0.0f;
      }
    }
    source_.move(piece::depth);
  }

  __device__ void land(float* shared) const {
    PLEXUS_UNROLL
    for (int i = 0; i < Source::count; ++i) {
      PLEXUS_UNROLL
      for (int v = 0; v < 4; ++v) shared[source_.place(i) + v * Source::step] = in_flight_[i].at[v];
    }
  }

 private:
  Source source_;
  bool whole_packets_;
  packet<4> in_flight_[Source::count];  // fetched and not yet landed
};

// An operand (extent, depth): the depth is contiguous. Two threads read one sector of a row, a warp sixteen
// rows, in the order of their places: its floats v go into 32 different banks.
template <int Extent, int Depth, int Threads, int Lanes>
class along_depth {
  static constexpr int sector = 8;  // floats that one access to global memory moves at least
  static constexpr int packets = Extent * Depth / 4;
  static_assert(Depth % sector == 0 && packets % Threads == 0, "a GEMM piece consists of whole sectors");

 public:
  using piece = staged_piece<Extent, Depth, Lanes>;
  static constexpr int count = packets / Threads;
  static constexpr int step = piece::stride;

  __device__ along_depth(const matrix_view<const float>& operand, int first) {
    const int row = extent_of(static_cast<int>(threadIdx.x));
    depth_ = depth_of(static_cast<int>(threadIdx.x));
    place_ = piece::place_of(row, depth_);
    PLEXUS_UNROLL
    for (int i = 0; i < rows; ++i) {
      const int extent = first + row + extent_of(i * Threads);
      from_[i] = operand.row(extent < operand.rows ? extent : operand.rows - 1) + depth_;
    }
  }

  __device__ const float* at(int i) const { return from_[i % rows] + depth_of(i * Threads); }
  __device__ static constexpr bool has(int) { return true; }
  // Every bit of a packet's number is one bit of its place, so the thread's and the i-th's add up.
  __device__ int place(int i) const {
    return place_ + piece::place_of(extent_of(i * Threads), depth_of(i * Threads));
  }
  __device__ int depth(int i, int v) const { return depth_ + depth_of(i * Threads) + v; }
  __device__ void move(int depths) {
    PLEXUS_UNROLL
    for (int i = 0; i < rows; ++i) from_[i] += depths;
  }

 private:
  static constexpr int rows = 2 * Extent > Threads ? 2 * Extent / Threads : 1;  // of a thread
  __device__ static constexpr int extent_of(int packet) { return piece::extent_at(packet / 2 % Extent); }
  __device__ static constexpr int depth_of(int packet) {
    return packet % 2 * 4 + packet / (2 * Extent) * sector;
  }

  const float* from_[rows];
  int depth_, place_;
};

// An operand (depth, extent): the extent is contiguous. A warp reads 32 neighbours of each of four rows: its
// floats v go into 32 different banks.
template <int Extent, int Depth, int Threads, int Lanes>
class along_extent {
  static constexpr int rows = 4 * (Threads / Extent);  // of the piece, that the block's threads cover at once
  static_assert(Threads % Extent == 0 && Depth % rows == 0, "a GEMM block loads whole rows of a piece");

 public:
  using piece = staged_piece<Extent, Depth, Lanes>;
  static constexpr int count = Depth / rows;
  static constexpr int step = 4;

  __device__ along_extent(const matrix_view<const float>& operand, int first) : ld_(operand.ld) {
    const auto packet = static_cast<int>(threadIdx.x);
    const int col = packet % 8 * 4 + packet / 32 * 32 % Extent;
    depth_ = packet / 8 % 4 + packet / Extent * 4;
    place_ = piece::place_of(col, depth_);
    const int last_packet = (operand.cols - 1) / 4 * 4;
    const int begin = first + col < last_packet ? first + col : last_packet;
    last_ = operand.cols - 1 - begin;
    from_ = operand.row(depth_) + begin;
  }

  __device__ const float* at(int i) const { return from_ + i * rows * ld_; }
  __device__ bool has(int v) const { return v <= last_; }
  __device__ int place(int i) const { return place_ + i * rows * piece::stride; }
  __device__ int depth(int i, int) const { return depth_ + i * rows; }
  __device__ void move(int depths) { from_ += depths * ld_; }

 private:
  const float* from_;
  std::ptrdiff_t ld_;
  int depth_, place_, last_;
};

template <layout L, class Tile>
struct gemm_operands {
  using at = gemm_arrangement<Tile>;
  template <bool DepthIsContiguous, int Extent, int Lanes>
  using loader = packet_loader<
      std::conditional_t<DepthIsContiguous, along_depth<Extent, at::block_k, at::threads, Lanes>,
                         along_extent<Extent, at::block_k, at::threads, Lanes>>>;
  using a = loader<L != layout::tn, at::block_m, at::lanes_m>;
  using b = loader<L == layout::nt, at::block_n, at::lanes_n>;
};

// A thread's part of C: rows row() + 4·i and columns col() + 8·j of its block's tile.
template <class Tile>
class gemm_accumulators {
  using at = gemm_arrangement<Tile>;

 public:
  // Adds the product of two staged pieces, one outer product for every k.
  template <int StrideA, int StrideB>
  __device__ void multiply_add(const float* a, const float* b) {
    a += warp_row() + 4 * lane_row();
    b += warp_col() + 4 * lane_col();
    PLEXUS_UNROLL
    for (int k = 0; k < at::block_k; ++k) {
      float fragment_a[at::thread_m];
      float fragment_b[at::thread_n];
      read(fragment_a, a + k * StrideA, 4 * at::lanes_m);
      read(fragment_b, b + k * StrideB, 4 * at::lanes_n);
      PLEXUS_UNROLL
      for (int outer = 0; outer < (by_rows ? at::thread_m : at::thread_n); ++outer) {
        PLEXUS_UNROLL
        for (int inner = 0; inner < (by_rows ? at::thread_n : at::thread_m); ++inner) {
          const int i = by_rows ? outer : inner, j = by_rows ? inner : outer;
          sums_[i][j] += fragment_a[i] * fragment_b[j];
        }
      }
    }
  }

  // Hands every element inside C (rows, cols) to the epilogue, the tile beginning at (first_row, first_col).
  // The epilogue counts C's rows from `offset` on.
  template <class Epilogue>
  __device__ void finish(int first_row, int first_col, int rows, int cols, int offset,
                         const Epilogue& epilogue) const {
    PLEXUS_UNROLL
    for (int i = 0; i < at::thread_m; ++i) {
      const int row = first_row + warp_row() + lane_row() + i * at::lanes_m;
      PLEXUS_UNROLL
      for (int j = 0; j < at::thread_n; ++j) {
        const int col = first_col + warp_col() + lane_col() + j * at::lanes_n;
        if (row < rows && col < cols) epilogue(offset + row, col, sums_[i][j]);
      }
    }
  }

 private:
  // The order of an outer product in which the assembler finds registers enough: another since sm_80. A CPU's
  // compiler vectorises along the rows.
  static constexpr bool by_rows = platform::on_cpu || !platform::has_bf16_and_tf32_mma;

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

// Adds to `sums` the products of two operands along all k of them. A piece of less than block_k comes first,
// so that the loads of all others need no predicates.
template <class Tile, operand_loader LoaderA, operand_loader LoaderB>
__device__ void multiply_operands(LoaderA a, LoaderB b, int k, gemm_accumulators<Tile>& sums) {
  alignas(16) __shared__ float shared_a[2][LoaderA::piece::size];
  alignas(16) __shared__ float shared_b[2][LoaderB::piece::size];
  int pieces = divide_up(k, Tile::block_k);
  if (pieces == 0) return;
  a.load_first(shared_a[0], k - (pieces - 1) * Tile::block_k);
  b.load_first(shared_b[0], k - (pieces - 1) * Tile::block_k);
  __syncthreads();
  const auto multiply = [&](int stage) {
    sums.template multiply_add<LoaderA::piece::stride, LoaderB::piece::stride>(shared_a[stage],
                                                                               shared_b[stage]);
  };
  const auto fetch_and_multiply = [&](int stage) {
    a.fetch();  // in flight during the arithmetic
    b.fetch();
    multiply(stage);
    a.land(shared_a[1 - stage]);
    b.land(shared_b[1 - stage]);
    // One barrier a piece is enough: whoever overwrites a stage has passed the barrier of the other stage,
    // and that one comes after everybody's reads of this.
    __syncthreads();
  };
  for (; pieces > 1; pieces -= 2) {  // both stages in turn: where they lie are constants then
    fetch_and_multiply(0);
    if (pieces == 2) break;
    fetch_and_multiply(1);
  }
  multiply(pieces - 1);
}

// The depths of an operand that belong to a slice.
template <bool DepthIsContiguous>
__device__ matrix_view<const float> part_of(const matrix_view<const float>& x, slice_range depths) {
  const int count = depths.end - depths.begin;
  if constexpr (DepthIsContiguous) return {x.data + depths.begin, x.rows, count, x.ld};
  return {x.row(depths.begin), count, x.cols, x.ld};
}

// Computes the tile of a product that begins at (first_row, first_col); of element (i, j), the epilogue gets
// (offset + i, j).
template <layout L, class Tile, class Epilogue>
__device__ void multiply_tile(const matrix_view<const float>& a, const matrix_view<const float>& b,
                              int first_row, int first_col, int offset, const Epilogue& epilogue) {
  const int m = L == layout::tn ? a.cols : a.rows;
  const int n = L == layout::nt ? b.rows : b.cols;
  const int k = L == layout::tn ? a.rows : a.cols;
  using operands = gemm_operands<L, Tile>;
  gemm_accumulators<Tile> sums;
  multiply_operands(typename operands::a(a, first_row), typename operands::b(b, first_col), k, sums);
  sums.finish(first_row, first_col, m, n, offset, epilogue);
}

// Block (i, j, s) computes tile (i, j) of the product of slice s. The slices' results follow each other: of
// slice s, the epilogue gets element (i, j) as (s·m + i, j).
template <layout L, class Tile, class Epilogue>
__global__ void __launch_bounds__(gemm_arrangement<Tile>::threads, Tile::resident_blocks)
    gemm_kernel(matrix_view<const float> a, matrix_view<const float> b, int slice_depth, Epilogue epilogue) {
  const int slice = static_cast<int>(blockIdx.z);
  const slice_range depths = slice_of(L == layout::tn ? a.rows : a.cols, slice, slice_depth);
  multiply_tile<L, Tile>(part_of<L != layout::tn>(a, depths), part_of<L == layout::nt>(b, depths),
                         static_cast<int>(blockIdx.x) * Tile::block_m,
                         static_cast<int>(blockIdx.y) * Tile::block_n,
                         slice * (L == layout::tn ? a.cols : a.rows), epilogue);
}

// With more slices than one, the epilogue gets the results of all of them, (slices·m, n): see sum_slices().
template <layout L, class Tile, class Epilogue>
void launch_gemm(cudaStream_t stream, matrix_view<const float> a, matrix_view<const float> b,
                 const Epilogue& epilogue, int slices = 1) {
  const int m = L == layout::tn ? a.cols : a.rows;
  const int n = L == layout::nt ? b.rows : b.cols;
  const int k = L == layout::tn ? a.rows : a.cols;
  const dim3 blocks(static_cast<unsigned>(divide_up(m, Tile::block_m)),
                    static_cast<unsigned>(divide_up(n, Tile::block_n)), static_cast<unsigned>(slices));
  const launch_shape shape{blocks, dim3(static_cast<unsigned>(gemm_arrangement<Tile>::threads))};
  launch("launching a GEMM", stream, shape, gemm_kernel<L, Tile, Epilogue>, a, b, slice_length(k, slices),
         epilogue);
}

}  // namespace kernels
}  // namespace plexus::inline PLEXUS_ABI
