// What the hardware refuses to launch.
#pragma once

#include <hostcuda/engine/block.hpp>
#include <hostcuda/engine/grid.hpp>
#include <hostcuda/runtime/device.hpp>

#include <cstddef>
#include <map>
#include <mutex>
#include <string>

namespace hostcuda::detail {

// Kernels that may have more dynamic shared memory than any kernel may.
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
  std::map<const void*, std::size_t> bytes_;
};

// Never destroyed: kernels may be launched while the program ends.
inline shared_memory_allowances& allowances() {
  static auto* one = new shared_memory_allowances;
  return *one;
}

inline dim3 extent(const unsigned (&sizes)[3]) { return dim3(sizes[0], sizes[1], sizes[2]); }

inline bool is_empty(dim3 size) { return size.x == 0 || size.y == 0 || size.z == 0; }

inline bool fits(dim3 size, dim3 limit) {
  return size.x <= limit.x && size.y <= limit.y && size.z <= limit.z;
}

inline std::size_t volume(dim3 size) { return static_cast<std::size_t>(size.x) * size.y * size.z; }

inline cudaError_t check_launch(const void* kernel, dim3 size, dim3 block, std::size_t shared_bytes) {
  using limits = device_limits;
  constexpr unsigned most_threads_per_block = limits::threads_per_block;
  static_assert(most_threads_per_block <= most_threads && limits::warp_size == warp_lanes);
  const auto refuse = [&](cudaError_t error, const std::string& why) {
    return fail(error, text_of("launch of ", kernel_name(kernel), ", grid ", to_text(size), ", block ",
                               to_text(block), ": ", why));
  };
  if (kernel == nullptr) return fail(cudaErrorInvalidDeviceFunction, "launch of a null kernel");
  if (is_empty(size)) return refuse(cudaErrorInvalidConfiguration, "a grid without blocks");
  if (is_empty(block)) return refuse(cudaErrorInvalidConfiguration, "a block without threads");
  if (!fits(size, extent(limits::grid_dim))) {
    return refuse(cudaErrorInvalidConfiguration,
                  text_of("a grid is at most ", to_text(extent(limits::grid_dim))));
  }
  if (!fits(block, extent(limits::block_dim)) || volume(block) > most_threads_per_block) {
    return refuse(cudaErrorInvalidConfiguration,
                  text_of("a block is at most ", to_text(extent(limits::block_dim)), " and ",
                          most_threads_per_block, " threads in all"));
  }
  if (shared_bytes > limits::shared_bytes && shared_bytes > allowances().of(kernel)) {
    return refuse(cudaErrorInvalidValue,
                  text_of(shared_bytes, " bytes of dynamic shared memory; more than ", limits::shared_bytes,
                          " must be allowed by cudaFuncSetAttribute"));
  }
  if (in_kernel()) return refuse(cudaErrorNotSupported, "kernels cannot launch kernels here");
  return cudaSuccess;
}

}  // namespace hostcuda::detail
