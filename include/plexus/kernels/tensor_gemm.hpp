// GEMM on tensor cores: C = A·Bᵀ, A·B or Aᵀ·B of __half, __nv_bfloat16, or float rounded to TF32; sums in
// FP32, any size, alignment and leading dimension, any epilogue.
//
// A block computes a tile of C, each of its warps a part of that, by mma.sync on GPUs since sm_80 and by WMMA
// elsewhere. Asynchronous copies bring the operand tiles of the next two pieces of the common dimension k
// into shared memory while the warps multiply the present one. At the end the sums pass through shared
// memory, strip by strip, so that the epilogue knows the place of each and neighbouring lanes get
// neighbouring columns. The order of the sums is fixed.
#pragma once

#include <plexus/core/launch.hpp>
#include <plexus/core/view.hpp>
#include <plexus/kernels/gemm.hpp>
#include <plexus/kernels/mma_instructions.hpp>
#include <plexus/kernels/slices.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace plexus::inline PLEXUS_ABI::kernels {

namespace wmma = nvcuda::wmma;

// What a tensor core takes an element of an operand for, and how much of k one instruction multiplies.
template <class T>
struct tensor_element {
  using type = T;
  static constexpr int k = 16;
};
template <>
struct tensor_element<float> {
  using type = wmma::precision::tf32;
  static constexpr int k = 8;
};

// A tile says what of C a block and a warp compute, how many blocks a multiprocessor's registers must hold,
// and how many pieces of k are on their way or being multiplied.
template <int BlockM, int BlockN, int WarpM, int WarpN, int ResidentBlocks>
struct tensor_tile {
  static constexpr int block_m = BlockM, block_n = BlockN;
  static constexpr int warp_m = WarpM, warp_n = WarpN;
  static constexpr int resident_blocks = ResidentBlocks;
  static constexpr int stages = 3;
  static constexpr bool by_wmma = false;  // on all architectures, as those before sm_80 do
};
struct large_tensor_tile : tensor_tile<128, 128, 64, 64, 2> {};
struct small_tensor_tile : tensor_tile<64, 64, 32, 32, 4> {};
template <class Tile>
struct wmma_tile : Tile {
  static constexpr bool by_wmma = true;
};

template <class Tile>
struct tensor_arrangement : Tile {
  static constexpr int warps_n = Tile::block_n / Tile::warp_n;
  static constexpr int warps = Tile::block_m / Tile::warp_m * warps_n;
  static constexpr int threads = 32 * warps;
  static_assert(Tile::warp_m % 16 == 0 && Tile::warp_n % 32 == 0,
                "a warp of a tensor-core GEMM computes whole 16 x 16 fragments, and its lanes whole rows");
  static_assert(Tile::block_m % Tile::warp_m == 0 && Tile::block_n % Tile::warp_n == 0,
                "a tensor-core GEMM tile consists of whole warps");
};

// The stages of one operand in shared memory. The operand is seen as extent × depth: extent is m or n, depth
// is k. A piece is Extent × 64 bytes of depth, in rows along the dimension that is contiguous in global
// memory. Fragments have `rows` rows; row r of all fragments of all stages lie side by side in row r of
// shared memory, so that one padding of 16 bytes serves all: 3 stages of 128 × 128 take 48.5 KB, and two
// blocks fit even where a multiprocessor has 100 KB.
template <class T, int Extent, bool DepthIsContiguous, int Stages>
struct staged_operand {
  using element = T;
  static constexpr int extent = Extent;
  static constexpr int depth = 64 / static_cast<int>(sizeof(T));
  static constexpr bool depth_is_contiguous = DepthIsContiguous;
  static constexpr int cols = DepthIsContiguous ? depth : Extent;  // of a row in global memory
  static constexpr int rows = DepthIsContiguous ? 16 : tensor_element<T>::k;
  static constexpr int stage = Extent * depth / rows;  // from one stage to the next
  // A quarter warp reads 8 rows of 16 bytes (ldmatrix): an odd number of 16 bytes from row to row puts them
  // on different banks. Fragments of TF32 are read by 4 bytes a lane, 4 rows of 32 bytes where k is the row.
  static constexpr int padding = (rows == 16 ? 16 : 32) / static_cast<int>(sizeof(T));
  static constexpr int ld = Stages * stage + padding;
  static constexpr int size = rows * ld;

