// A thread's part of a product in registers, and how it is added up from operands in shared memory.
#pragma once

#include <plexus/kernels/packet.hpp>

namespace plexus::inline PLEXUS_ABI::kernels {

// Rows × Cols sums of each of the 32 lanes, which stand 4 × 8 in the warp's part of the product: packets of
// four neighbouring rows, 16 apart, and columns 8 apart. Neighbouring lanes own neighbouring columns, so that
// a row of results is written by whole sectors.
template <int Rows, int Cols>
class thread_tile {
 public:
  static_assert(Rows % 4 == 0 && Cols % 4 == 0, "a thread reads its operands by 128 bits");
  static constexpr int rows = Rows, cols = Cols;
  static constexpr int warp_rows = 4 * Rows, warp_cols = 8 * Cols;

  // The column that lies at `place` in shared memory: the four columns that a lane reads by one load are
  // neighbours there.
  PLEXUS_FN static constexpr int col_at(int place) {
    return place / 32 * 32 + place % 4 * 8 + place % 32 / 4;
  }

  // Adds the outer products of Depth rows of a (depth, warp_rows) and b (depth, warp_cols), b in the order of
  // col_at().
  template <int Depth>
  __device__ void add(const float* a, int stride_a, const float* b, int stride_b) {
    a += 4 * lane_row();
    b += 4 * lane_col();
    PLEXUS_UNROLL
    for (int k = 0; k < Depth; ++k) {
      float fragment_a[Rows];
      float fragment_b[Cols];
      read(fragment_a, a + k * stride_a, 16);
      read(fragment_b, b + k * stride_b, 32);
      PLEXUS_UNROLL
      for (int i = 0; i < Rows; ++i) {
        PLEXUS_UNROLL
        for (int j = 0; j < Cols; ++j) sums_[i][j] += fragment_a[i] * fragment_b[j];
      }
    }
  }

  // function(row, col, sums) for each packet of four rows: its first row and its column in the warp's part.
  template <class Function>
  __device__ void for_each_packet(const Function& function) const {
    PLEXUS_UNROLL
    for (int i = 0; i < Rows; i += 4) {
      PLEXUS_UNROLL
      for (int j = 0; j < Cols; ++j) {
        const packet<4> four{{sums_[i][j], sums_[i + 1][j], sums_[i + 2][j], sums_[i + 3][j]}};
        function(4 * i + 4 * lane_row(), lane_col() + 8 * j, four);
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

  __device__ static int lane_row() { return static_cast<int>(threadIdx.x) % 32 / 8; }
  __device__ static int lane_col() { return static_cast<int>(threadIdx.x) % 8; }

  float sums_[Rows][Cols] = {};
};

}  // namespace plexus::inline PLEXUS_ABI::kernels
