// Convolution on tensor cores: the products of convolution.hpp on the main loop of tensor_gemm.hpp.
//
// Filters are matrices, and come as such. Of images and deltas a thread brings, for one pixel, packets of 16
// bytes of taps or channels: neighbouring lanes take neighbouring pixels, which lie next to each other in
// memory, and each stores whole packets. In shared memory pixels are rows.
#pragma once

#include <plexus/kernels/convolution.hpp>
#include <plexus/kernels/tensor_gemm.hpp>

#include <cstring>
#include <utility>

namespace plexus::inline PLEXUS_ABI::kernels {

// Of fewer filters than large_tensor_tile. All tiles are as wide: what a block gathers of the images serves
// all its filters.
struct medium_tensor_tile : tensor_tile<64, 128, 32, 64, 3> {};
struct flat_tensor_tile : tensor_tile<32, 128, 32, 32, 3> {};

// An operand as the matrix that shared memory has of it: pixels are rows, and of filters channels are.
template <class Operand>
inline constexpr bool rows_are_extent_of = !Operand::depth_is_contiguous;
template <class T>
inline constexpr bool rows_are_extent_of<filters_of_channels<T>> = true;

template <class Operand>
struct gathered_matrix {
  static constexpr bool rows_are_extent = rows_are_extent_of<Operand>;
  Operand operand;

  PLEXUS_FN int rows() const { return rows_are_extent ? operand.extents : operand.depths; }
  PLEXUS_FN int cols() const { return rows_are_extent ? operand.depths : operand.extents; }
  PLEXUS_FN auto row(int i) const { return place<rows_are_extent>(i); }
  PLEXUS_FN auto col(int i) const { return place<!rows_are_extent>(i); }
  template <class Row, class Col>
  PLEXUS_FN auto value(const Row& row, const Col& col) const {
    if constexpr (rows_are_extent) {
      return operand.value(row, col);
    } else {
      return operand.value(col, row);
    }
  }

 private:
  template <bool IsExtent>
  PLEXUS_FN auto place(int i) const {
    if constexpr (IsExtent) {
      return operand.along_extent(i);
    } else {
      return operand.along_depth(i);
    }
  }
};

// Four words to shared memory.
template <class T>
__device__ void store_words(T* to, const uint4& words) {
  if constexpr (platform::on_cpu) {
    *reinterpret_cast<uint4*>(to) = words;
  } else {
    store_four_words(to, words);
  }
}

// What `lane` of each `width` lanes has.
template <class T>
__device__ T from_lane(const T& value, int lane, int width) {
  constexpr int count = sizeof(T) / sizeof(unsigned);
  static_assert(sizeof(T) % sizeof(unsigned) == 0, "lanes exchange whole words");
  unsigned words[count];
  memcpy(words, &value, sizeof value);
  PLEXUS_UNROLL
  for (unsigned& word : words) word = __shfl_sync(0xffffffffu, word, lane, width);
  T result;
  memcpy(&result, words, sizeof result);
  return result;
}

// Brings an operand into shared memory element by element, in flight during the arithmetic. A thread has
// packets of one row. The threads of a warp that have different rows bring the same columns: each lane finds
// out what one of these comes to, and tells the others.
template <class Operand, int Extent, int Threads, int Stages>
class tensor_gather_loader {
  using matrix = gathered_matrix<Operand>;
  using element = typename Operand::element;

 public:
  using source = Operand;
  using staged = staged_operand<element, Extent, matrix::rows_are_extent, Stages>;

  __device__ tensor_gather_loader(const Operand& operand, int first, int depth)
      : matrix_{operand},
        row_(first_row() + (matrix::rows_are_extent ? first : depth)),
        col_(first_col() + (matrix::rows_are_extent ? depth : first)),
        row_place_(matrix_.row(row_)),
        col_place_(matrix_.col(col_of_lane())) {}

  __device__ void copy(element* stage, int) {
    stage_ = stage;
    fetch();
    if constexpr (matrix::rows_are_extent) {
      col_ += staged::depth;
      col_place_ = matrix_.col(col_of_lane());
    } else {
      row_ += staged::depth;
      row_place_ = matrix_.row(row_);
    }
  }

  __device__ void land() {
    if (stage_ == nullptr) return;
    element* const to = stage_ + staged::position(first_row(), first_col());
    PLEXUS_UNROLL
    for (int i = 0; i < packets; ++i) store_words(to + i * step, in_flight_[i]);
    stage_ = nullptr;
  }

