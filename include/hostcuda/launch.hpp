// Kernel launches and parallel loops.
#pragma once

#include <hostcuda/engine/block.hpp>
#include <hostcuda/engine/pool.hpp>
#include <hostcuda/runtime/device.hpp>
#include <hostcuda/runtime/schedule.hpp>

#include <cstddef>
#include <latch>
#include <mutex>
#include <numeric>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace hostcuda {

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

// Kernels that may have more dynamic shared memory than every kernel may.
class shared_memory_allowances {
 public:
  void set(const void* kernel, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    bytes_[kernel] = bytes;
  }
  std::size_t of(const void* kernel) {
    const std::lock_guard lock(mutex_);
    const auto found = bytes_.find(kernel);
    return found == bytes_.end() ? device_limits::shared_bytes : found->second;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<const void*, std::size_t> bytes_;
};

inline shared_memory_allowances& allowances() {
  static auto* one =
      new shared_memory_allowances;  // never destroyed: kernels may be launched while the program ends
  return *one;
}

inline std::size_t volume(dim3 size) { return static_cast<std::size_t>(size.x) * size.y * size.z; }

inline bool fits(dim3 size, const unsigned (&limit)[3]) {
  return size.x <= limit[0] && size.y <= limit[1] && size.z <= limit[2];
}

inline cudaError_t refuse_launch(cudaError_t error, const void* kernel, const std::string& why) {
  return fail(error, "launch of " + kernel_name(kernel) + ": " + why);
}

// What the hardware would refuse.
inline cudaError_t check_launch(const cudaLaunchConfig_t& config, const void* kernel) {
  using limits = device_limits;
  if (kernel == nullptr) return fail(cudaErrorInvalidDeviceFunction, "launch of a null kernel");
  if (volume(config.gridDim) == 0 || volume(config.blockDim) == 0) {
    return refuse_launch(
        cudaErrorInvalidConfiguration, kernel,
        "nothing to run: grid " + to_text(config.gridDim) + ", block " + to_text(config.blockDim));
  }
  if (!fits(config.gridDim, limits::grid_dim)) {
    return refuse_launch(cudaErrorInvalidConfiguration, kernel,
                         "grid " + to_text(config.gridDim) + " is beyond (2147483647, 65535, 65535)");
  }
  if (!fits(config.blockDim, limits::block_dim) || volume(config.blockDim) > limits::threads_per_block) {
    return refuse_launch(
        cudaErrorInvalidConfiguration, kernel,
        "block " + to_text(config.blockDim) + " is beyond (1024, 1024, 64) or 1024 threads in all");
  }
  if (config.dynamicSmemBytes > limits::shared_bytes && config.dynamicSmemBytes > allowances().of(kernel)) {
    return refuse_launch(
        cudaErrorInvalidValue, kernel,
        std::to_string(config.dynamicSmemBytes) + " bytes of dynamic shared memory; more than " +
            std::to_string(limits::shared_bytes) + " must be allowed by cudaFuncSetAttribute");
  }
  if (in_kernel()) {
    return refuse_launch(cudaErrorNotSupported, kernel, "kernels that launch kernels are not implemented");
  }
  if (config.numAttrs != 0 && config.attrs == nullptr) {
    return refuse_launch(cudaErrorInvalidValue, kernel, "launch attributes are counted but not given");
  }
  return cudaSuccess;
}

// The block that is taken `step`-th: a bijection of [0, count).
class block_order {
 public:
  block_order(std::size_t count, thread_order order, std::uint64_t seed) : count_(count), order_(order) {
    if (order != thread_order::shuffled) return;
    stride_ = next_random(seed) % count + 1;
    while (std::gcd(stride_, count) != 1) ++stride_;
    stride_ %= count;
    start_ = next_random(seed) % count;
  }
  std::size_t operator()(std::size_t step) const {
    if (order_ == thread_order::forward) return step;
    if (order_ == thread_order::reverse) return count_ - 1 - step;
    __extension__ using wide = unsigned __int128;
    return static_cast<std::size_t>((static_cast<wide>(stride_) * step + start_) % count_);
  }