  // Where element (row, col) of a piece lies, as the piece lies in global memory.
  __device__ static constexpr int position(int row, int col) {
    return row % rows * ld + row / rows * cols + col;
  }
  __device__ static constexpr int position_at(int at_extent, int at_depth) {
    return DepthIsContiguous ? position(at_extent, at_depth) : position(at_depth, at_extent);
  }
};

// An operand's way from global into shared memory: its threads begin to copy a piece by cp.async, or into
// registers, and write zeros where the piece has no element of the operand along k. `source` is what the
// kernel is launched with. (A convolution gives one that finds the elements of its patches.)
template <class Loader>
concept tensor_operand_loader = requires(Loader loader, const typename Loader::source& operand,
                                         typename Loader::staged::element* stage, int first, int depth) {
  Loader(operand, first, depth);  // begins at `first` of the extent and at `depth`
  loader.copy(stage, depth);      // the piece at `depth`, the one after that of the last call
  loader.land();                  // ends the copy before, as far as cp.async does not
};

// From a matrix.
template <class Staged, int Threads>
class tensor_matrix_loader {
  using element = typename Staged::element;
  static constexpr int packet_size = 16 / static_cast<int>(sizeof(element));
  static constexpr int lanes = Staged::cols / packet_size;  // threads side by side in a row
  static constexpr int row_step = Threads / lanes;
  static constexpr int packets = Staged::extent * Staged::depth / (Threads * packet_size);
  static_assert(std::has_single_bit(unsigned{row_step}) && packets > 0,
                "the places of a thread's packets must differ in bits that the thread's first place has not");

 public:
  using staged = Staged;
  using source = matrix_view<const element>;

  __device__ tensor_matrix_loader(const source& operand, int first, int depth)
      : operand_(operand),
        row_(first_row() + (Staged::depth_is_contiguous ? first : 0)),
        col_(first_col() + (Staged::depth_is_contiguous ? 0 : first)),
        to_(Staged::position(first_row(), first_col())) {
    const bool aligned =
        reinterpret_cast<std::uintptr_t>(operand.data) % 16 == 0 && operand.ld % packet_size == 0;
    if constexpr (Staged::depth_is_contiguous) {
      last_whole_ = aligned ? operand.cols - packet_size - col_ : -1;
    } else {
      const bool inside = col_ + packet_size <= operand.cols;
      last_whole_ = aligned && inside ? operand.rows - 1 - (packets - 1) * row_step - row_ : -1;
    }
    PLEXUS_UNROLL
    for (int i = 0; i < packets; ++i) {
      int row = row_ + i * row_step;
      // What lies beyond the extent is multiplied into elements that C does not have: any row will do.
      if (Staged::depth_is_contiguous && row >= operand.rows) row = operand.rows - 1;
      from_[i] = operand.row(row) + col_ + depth * depth_step();
    }
  }

  __device__ void copy(element* stage, int depth) {
    if (depth <= last_whole_) {
      PLEXUS_UNROLL
      for (int i = 0; i < packets; ++i) __pipeline_memcpy_async(packet_of(stage, i), from_[i], 16);
    } else {
      copy_elements(stage, depth);
    }
    PLEXUS_UNROLL
    for (const element*& from : from_) from += Staged::depth * depth_step();
  }

  __device__ void land() const {}

