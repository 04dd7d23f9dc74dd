// Elementwise and row-wise work: the launches that need no kernel of their own.
#pragma once

#include <plexus/core/group.hpp>
#include <plexus/core/launch.hpp>

namespace plexus::inline PLEXUS_ABI {

// function(i) for every i in [0, count), in no particular order. `function` is a small trivially copyable
// object with a PLEXUS_FN operator(); on the CPU it is inlined into a loop that vectorises.
template <class Function>
void for_each(cudaStream_t stream, std::size_t count, Function function) {
  if (count == 0) return;
  check(platform::parallel_for(stream, count, function), "launching an elementwise function");
}

// A warp a row, eight of them in a block.
inline constexpr unsigned rows_per_block = 8;

template <class Function>
__global__ void __launch_bounds__(32 * rows_per_block) for_each_row_kernel(int rows, Function function) {
  const int row = static_cast<int>(blockIdx.x * rows_per_block + threadIdx.x / 32u);
  if (row < rows) function(warp_group{}, row);
}

template <class Function>
__global__ void __launch_bounds__(32 * rows_per_block) for_each_row_by_block_kernel(Function function) {
  function(block_group<32 * rows_per_block>{}, static_cast<int>(blockIdx.x));
}

template <class Function>
struct on_single_thread {
  Function function;
  PLEXUS_FN void operator()(std::size_t row) const { function(single_thread_group{}, static_cast<int>(row)); }
};

// function(group, row) for every row in [0, rows), the threads of a group sharing the row: a warp on a GPU,
// one thread on a CPU. `function` has a template operator()(Group, int).
template <class Function>
void for_each_row(cudaStream_t stream, int rows, Function function) {
  if constexpr (platform::on_cpu) {
    for_each(stream, static_cast<std::size_t>(rows), on_single_thread<Function>{function});
  } else {
    const launch_shape shape{dim3(divide_up(static_cast<unsigned>(rows), rows_per_block)),
                             dim3(32 * rows_per_block)};
    launch("launching a row-wise function", stream, shape, for_each_row_kernel<Function>, rows, function);
  }
}

// A block a row.
template <class Function>
void for_each_row_by_block(cudaStream_t stream, int rows, Function function) {
  const launch_shape shape{dim3(static_cast<unsigned>(rows)), dim3(32 * rows_per_block)};
  launch("launching a row-wise function", stream, shape, for_each_row_by_block_kernel<Function>, function);
}

// for_each_row() of few and long rows: a block a row on a GPU.
template <class Function>
void for_each_long_row(cudaStream_t stream, int rows, Function function) {
  if constexpr (platform::on_cpu) {
    for_each_row(stream, rows, function);
  } else {
    for_each_row_by_block(stream, rows, function);
  }
}

}  // namespace plexus::inline PLEXUS_ABI