 private:
  std::size_t count_;
  thread_order order_;
  std::size_t stride_ = 1, start_ = 0;
};

inline void run_block(grid& launch, std::size_t number) {
  if (launch.failed.load(std::memory_order_relaxed)) return;
  try {
    runner().run(launch, number);
  } catch (const kernel_fault& fault) {
    launch.fail(fault.error, "block number " + std::to_string(number), fault.text);
  } catch (const std::exception& error) {
    launch.fail(cudaErrorMemoryAllocation, "block number " + std::to_string(number), error.what());
  }
}

// To the race checker, blocks that one OS thread runs are in order, since they share its shared memory. So
// they are dealt out, block i to thread i % n, and the latch sees to it that the n threads are there.
inline void run_blocks_dealt_out(grid& launch, std::size_t count, const block_order& block) {
  static std::mutex one_launch;
  const std::lock_guard lock(one_launch);
  const std::size_t threads = std::min(count, pool().available());
  std::latch all_here(static_cast<std::ptrdiff_t>(threads));
  pool().share(threads, [&](std::size_t thread) {
    all_here.arrive_and_wait();
    for (std::size_t i = thread; i < count; i += threads) run_block(launch, block(i));
  });
}

inline cudaError_t run_grid(grid& launch) {
  launch.order = settings().order;
  launch.seed = settings().seed;
  const std::size_t count = volume(launch.size);
  const block_order block(count, launch.order, launch.seed);
  launch.start.release();
  if constexpr (race_check) {
    run_blocks_dealt_out(launch, count, block);
  } else {
    pool().run(count, [&](std::size_t i) { run_block(launch, block(i)); });
  }
  launch.finish.acquire();
  return launch.error;
}

// A kernel with its arguments, copied when it is enqueued: it may run later, or again and again.
template <class... Parameters>
struct kernel_call {
  void (*kernel)(Parameters...);
  std::tuple<Parameters...> arguments;
  dim3 size, block;
  std::size_t shared_bytes;

  static void run_thread(const void* call) {
    const auto& self = *static_cast<const kernel_call*>(call);
    std::apply(self.kernel, self.arguments);
  }
  cudaError_t operator()() const {
    grid launch;
    launch.size = size;
    launch.block = block;
    launch.shared_bytes = shared_bytes;
    launch.run_thread = &run_thread;
    launch.call = this;
    launch.kernel = reinterpret_cast<const void*>(kernel);
    return run_grid(launch);
  }
};

}  // namespace detail

// Dynamic shared memory of the block. Its contents are NaN (bytes 0xff) when the block begins.
inline void* dynamic_shared_memory() {
  return detail::kernel_runner("dynamic_shared_memory()").dynamic_shared();
}

template <class... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute attribute, int value) {
  using limits = detail::device_limits;
  if (kernel == nullptr || attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) {
    return detail::fail(cudaErrorInvalidValue, "cudaFuncSetAttribute: a null kernel or an unknown attribute");
  }
  if (value < 0 || static_cast<std::size_t>(value) > limits::shared_bytes_optin) {
    return detail::fail(cudaErrorInvalidValue, "cudaFuncSetAttribute: " + std::to_string(value) +
                                                   " bytes of dynamic shared memory; a block has at most " +
                                                   std::to_string(limits::shared_bytes_optin));
  }
  detail::allowances().set(reinterpret_cast<const void*>(kernel), static_cast<std::size_t>(value));
  return cudaSuccess;
}

// Launches kernel(arguments...). Errors that the hardware would give for the configuration come at once; a
// fault in the kernel comes when it has run.
template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments),
                "a kernel is launched with all of its arguments");
  static_assert((!std::is_reference_v<Parameters> && ...),
                "a kernel's parameters are values, not references");
  static_assert((std::is_convertible_v<Arguments&&, Parameters> && ...),
                "a kernel's arguments convert to its parameters");
  if (const cudaError_t error = detail::check_launch(*config, reinterpret_cast<const void*>(kernel));
      error != cudaSuccess) {
    return error;
  }
  return detail::enqueue(config->stream, detail::kernel_call<Parameters...>{
                                             kernel,
                                             {static_cast<Parameters>(std::forward<Arguments>(arguments))...},
                                             config->gridDim,
                                             config->blockDim,
                                             config->dynamicSmemBytes});
}

namespace detail {

template <class Function>
void parallel_for_kernel(std::size_t count, Function f) {
  const std::size_t threads = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += threads)
    f(i);
}

}  // namespace detail

// f(i) for every i in [0, count), in no particular order, on the stream. It is a plain loop that the compiler
// may vectorise; under the race checker a kernel.
template <class Function>
cudaError_t parallel_for(cudaStream_t stream, std::size_t count, Function f) {
  if (count == 0) return cudaSuccess;
  if constexpr (detail::race_check) {
    cudaLaunchConfig_t config;
    config.gridDim = dim3(2);
    config.blockDim = dim3(32);
    config.stream = stream;
    return cudaLaunchKernelEx(&config, detail::parallel_for_kernel<Function>, count, f);
  } else {
    return detail::enqueue(stream, [count, f] {
      detail::pool().run_ranges(count, [&f](std::size_t first, std::size_t last) {
        for (std::size_t i = first; i < last; ++i) f(i);
      });
      return cudaSuccess;
    });
  }
}

}  // namespace hostcuda
