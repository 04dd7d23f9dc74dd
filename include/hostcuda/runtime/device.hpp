// The one device there is: a made-up GPU of compute capability 8.0 whose multiprocessors are the pool's
// workers. Its limits are an A100's, so that a launch which such a GPU refuses is refused here too.
#pragma once

#include <hostcuda/runtime/memory.hpp>

namespace hostcuda {

struct cudaDeviceProp {
  char name[256];
  std::size_t totalGlobalMem;
  std::size_t sharedMemPerBlock;
  int regsPerBlock;
  int warpSize;
  std::size_t memPitch;
  int maxThreadsPerBlock;
  int maxThreadsDim[3];
  int maxGridSize[3];
  std::size_t totalConstMem;
  int major;
  int minor;
  std::size_t textureAlignment;
  int multiProcessorCount;
  int integrated;
  int canMapHostMemory;
  int concurrentKernels;
  int asyncEngineCount;
  int unifiedAddressing;
  int memoryBusWidth;
  int l2CacheSize;
  int maxThreadsPerMultiProcessor;
  int streamPrioritiesSupported;
  std::size_t sharedMemPerMultiprocessor;
  int regsPerMultiprocessor;
  int managedMemory;
  int concurrentManagedAccess;
  int cooperativeLaunch;
  std::size_t sharedMemPerBlockOptin;
  int maxBlocksPerMultiProcessor;
  std::size_t reservedSharedMemPerBlock;
};

enum cudaDeviceAttr : int {
  cudaDevAttrMaxThreadsPerBlock = 1,
  cudaDevAttrMaxBlockDimX = 2,
  cudaDevAttrMaxBlockDimY = 3,
  cudaDevAttrMaxBlockDimZ = 4,
  cudaDevAttrMaxGridDimX = 5,
  cudaDevAttrMaxGridDimY = 6,
  cudaDevAttrMaxGridDimZ = 7,
  cudaDevAttrMaxSharedMemoryPerBlock = 8,
  cudaDevAttrTotalConstantMemory = 9,
  cudaDevAttrWarpSize = 10,
  cudaDevAttrMaxRegistersPerBlock = 12,
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrIntegrated = 18,
  cudaDevAttrConcurrentKernels = 31,
  cudaDevAttrL2CacheSize = 38,
  cudaDevAttrMaxThreadsPerMultiProcessor = 39,
  cudaDevAttrUnifiedAddressing = 41,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMaxSharedMemoryPerMultiprocessor = 81,
  cudaDevAttrMaxRegistersPerMultiprocessor = 82,
  cudaDevAttrManagedMemory = 83,
  cudaDevAttrCooperativeLaunch = 95,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
  cudaDevAttrMaxBlocksPerMultiprocessor = 106,
  cudaDevAttrReservedSharedMemoryPerBlock = 111,
};

namespace detail {

// What a launch is checked against.
struct device_limits {
  static constexpr unsigned warp_size = 32;
  static constexpr unsigned threads_per_block = 1024;
  static constexpr unsigned block_dim[3] = {1024, 1024, 64};
  static constexpr unsigned grid_dim[3] = {2147483647, 65535, 65535};
  static constexpr unsigned threads_per_multiprocessor = 2048;
  static constexpr unsigned blocks_per_multiprocessor = 32;
  static constexpr std::size_t shared_bytes = 48 << 10;         // without asking
  static constexpr std::size_t shared_bytes_optin = 163 << 10;  // with cudaFuncSetAttribute
  static constexpr std::size_t shared_bytes_per_multiprocessor = 164 << 10;
  static constexpr std::size_t reserved_shared_bytes_per_block = 1 << 10;
};

inline cudaDeviceProp describe_device() {
  using limits = device_limits;
  cudaDeviceProp device{};
  std::snprintf(device.name, sizeof device.name, "hostcuda: CPU");
  device.totalGlobalMem = memory_map::total();
  device.sharedMemPerBlock = limits::shared_bytes;
  device.regsPerBlock = 65536;
  device.warpSize = static_cast<int>(limits::warp_size);
  device.memPitch = 2147483647;
  device.maxThreadsPerBlock = static_cast<int>(limits::threads_per_block);
  for (int axis = 0; axis < 3; ++axis) {
    device.maxThreadsDim[axis] = static_cast<int>(limits::block_dim[axis]);
    device.maxGridSize[axis] = static_cast<int>(limits::grid_dim[axis]);
  }
  device.totalConstMem = 64 << 10;
  device.major = 8;
  device.minor = 0;
  device.textureAlignment = 512;
  device.multiProcessorCount = settings().workers;
  device.integrated = 1;
  device.canMapHostMemory = 1;
  device.concurrentKernels = 1;
  device.asyncEngineCount = 0;
  device.unifiedAddressing = 1;
  device.memoryBusWidth = 64;
  device.l2CacheSize = 1 << 20;
  device.maxThreadsPerMultiProcessor = static_cast<int>(limits::threads_per_multiprocessor);
  device.sharedMemPerMultiprocessor = limits::shared_bytes_per_multiprocessor;
  device.regsPerMultiprocessor = 65536;
  device.managedMemory = 1;
  device.sharedMemPerBlockOptin = limits::shared_bytes_optin;
  device.maxBlocksPerMultiProcessor = static_cast<int>(limits::blocks_per_multiprocessor);
  device.reservedSharedMemPerBlock = limits::reserved_shared_bytes_per_block;
  return device;
}

inline std::optional<int> attribute(const cudaDeviceProp& device, cudaDeviceAttr which) {
  switch (which) {
    case cudaDevAttrMaxThreadsPerBlock:
      return device.maxThreadsPerBlock;
    case cudaDevAttrMaxBlockDimX:
      return device.maxThreadsDim[0];
    case cudaDevAttrMaxBlockDimY:
      return device.maxThreadsDim[1];
    case cudaDevAttrMaxBlockDimZ:
      return device.maxThreadsDim[2];
    case cudaDevAttrMaxGridDimX:
      return device.maxGridSize[0];
    case cudaDevAttrMaxGridDimY:
      return device.maxGridSize[1];
    case cudaDevAttrMaxGridDimZ:
      return device.maxGridSize[2];
    case cudaDevAttrMaxSharedMemoryPerBlock:
      return static_cast<int>(device.sharedMemPerBlock);
    case cudaDevAttrTotalConstantMemory:
      return static_cast<int>(device.totalConstMem);
    case cudaDevAttrWarpSize:
      return device.warpSize;
    case cudaDevAttrMaxRegistersPerBlock:
      return device.regsPerBlock;
    case cudaDevAttrMultiProcessorCount:
      return device.multiProcessorCount;
    case cudaDevAttrIntegrated:
      return device.integrated;
    case cudaDevAttrConcurrentKernels:
      return device.concurrentKernels;
    case cudaDevAttrL2CacheSize:
      return device.l2CacheSize;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      return device.maxThreadsPerMultiProcessor;
    case cudaDevAttrUnifiedAddressing:
      return device.unifiedAddressing;
    case cudaDevAttrComputeCapabilityMajor:
      return device.major;
    case cudaDevAttrComputeCapabilityMinor:
      return device.minor;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      return static_cast<int>(device.sharedMemPerMultiprocessor);
    case cudaDevAttrMaxRegistersPerMultiprocessor:
      return device.regsPerMultiprocessor;
    case cudaDevAttrManagedMemory:
      return device.managedMemory;
    case cudaDevAttrCooperativeLaunch:
      return device.cooperativeLaunch;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return static_cast<int>(device.sharedMemPerBlockOptin);
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      return device.maxBlocksPerMultiProcessor;
    case cudaDevAttrReservedSharedMemoryPerBlock:
      return static_cast<int>(device.reservedSharedMemPerBlock);
  }
  return std::nullopt;
}

inline cudaError_t check_device(int device, const char* call) {
  if (device == 0) return record(sticky_fault.load());
  return fail(cudaErrorInvalidDevice, text_of(call, ": hostcuda has one device, number 0"));
}

// The version of CUDA whose interface this is.
inline constexpr int cuda_version = 12000;

}  // namespace detail

inline cudaError_t cudaGetDeviceCount(int* count) {
  if (count == nullptr)
    return detail::fail(cudaErrorInvalidValue, "cudaGetDeviceCount: no place for the result");
  *count = 1;
  return cudaSuccess;
}

inline cudaError_t cudaGetDevice(int* device) {
  if (device == nullptr) return detail::fail(cudaErrorInvalidValue, "cudaGetDevice: no place for the result");
  *device = 0;
  return cudaSuccess;
}

inline cudaError_t cudaSetDevice(int device) { return detail::check_device(device, "cudaSetDevice"); }

inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (properties == nullptr) {
    return detail::fail(cudaErrorInvalidValue, "cudaGetDeviceProperties: no place for the result");
  }
  if (const cudaError_t error = detail::check_device(device, "cudaGetDeviceProperties")) return error;
  *properties = detail::describe_device();
  return cudaSuccess;
}

inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int device) {
  if (const cudaError_t error = detail::check_device(device, "cudaDeviceGetAttribute")) return error;
  const std::optional<int> found = detail::attribute(detail::describe_device(), which);
  if (value == nullptr || !found) {
    return detail::fail(cudaErrorInvalidValue,
                        "cudaDeviceGetAttribute: an attribute that hostcuda does not know, or "
                        "no place for its value");
  }
  *value = *found;
  return cudaSuccess;
}

inline cudaError_t cudaDriverGetVersion(int* version) {
  if (version == nullptr)
    return detail::fail(cudaErrorInvalidValue, "cudaDriverGetVersion: no place for the result");
  *version = detail::cuda_version;
  return cudaSuccess;
}

inline cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }

// Forgets faults, errors, captures and queued work. Memory, streams and events live on: their owners still
// free them.
inline void reset_device() {
  detail::scheduler& all = detail::the_scheduler();
  const std::lock_guard lock(all.mutex);
  all.drop_pending();
  while (!all.captures.empty()) all.end_capture(all.captures.back());
  detail::clear_errors();
}

inline cudaError_t cudaDeviceReset() {
  reset_device();
  return cudaSuccess;
}

}  // namespace hostcuda