 private:
  // Where rows are 64 bytes long, a quarter warp writes rows r and r + 4: 16-byte packets on all banks.
  __device__ static int first_row() {
    const int row = static_cast<int>(threadIdx.x) / lanes;
    return lanes == 4 ? row / 8 * 8 + row % 8 / 2 + row % 2 * 4 : row;
  }
  __device__ static int first_col() { return static_cast<int>(threadIdx.x) % lanes * packet_size; }

  // Elements from one depth to the next.
  __device__ std::ptrdiff_t depth_step() const { return Staged::depth_is_contiguous ? 1 : operand_.ld; }

  __device__ element* packet_of(element* stage, int i) const {
    return stage + to_ + Staged::position(i * row_step, 0);
  }

  // What packets do not bring: edges, and operands that are not aligned.
  __device__ void copy_elements(element* stage, int depth) const {
    PLEXUS_NO_UNROLL
    for (int i = 0; i < packets * packet_size; ++i) {
      const int row = row_ + i / packet_size * row_step + (Staged::depth_is_contiguous ? 0 : depth);
      const int col = col_ + i % packet_size + (Staged::depth_is_contiguous ? depth : 0);
      const bool inside = row < operand_.rows && col < operand_.cols;
      element* const to = packet_of(stage, i / packet_size) + i % packet_size;
      if (!inside) {
        *to = element(0.0f);
      } else if constexpr (sizeof(element) == 4) {  // the least that cp.async copies
        __pipeline_memcpy_async(to, &operand_(row, col), 4);
      } else {
        *to = operand_(row, col);
      }
    }
  }

  source operand_;
  int row_, col_;                 // of the thread's first packet of the first piece
  int to_;                        // where it goes in a stage
  int last_whole_;                // the last depth whose pieces give the thread whole packets
  const element* from_[packets];  // the thread's packets of the next piece
};

// A warp's part of C in fragments of tensor cores.
template <class Tile, class A, class B>
class wmma_sums {
  using element = typename A::element;
  using multiplied = typename tensor_element<element>::type;
  static constexpr int k = tensor_element<element>::k;
  using row_of_a = std::conditional_t<A::depth_is_contiguous, wmma::row_major, wmma::col_major>;
  using row_of_b = std::conditional_t<B::depth_is_contiguous, wmma::col_major, wmma::row_major>;

 public:
  __device__ wmma_sums() {
    PLEXUS_UNROLL
    for (auto& row : sums_) {
      PLEXUS_UNROLL
      for (auto& sum : row) wmma::fill_fragment(sum, 0.0f);
    }
  }

  // Adds the product of two pieces, of which the warp's parts begin at a and b.
  __device__ void multiply_add(const element* a, const element* b) {
    PLEXUS_UNROLL
    for (int depth = 0; depth < A::depth; depth += k) {
      wmma::fragment<wmma::matrix_a, 16, 16, k, multiplied, row_of_a> part_a[Tile::warp_m / 16];
      wmma::fragment<wmma::matrix_b, 16, 16, k, multiplied, row_of_b> part_b[Tile::warp_n / 16];
      load<A>(part_a, a, depth);
      load<B>(part_b, b, depth);
      PLEXUS_UNROLL
      for (int i = 0; i < Tile::warp_m / 16; ++i) {
        PLEXUS_UNROLL
        for (int j = 0; j < Tile::warp_n / 16; ++j)
          wmma::mma_sync(sums_[i][j], part_a[i], part_b[j], sums_[i][j]);
      }
    }
  }

  // Rows 16·strip … of the warp's part, row-major.
  __device__ void store(int strip, float* to, unsigned ld) const {
    PLEXUS_UNROLL
    for (int j = 0; j < Tile::warp_n / 16; ++j)
      wmma::store_matrix_sync(to + 16 * j, sums_[strip][j], ld, wmma::mem_row_major);
  }