 private:
  static constexpr int packet_size = static_cast<int>(sizeof(uint4) / sizeof(element));
  static constexpr int rows = matrix::rows_are_extent ? Extent : staged::depth;
  static constexpr int step = Threads / rows * packet_size;  // from a thread's packet to its next
  static constexpr int packets = staged::cols / step;
  static constexpr int lanes = rows < 32 ? rows : 32;  // that have different rows
  static_assert(Threads % rows == 0 && staged::cols % step == 0 && packets * packet_size <= lanes,
                "a block loads whole rows of a piece, and a lane finds one of its thread's columns");

  __device__ static int first_row() { return static_cast<int>(threadIdx.x) % rows; }
  __device__ static int first_col() { return static_cast<int>(threadIdx.x) / rows * packet_size; }
  __device__ int col_of_lane() const {
    const int number = static_cast<int>(threadIdx.x) % lanes;  // among the thread's columns
    return col_ + number / packet_size * step + number % packet_size;
  }

  __device__ void fetch() {
    // No condition that lanes differ in but where they load: nvcc has been seen to give each side of one its
    // own shuffles, which then wait for each other.
    const int end = row_ < matrix_.rows() ? matrix_.cols() : 0;
    PLEXUS_UNROLL
    for (int i = 0; i < packets; ++i) {
      element values[packet_size];
      PLEXUS_UNROLL
      for (int v = 0; v < packet_size; ++v) {
        const auto col = from_lane(col_place_, i * packet_size + v, lanes);
        values[v] = col_ + i * step + v < end ? matrix_.value(row_place_, col) : element(0.0f);
      }
      memcpy(&in_flight_[i], values, sizeof in_flight_[i]);
    }
  }

  matrix matrix_;
  int row_, col_;  // of the thread's first element of the next piece
  decltype(std::declval<matrix>().row(0)) row_place_;
  decltype(std::declval<matrix>().col(0)) col_place_;  // of the lane's column
  element* stage_ = nullptr;                           // where what is in flight goes
  uint4 in_flight_[packets];
};

// Brings filters, whose rows are rows of a matrix.
template <class T, int Extent, int Threads, int Stages>
class tensor_filter_loader : public tensor_matrix_loader<staged_operand<T, Extent, true, Stages>, Threads> {
  using matrix_loader = tensor_matrix_loader<staged_operand<T, Extent, true, Stages>, Threads>;

 public:
  using source = filter_rows<T>;

  __device__ tensor_filter_loader(const source& filters, int first, int depth)
      : matrix_loader(filters.matrix(), first, depth) {}
};

template <class Operand, int Extent, class Tile>
struct tensor_convolution_loader {
  using type = tensor_gather_loader<Operand, Extent, tensor_arrangement<Tile>::threads, Tile::stages>;
};
template <class T, int Extent, class Tile>
struct tensor_convolution_loader<filter_rows<T>, Extent, Tile> {
  using type = tensor_filter_loader<T, Extent, tensor_arrangement<Tile>::threads, Tile::stages>;
};

// Block (i, s) computes tile i % t of slice s of group i / t, each group having t tiles. C has the rows of
// all groups below each other, and those of all slices below these.
template <class Tile, class LoaderA, class LoaderB, class Epilogue>
__global__ void __launch_bounds__(tensor_arrangement<Tile>::threads, Tile::resident_blocks)
    tensor_convolution_kernel(typename LoaderA::source a, typename LoaderB::source b, int groups,
                              int slice_depth, Epilogue epilogue) {
  const int tiles = tensor_tiles<Tile>(a.extents, b.extents);
  const int group = static_cast<int>(blockIdx.x) / tiles, slice = static_cast<int>(blockIdx.y);
  multiply_tensor_tile<Tile, LoaderA, LoaderB>(
      a.of_group(group), b.of_group(group), static_cast<int>(blockIdx.x) % tiles,
      slice_of(a.depths, slice, slice_depth), {a.extents, b.extents, (slice * groups + group) * a.extents},
      epilogue);
}

// The operands are those of the first group.
template <class Tile, class OperandA, class OperandB, class Epilogue>
void launch_tensor_convolution(cudaStream_t stream, const OperandA& a, const OperandB& b, int groups,
                               const Epilogue& epilogue, int slices = 1) {
  using loader_a = typename tensor_convolution_loader<OperandA, Tile::block_m, Tile>::type;
  using loader_b = typename tensor_convolution_loader<OperandB, Tile::block_n, Tile>::type;
  const dim3 blocks(
      static_cast<unsigned>(tensor_tiles<Tile>(a.extents, b.extents)) * static_cast<unsigned>(groups),
      static_cast<unsigned>(slices));
  launch("launching a convolution on tensor cores", stream,
         tensor_launch_shape<Tile, loader_a, loader_b>(blocks),
         tensor_convolution_kernel<Tile, loader_a, loader_b, Epilogue>, a, b, groups,
         tensor_slice_depth<loader_a>(a.depths, slices), epilogue);
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
