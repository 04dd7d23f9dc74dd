// Rows shared as a GPU shares them, also where the device gives each to one thread.
#pragma once

#include <plexus/core/for_each.hpp>

namespace support {

using namespace plexus::cuda_names;  // dim3

// A warp a row, as for_each_row() does on a GPU. for_each_row_by_block() is the same on every device.
template <class Function>
void by_warps(cudaStream_t stream, int rows, const Function& function) {
  constexpr auto warps = plexus::rows_per_block;
  plexus::launch("rows by warps", stream,
                 {dim3(plexus::divide_up(static_cast<unsigned>(rows), warps)), dim3(32 * warps)},
                 plexus::for_each_row_kernel<Function>, rows, function);
}

}  // namespace support
