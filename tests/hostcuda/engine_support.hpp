// What the tests of hostcuda's engine share: launches that are short to write, and a device in a known state.
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

// Puts a kernel on its stream.
template <class... Parameters, class... Arguments>
cudaError_t start(const shape& with, void (*kernel)(Parameters...), Arguments&&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = with.grid;
  config.blockDim = with.block;
  config.dynamicSmemBytes = with.shared_bytes;
  config.stream = with.stream;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Arguments&&>(arguments)...);
}

// The same, to its end.
template <class... Parameters, class... Arguments>
cudaError_t launch(const shape& with, void (*kernel)(Parameters...), Arguments&&... arguments) {
  const cudaError_t error = start(with, kernel, static_cast<Arguments&&>(arguments)...);
  return error != cudaSuccess ? error : cudaStreamSynchronize(with.stream);
}

// parallel_for on the default stream, to its end.
template <class Function>
cudaError_t loop(std::size_t count, Function f) {
  const cudaError_t error = parallel_for(nullptr, count, f);
  return error != cudaSuccess ? error : cudaStreamSynchronize(nullptr);
}

// For a scope: settings to be changed at will, no fault left over before and after.
class fresh_device {
 public:
  fresh_device() : before_(settings()) { reset_device(); }
  fresh_device(const fresh_device&) = delete;
  fresh_device& operator=(const fresh_device&) = delete;
  ~fresh_device() {
    settings() = before_;
    reset_device();
  }

  fresh_device& workers(int count) { return settings().workers = count, *this; }
  fresh_device& order(thread_order order, std::uint64_t seed = 0) {
    settings().order = order;
    settings().seed = seed;
    return *this;
  }

 private:
  setting_values before_;
};

inline constexpr thread_order all_orders[] = {thread_order::forward, thread_order::reverse,
                                              thread_order::shuffled};

}  // namespace hostcuda_tests
