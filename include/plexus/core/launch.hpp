// The one way a kernel is launched.
#pragma once

#include <plexus/core/error.hpp>

#include <utility>

namespace plexus::inline PLEXUS_ABI {

struct launch_shape {
  dim3 grid;
  dim3 block;
  std::size_t shared_bytes = 0;  // dynamic shared memory
};

// Launches kernel(arguments...) and checks it. `name` is what the error message calls the kernel. A grid
// without blocks is no work and no launch. More than 48 KB of dynamic shared memory is asked for here, as
// CUDA demands.
template <class... Parameters, class... Arguments>
void launch(const char* name, cudaStream_t stream, const launch_shape& shape, void (*kernel)(Parameters...),
            Arguments&&... arguments) {
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return;
  constexpr std::size_t without_asking = 48 * 1024;
  if (shape.shared_bytes > without_asking) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shape.shared_bytes)),
          name);
  }
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), name);
}

// The number of pieces of size `piece` that cover `size`.
template <class Integer>
PLEXUS_FN constexpr Integer divide_up(Integer size, Integer piece) {
  return (size + piece - 1) / piece;
}

}  // namespace plexus::inline PLEXUS_ABI
