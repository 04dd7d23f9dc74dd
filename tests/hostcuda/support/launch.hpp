// A launch that is short to write.
#pragma once

#include <hostcuda/hostcuda.hpp>

namespace hostcuda_tests {

using namespace hostcuda;

struct shape {
  dim3 grid;
  dim3 block;
  std::size_t shared_bytes = 0;
  cudaStream_t stream = nullptr;
};

template <class... Parameters, class... Arguments>
cudaError_t launch(const shape& with, void (*kernel)(Parameters...), Arguments&&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = with.grid;
  config.blockDim = with.block;
  config.dynamicSmemBytes = with.shared_bytes;
  config.stream = with.stream;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Arguments&&>(arguments)...);
}

}  // namespace hostcuda_tests