 private:
  template <class Staged, class Fragment, int Count>
  __device__ static void load(Fragment (&parts)[Count], const element* from, int depth) {
    PLEXUS_UNROLL
    for (int i = 0; i < Count; ++i) {
      wmma::load_matrix_sync(parts[i], from + Staged::position_at(16 * i, depth), unsigned{Staged::ld});
      if constexpr (std::is_same_v<element, float>) {
        using namespace wmma;
        PLEXUS_UNROLL
        for (int e = 0; e < parts[i].num_elements; ++e) parts[i].x[e] = __float_to_tf32(parts[i].x[e]);
      }
    }
  }

  wmma::fragment<wmma::accumulator, 16, 16, k, float> sums_[Tile::warp_m / 16][Tile::warp_n / 16];
};

// The same by the instructions that WMMA is made of, since sm_80. They read shared memory by ldmatrix,
// whatever the element type: for bfloat16 and TF32 the compiler does not see that WMMA's pointers are shared
// memory.
template <class Tile, class A, class B>
class mma_sums {
  using element = typename A::element;
  static constexpr int k = tensor_element<element>::k;

 public:
  __device__ void multiply_add(const element* a, const element* b) {
    a += first_of<A, true>();
    b += first_of<B, false>();
    PLEXUS_UNROLL
    for (int depth = 0; depth < A::depth; depth += k) {
      unsigned part_a[Tile::warp_m / 16][4];
      unsigned part_b[Tile::warp_n / 16][4];
      PLEXUS_UNROLL
      for (int i = 0; i < Tile::warp_m / 16; ++i) load<A, true>(part_a[i], a + A::position_at(16 * i, depth));
      PLEXUS_UNROLL
      for (int j = 0; j < Tile::warp_n / 16; ++j)
        load<B, false>(part_b[j], b + B::position_at(16 * j, depth));
      PLEXUS_UNROLL
      for (int i = 0; i < Tile::warp_m / 16; ++i) {
        PLEXUS_UNROLL
        for (int j = 0; j < Tile::warp_n / 8; ++j) {
          kernels::multiply_add<element>(sums_[i][j], part_a[i], part_b[j / 2][j % 2 * 2],
                                         part_b[j / 2][j % 2 * 2 + 1], sums_[i][j]);
        }
      }
    }
  }

  __device__ void store(int strip, float* to, unsigned ld) const {
    to += lane() / 4 * static_cast<int>(ld) + lane() % 4 * 2;
    PLEXUS_UNROLL
    for (int j = 0; j < Tile::warp_n / 8; ++j) {
      const float(&sums)[4] = sums_[strip][j];
      *reinterpret_cast<float2*>(to + 8 * j) = {sums[0], sums[1]};
      *reinterpret_cast<float2*>(to + 8 * ld + 8 * j) = {sums[2], sums[3]};
    }
  }

 private:
  // ldmatrix transposes 16-bit elements only.
  template <class Staged>
  static constexpr bool by_matrices = Staged::depth_is_contiguous || sizeof(element) == 2;

  // A fragment, 16 of the extent × k, consists of four parts, numbered along the extent first in A and along
  // k first in B.
  template <bool ExtentFirst>
  __device__ static constexpr int upper_extent(int part) {
    return ExtentFirst ? part % 2 : part / 2;
  }
  template <bool ExtentFirst>
  __device__ static constexpr int upper_depth(int part) {
    return ExtentFirst ? part / 2 : part % 2;
  }

  // What of a fragment a lane reads, or the first of that.
  template <class Staged, bool ExtentFirst>
  __device__ static int first_of() {
    if constexpr (by_matrices<Staged>) {
      const int extent = upper_extent<ExtentFirst>(lane() / 8), depth = upper_depth<ExtentFirst>(lane() / 8);
      return Staged::depth_is_contiguous ? Staged::position(lane() % 8 + 8 * extent, k / 2 * depth)
                                         : Staged::position(lane() % 8 + 8 * depth, 8 * extent);
    } else {
      return Staged::position(lane() % 4, lane() / 4);
    }
  }

