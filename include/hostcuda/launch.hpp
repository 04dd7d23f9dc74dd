// Kernel launches and parallel loops.
#pragma once

#include <hostcuda/engine/run_grid.hpp>
#include <hostcuda/runtime/schedule.hpp>

#include <atomic>
#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace hostcuda {

// No attribute of a launch is implemented but the one that is ignored.
enum cudaLaunchAttributeID { cudaLaunchAttributeIgnore = 0 };

struct cudaLaunchAttribute {
  cudaLaunchAttributeID id = cudaLaunchAttributeIgnore;
};

struct cudaLaunchConfig_t {
  dim3 gridDim;
  dim3 blockDim;
  std::size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
  cudaLaunchAttribute* attrs = nullptr;
  unsigned numAttrs = 0;
};

enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

namespace detail {

// Runs a kernel as the configuration says; run_thread(call) is the kernel, as the current thread.
inline cudaError_t run_kernel(const cudaLaunchConfig_t& config, const void* kernel,
                              void (*run_thread)(const void* call), const void* call) {
  grid launch;
  launch.size = config.gridDim;
  launch.block = config.blockDim;
  launch.shared_bytes = config.dynamicSmemBytes;
  launch.run_thread = run_thread;
  launch.call = call;
  launch.kernel = kernel;
  return run_grid(launch);
}

// A kernel with its arguments, copied when it is enqueued: it may run later, or again and again.
template <class... Parameters>
struct kernel_call {
  cudaLaunchConfig_t config;
  void (*kernel)(Parameters...);
  std::tuple<Parameters...> arguments;

  static void run_thread(const void* call) {
    const auto& self = *static_cast<const kernel_call*>(call);
    std::apply(self.kernel, self.arguments);
  }

  cudaError_t operator()() const {
    return run_kernel(config, reinterpret_cast<const void*>(kernel), &run_thread, this);
  }
};

// Runs run_range(f, first, last) for parts of [0, count). Not inlined into what every loop compiles for
// itself.
[[gnu::noinline]] inline cudaError_t run_loop(std::size_t count, const void* f,
                                              void (*run_range)(const void* f, std::size_t first,
                                                                std::size_t last)) {
  std::atomic<cudaError_t> outcome{cudaSuccess};
  pool().run_ranges(count, [&](std::size_t first, std::size_t last) {
    try {
      run_range(f, first, last);
    } catch (...) {
      const kernel_fault fault = caught_fault("function");
      cudaError_t none = cudaSuccess;
      if (outcome.compare_exchange_strong(none, fault.error)) report(text_of("parallel_for: ", fault.text));
    }
  });
  return outcome;
}

// A function for all indices of a range.
template <class Function>
struct loop_call {
  std::size_t count;
  Function f;

  // The copy is the loop's own: what the loop stores cannot change it, and it stays in registers.
  static void run_range(const void* f, std::size_t first, std::size_t last) {
    const Function function = *static_cast<const Function*>(f);
    for (std::size_t i = first; i < last; ++i) function(i);
  }

  cudaError_t operator()() const { return run_loop(count, &f, &run_range); }
};

inline cudaError_t set_attribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  constexpr std::size_t most = device_limits::shared_bytes_optin;
  if (kernel == nullptr || attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) {
    return fail(cudaErrorInvalidValue, "cudaFuncSetAttribute: a null kernel or an unknown attribute");
  }
  if (value < 0 || static_cast<std::size_t>(value) > most) {
    return fail(cudaErrorInvalidValue,
                text_of("cudaFuncSetAttribute of ", kernel_name(kernel), ": ", std::to_string(value),
                        " bytes of dynamic shared memory; it is 0 to ", most));
  }
  allowances().set(kernel, static_cast<std::size_t>(value));
  return cudaSuccess;
}

// The same as a kernel, for the race checker.
template <class Function>
void loop_kernel(std::size_t count, Function f) {
  const std::size_t threads = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  const std::size_t thread = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (std::size_t i = thread; i < count; i += threads) f(i);
}

}  // namespace detail

// Dynamic shared memory of the block. When the block begins its bytes are 0xff: NaN.
inline void* dynamic_shared_memory() { return detail::kernel_runner(__func__).dynamic_shared(); }

// How much dynamic shared memory a kernel may be launched with.
template <class... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute attribute, int value) {
  return detail::set_attribute(reinterpret_cast<const void*>(kernel), attribute, value);
}

// Launches kernel(arguments...). What the hardware refuses is refused at once; a fault in the kernel comes
// when it has run.
template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments),
                "a kernel is launched with all of its arguments");
  static_assert((!std::is_reference_v<Parameters> && ...),
                "a kernel's parameters are values, not references");
  const cudaError_t error = detail::check_launch(reinterpret_cast<const void*>(kernel), config->gridDim,
                                                 config->blockDim, config->dynamicSmemBytes);
  if (error != cudaSuccess) return error;
  return detail::enqueue(
      config->stream, detail::kernel_call<Parameters...>{
                          *config, kernel, std::tuple<Parameters...>(std::forward<Arguments>(arguments)...)});
}

// f(i) for every i in [0, count), in no particular order, on the stream: a plain loop, which the compiler may
// vectorise, split over OS threads where that is worth it.
template <class Function>
cudaError_t parallel_for(cudaStream_t stream, std::size_t count, Function f) {
  if (count == 0) return cudaSuccess;
  if constexpr (detail::race_check) {
    cudaLaunchConfig_t config;
    config.gridDim = dim3(2);
    config.blockDim = dim3(32);
    config.stream = stream;
    return cudaLaunchKernelEx(&config, detail::loop_kernel<Function>, count, std::move(f));
  } else {
    if (detail::in_kernel())
      return detail::fail(cudaErrorNotSupported, "parallel_for was called in a kernel");
    return detail::enqueue(stream, detail::loop_call<Function>{count, std::move(f)});
  }
}

}  // namespace hostcuda