  template <class Staged, bool ExtentFirst>
  __device__ static void load(unsigned (&parts)[4], const element* from) {
    if constexpr (by_matrices<Staged>) {
      load_matrices<!Staged::depth_is_contiguous>(parts, from);
    } else {
      PLEXUS_UNROLL
      for (int i = 0; i < 4; ++i)
        parts[i] = __float_as_uint(
            from[Staged::position(4 * upper_depth<ExtentFirst>(i), 8 * upper_extent<ExtentFirst>(i))]);
    }
    if constexpr (std::is_same_v<element, float>) {
      PLEXUS_UNROLL
      for (unsigned& part : parts) round_to_tf32<element>(part);
    }
  }

  __device__ static int lane() { return static_cast<int>(threadIdx.x % 32); }

  float sums_[Tile::warp_m / 16][Tile::warp_n / 8][4] = {};
};

// The same on CUDA cores, for architectures whose tensor cores do not know the element type. A lane has every
// 32nd column.
template <class Tile, class A, class B>
class cuda_core_sums {
  using element = typename A::element;

 public:
  __device__ void multiply_add(const element* a, const element* b) {
    for (int k = 0; k < A::depth; ++k) {
      PLEXUS_UNROLL
      for (int j = 0; j < Tile::warp_n / 32; ++j) {
        const auto of_b = static_cast<float>(b[B::position_at(lane() + 32 * j, k)]);
        PLEXUS_UNROLL
        for (int i = 0; i < Tile::warp_m; ++i)
          sums_[i][j] += static_cast<float>(a[A::position_at(i, k)]) * of_b;
      }
    }
  }

  __device__ void store(int strip, float* to, unsigned ld) const {
    PLEXUS_UNROLL
    for (int i = 0; i < 16; ++i) {
      PLEXUS_UNROLL
      for (int j = 0; j < Tile::warp_n / 32; ++j)
        to[static_cast<unsigned>(i) * ld + static_cast<unsigned>(lane() + 32 * j)] = sums_[16 * strip + i][j];
    }
  }

 private:
  __device__ static int lane() { return static_cast<int>(threadIdx.x % 32); }

  float sums_[Tile::warp_m][Tile::warp_n / 32] = {};
};

template <class T>
inline constexpr bool has_tensor_cores_for = platform::has_bf16_and_tf32_mma || std::is_same_v<T, __half>;
inline constexpr bool has_mma_instructions = platform::has_bf16_and_tf32_mma && !platform::on_cpu;

template <class Tile, class A, class B>
using tensor_sums = std::conditional_t<
    !has_tensor_cores_for<typename A::element>, cuda_core_sums<Tile, A, B>,
    std::conditional_t<has_mma_instructions && !Tile::by_wmma, mma_sums<Tile, A, B>, wmma_sums<Tile, A, B>>>;

// Two buffers of 16 rows, a warp's own, through which its sums go to the epilogue. Rows 8 banks apart let
// WMMA store without conflicts.
template <class Tile>
struct epilogue_slabs {
  static constexpr int ld = Tile::warp_n + 8;
  static constexpr int slab = 16 * ld;
  static constexpr int size = 2 * slab;
};

// Hands the elements of a warp's sums that lie inside C, above end_row and left of end_col, to the epilogue.
template <class Tile, class Sums, class Epilogue>
__device__ void finish(const Sums& sums, float* slabs, int first_row, int first_col, int end_row, int end_col,
                       const Epilogue& epilogue) {
  using at = epilogue_slabs<Tile>;
  PLEXUS_UNROLL
  for (int strip = 0; strip < Tile::warp_m / 16; ++strip) {
    float* const slab = slabs + strip % 2 * at::slab;
    sums.store(strip, slab, unsigned{at::ld});
    // One barrier a strip is enough: who overwrites a slab has passed the barrier of the other one.
    __syncwarp();
    for (int i = static_cast<int>(threadIdx.x % 32); i < 16 * Tile::warp_n; i += 32) {
      const int row = first_row + 16 * strip + i / Tile::warp_n;
      const int col = first_col + i % Tile::warp_n;
      if (row < end_row && col < end_col)
        epilogue(row, col, slab[i / Tile::warp_n * at::ld + i % Tile::warp_n]);
    }
  }
}

// multiply(piece of A, piece of B) in shared memory for each piece of depths [first, end), in their order;
// `shared` holds the stages of A and, behind them, those of B.
template <class Tile, tensor_operand_loader LoaderA, tensor_operand_loader LoaderB, class Element,
          class Multiply>
__device__ void for_each_piece(LoaderA loader_a, LoaderB loader_b, Element* shared, int first, int end,
                               const Multiply& multiply) {
  using staged_a = typename LoaderA::staged;
  using staged_b = typename LoaderB::staged;
  Element* const shared_b = shared + staged_a::size;
  const auto copy = [&](int stage, int depth) {
    loader_a.land();  // the piece before is to be there at the next barrier
    loader_b.land();
    if (depth < end) {
      loader_a.copy(shared + stage * staged_a::stage, depth);
      loader_b.copy(shared_b + stage * staged_b::stage, depth);
    }
    __pipeline_commit();  // an empty batch as well: waiting counts batches
  };
  constexpr int ahead = Tile::stages - 1;
  for (int stage = 0; stage < ahead; ++stage) copy(stage, first + stage * staged_a::depth);

  int stage = 0, free_stage = ahead;
  for (int depth = first; depth < end; depth += staged_a::depth) {
    // The present piece has arrived, and all warps have done with the one before: its stage is free.
    __pipeline_wait_prior(ahead - 1);
    __syncthreads();
    copy(free_stage, depth + ahead * staged_a::depth);
    multiply(shared + stage * staged_a::stage, shared_b + stage * staged_b::stage);
    free_stage = stage;
    stage = stage + 1 < Tile::stages ? stage + 1 : 0;
  }
}

// The result (rows, cols) of a product; the epilogue gets element (i, j) as (offset + i, j).
struct product_range {
  int rows, cols, offset;
};

// Computes a tile, in the order of tensor_tiles().
template <class Tile, tensor_operand_loader LoaderA, tensor_operand_loader LoaderB, class Epilogue>
__device__ void multiply_tensor_tile(const typename LoaderA::source& a, const typename LoaderB::source& b,
                                     int tile, slice_range depths, product_range c,
                                     const Epilogue& epilogue) {
  using at = tensor_arrangement<Tile>;
  using staged_a = typename LoaderA::staged;
  using staged_b = typename LoaderB::staged;
  auto* const shared = platform::dynamic_shared<unsigned char>();
  auto* const shared_a = reinterpret_cast<typename staged_a::element*>(shared);

  const int blocks_n = divide_up(c.cols, Tile::block_n);
  const int first_row = tile / blocks_n * Tile::block_m;
  const int first_col = tile % blocks_n * Tile::block_n;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int warp_row = warp / at::warps_n * Tile::warp_m;
  const int warp_col = warp % at::warps_n * Tile::warp_n;

  tensor_sums<Tile, staged_a, staged_b> sums;
  const int part_a = staged_a::position_at(warp_row, 0), part_b = staged_b::position_at(warp_col, 0);
  for_each_piece<Tile>(LoaderA(a, first_row, depths.begin), LoaderB(b, first_col, depths.begin), shared_a,
                       depths.begin, depths.end, [&](const auto* piece_a, const auto* piece_b) {
                         sums.multiply_add(piece_a + part_a, piece_b + part_b);
                       });

  __syncthreads();  // the slabs lie where the pieces lay
  auto* const slabs = reinterpret_cast<float*>(shared) + warp * epilogue_slabs<Tile>::size;
  finish<Tile>(sums, slabs, c.offset + first_row + warp_row, first_col + warp_col, c.offset + c.rows, c.cols,
               epilogue);
}

// Block (i, s) computes tile i of the product of slice s of the depths. The slices' results follow each
// other: of slice s, the epilogue gets element (i, j) as (s·m + i, j).
template <class Tile, tensor_operand_loader LoaderA, tensor_operand_loader LoaderB, class Epilogue>
__global__ void __launch_bounds__(tensor_arrangement<Tile>::threads, Tile::resident_blocks)
    tensor_gemm_kernel(typename LoaderA::source a, typename LoaderB::source b, int k, int slice_depth,
                       Epilogue epilogue) {
  const int m = epilogue.c.rows / static_cast<int>(gridDim.y);
  const int slice = static_cast<int>(blockIdx.y);
  multiply_tensor_tile<Tile, LoaderA, LoaderB>(a, b, static_cast<int>(blockIdx.x),
                                               slice_of(k, slice, slice_depth),
                                               {m, epilogue.c.cols, slice * m}, epilogue);
}

// `blocks` of a tensor-core GEMM, with the shared memory that its pieces take.
template <class Tile, tensor_operand_loader LoaderA, tensor_operand_loader LoaderB>
launch_shape tensor_launch_shape(dim3 blocks) {
  using at = tensor_arrangement<Tile>;
  using staged_a = typename LoaderA::staged;
  using staged_b = typename LoaderB::staged;
  static_assert(staged_a::depth == staged_b::depth &&
                    std::is_same_v<typename staged_a::element, typename staged_b::element>,
                "both operands of a tensor-core GEMM have the same element type");
  constexpr std::size_t shared_bytes = sizeof(typename staged_a::element) * (staged_a::size + staged_b::size);
  static_assert(at::warps * epilogue_slabs<Tile>::size * sizeof(float) <= shared_bytes,
                "the epilogue's slabs must fit where the operands lay");
  return {blocks, dim3(static_cast<unsigned>(at::threads)), shared_bytes};
}

// How many tiles C (m, n) has; they are counted row by row.
template <class Tile>
PLEXUS_FN int tensor_tiles(int m, int n) {
  return divide_up(m, Tile::block_m) * divide_up(n, Tile::block_n);
}

// The depth of each of `slices` slices of k: they consist of whole pieces.
template <tensor_operand_loader Loader>
int tensor_slice_depth(int k, int slices) {
  constexpr int depth = Loader::staged::depth;
  return divide_up(divide_up(k, slices), depth) * depth;
}

// How the operands of a product of matrices come into shared memory.
template <layout L, class Tile, class T>
struct tensor_operands {
  static constexpr int threads = tensor_arrangement<Tile>::threads;
  using a = tensor_matrix_loader<staged_operand<T, Tile::block_m, L != layout::tn, Tile::stages>, threads>;
  using b = tensor_matrix_loader<staged_operand<T, Tile::block_n, L == layout::nt, Tile::stages>, threads>;
};

// C(i, j) = epilogue of the product's element (i, j), C being epilogue.c; shapes at `layout`. T is __half,
// __nv_bfloat16, or float, which is rounded to TF32. With more slices of k than one, C holds the results of
// all of them, one below the other: (slices·m, n).
template <layout L, class Tile, class T, class Epilogue>
void launch_tensor_gemm(cudaStream_t stream, matrix_view<const T> a, matrix_view<const T> b,
                        const Epilogue& epilogue, int slices = 1) {
  using loader_a = typename tensor_operands<L, Tile, T>::a;
  using loader_b = typename tensor_operands<L, Tile, T>::b;
  const int k = L == layout::tn ? a.rows : a.cols;
  const int tiles = tensor_tiles<Tile>(epilogue.c.rows / slices, epilogue.c.cols);
  launch("launching a tensor-core GEMM", stream,
         tensor_launch_shape<Tile, loader_a, loader_b>(
             dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(slices))),
         tensor_gemm_kernel<Tile, loader_a, loader_b, Epilogue>, a, b, k,
         tensor_slice_depth<loader_a>(k, slices), epilogue);
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
