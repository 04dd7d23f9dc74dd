// Device memory and copies. Device memory is host memory, made to behave like a device's: it begins as NaN,
// every block is exactly as long as it was asked for (AddressSanitizer sees one byte too far), and a copy is
// checked against the map of live allocations.
#pragma once

#include <hostcuda/runtime/stream.hpp>

#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>

namespace hostcuda {

enum cudaMemcpyKind : int {
  cudaMemcpyHostToHost = 0,
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost = 2,
  cudaMemcpyDeviceToDevice = 3,
  cudaMemcpyDefault = 4,
};

inline constexpr unsigned cudaHostAllocDefault = 0;
inline constexpr unsigned cudaHostAllocPortable = 1;
inline constexpr unsigned cudaHostAllocMapped = 2;
inline constexpr unsigned cudaHostAllocWriteCombined = 4;
inline constexpr unsigned cudaMemAttachGlobal = 1;
inline constexpr unsigned cudaMemAttachHost = 2;

namespace detail {

enum class memory_kind { device, managed, pinned };

struct memory_block {
  std::size_t size = 0;
  memory_kind kind = memory_kind::device;
  bool doomed = false;  // given to cudaFreeAsync: no later call may use it
};

[[gnu::cold, gnu::noinline]] inline std::string in_hexadecimal(const void* address) {
  char text[2 + 2 * sizeof(void*) + 1];
  std::snprintf(text, sizeof text, "%p", address);
  return text;
}

// The live allocations.
class memory_map {
 public:
  std::atomic<std::size_t> allocations{0};

  static std::size_t total() {
    static const std::size_t bytes =
        static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGE_SIZE));
    return bytes;
  }

  std::size_t used() {
    const std::lock_guard lock(mutex_);
    return used_;
  }

  cudaError_t allocate(void** memory, std::size_t size, memory_kind kind) try {
    *memory = nullptr;
    if (size == 0) return cudaSuccess;
    const std::lock_guard lock(mutex_);
    if (size > total() - used_) return out_of_memory(size);
    void* made = ::operator new(size, alignment, std::nothrow);
    if (made == nullptr) return out_of_memory(size);
    try {
      blocks_.emplace(key(made), memory_block{size, kind});
    } catch (const std::bad_alloc&) {
      ::operator delete(made, alignment);
      throw;
    }
    std::memset(made, 0xff, std::min(size, most_poison));
    used_ += size;
    allocations.fetch_add(1, std::memory_order_relaxed);
    *memory = made;
    return cudaSuccess;
  } catch (const std::bad_alloc&) {
    return out_of_memory(size);
  }

  // Gives `memory` back to the system; `call` may free pinned memory or the rest, never both.
  cudaError_t release(void* memory, bool pinned, const char* call) {
    const std::lock_guard lock(mutex_);
    const auto block = blocks_.find(key(memory));
    if (block == blocks_.end() || (block->second.kind == memory_kind::pinned) != pinned) {
      return not_freeable(memory, call);
    }
    used_ -= block->second.size;
    blocks_.erase(block);
    ::operator delete(memory, alignment);
    return cudaSuccess;
  }

  // From now on no call may use `memory`; release() follows in its stream's order.
  cudaError_t doom(void* memory, const char* call) {
    const std::lock_guard lock(mutex_);
    const auto block = blocks_.find(key(memory));
    if (block == blocks_.end() || block->second.kind == memory_kind::pinned || block->second.doomed) {
      return not_freeable(memory, call);
    }
    block->second.doomed = true;
    return cudaSuccess;
  }

  struct place {
    memory_block block;
    std::size_t offset = 0;
  };

  // The live allocation that `address` lies in.
  std::optional<place> find(const void* address) {
    const std::lock_guard lock(mutex_);
    const auto block = blocks_.lower_bound(key(address));
    if (block == blocks_.end() || block->second.doomed) return std::nullopt;
    const std::size_t offset = block->first - key(address);
    if (offset >= block->second.size) return std::nullopt;
    return place{block->second, offset};
  }

 private:
  static constexpr std::align_val_t alignment{256};
  static constexpr std::size_t most_poison = std::size_t{16} << 20;  // beyond it filling would be felt

  // Addresses are kept inverted, so that LeakSanitizer does not take this map for an owner: device memory
  // that the program has lost is a leak. The order is inverted with them.
  static std::uintptr_t key(const void* address) { return ~reinterpret_cast<std::uintptr_t>(address); }

  static cudaError_t out_of_memory(std::size_t size) {
    return fail(cudaErrorMemoryAllocation, text_of("no room for an allocation of ", size, " bytes"));
  }

  static cudaError_t not_freeable(const void* memory, const char* call) {
    return fail(cudaErrorInvalidValue,
                text_of(call, ": ", in_hexadecimal(memory),
                        " is not the start of a live allocation of this kind (freed before?)"));
  }

  std::mutex mutex_;
  std::map<std::uintptr_t, memory_block> blocks_;
  std::size_t used_ = 0;
};

inline memory_map& memory() {
  static auto* one = new memory_map;
  return *one;
}

// Waits for the whole device first. A fault does not keep memory from being freed.
inline cudaError_t free_memory(void* memory, bool pinned, const char* call) {
  if (memory == nullptr) return record(sticky_fault.load());
  if (in_host_function) return check_call();
  {
    scheduler& all = the_scheduler();
    const std::lock_guard lock(all.mutex);
    if (const cudaError_t error = all.check_unsafe(call); error != cudaSuccess) return error;
    finish_all(all);
  }
  if (const cudaError_t error = detail::memory().release(memory, pinned, call); error != cudaSuccess)
    return error;
  return record(sticky_fault.load());
}

// A call that a capture may forbid.
inline cudaError_t check_unsafe_call(const char* call) {
  if (unobstructed()) return cudaSuccess;
  if (const cudaError_t error = check_call(); error != cudaSuccess) return record(error);
  scheduler& all = the_scheduler();
  const std::lock_guard lock(all.mutex);
  return all.check_unsafe(call);
}

// A call that works on the legacy default stream and may wait for it.
inline cudaError_t check_legacy_call(const char* call) {
  if (unobstructed()) return cudaSuccess;
  if (const cudaError_t error = check_call(); error != cudaSuccess) return record(error);
  scheduler& all = the_scheduler();
  const std::lock_guard lock(all.mutex);
  if (const cudaError_t error = all.check_legacy(call); error != cudaSuccess) return error;
  return all.check_unsafe(call);
}

inline bool is_captured(cudaStream_t stream) {
  if (unobstructed() || stream == nullptr) return false;
  const std::lock_guard lock(the_scheduler().mutex);
  return stream->place.recording != nullptr;
}

template <class T>
cudaError_t allocate_memory(T** memory, std::size_t size, memory_kind kind, const char* call) {
  if (memory == nullptr) return fail(cudaErrorInvalidValue, text_of(call, ": no place for the pointer"));
  if (const cudaError_t error = check_unsafe_call(call); error != cudaSuccess) return error;
  void* made = nullptr;
  const cudaError_t error = detail::memory().allocate(&made, size, kind);
  *memory = static_cast<T*>(made);
  return error;
}

// `height` rows of `width` bytes, `pitch` bytes apart.
struct rectangle {
  std::size_t width = 0;
  std::size_t height = 0;
  std::size_t pitch = 0;

  bool empty() const { return width == 0 || height == 0; }
  // From the first byte to the last.
  std::optional<std::size_t> extent() const {
    if (height - 1 > (std::numeric_limits<std::size_t>::max() - width) / std::max<std::size_t>(pitch, 1)) {
      return std::nullopt;
    }
    return (height - 1) * pitch + width;
  }
};

enum class memory_side { host, device, either };

// What keeps `call` from using `shape` at `address`; `pageable` says whether that is plain host memory.
inline cudaError_t check_memory(const void* address, const rectangle& shape, memory_side side,
                                const char* call, bool* pageable = nullptr) {
  const auto invalid = [&](const char* why) {
    return fail(cudaErrorInvalidValue, text_of(call, ": ", in_hexadecimal(address), " ", why));
  };
  const std::optional<std::size_t> extent = shape.extent();
  if (address == nullptr || !extent) return invalid("cannot hold what is copied");
  const std::optional<memory_map::place> found = memory().find(address);
  if (pageable != nullptr) *pageable = !found;
  if (!found) {
    return side == memory_side::device ? invalid("is not in live device memory (host memory, or freed?)")
                                       : cudaSuccess;
  }
  const memory_kind kind = found->block.kind;
  if (side == memory_side::device && kind == memory_kind::pinned)
    return invalid("is host memory, not the device's");
  if (side == memory_side::host && kind == memory_kind::device)
    return invalid("is device memory, not the host's");
  if (*extent > found->block.size - found->offset) {
    return fail(cudaErrorInvalidValue, text_of(call, ": ", *extent, " bytes at ", in_hexadecimal(address),
                                               " reach beyond their allocation: it has ", found->block.size,
                                               " bytes, of which ", found->offset, " lie before"));
  }
  return cudaSuccess;
}

inline void copy_rows(void* to, std::size_t to_pitch, const void* from, const rectangle& shape) {
  for (std::size_t row = 0; row < shape.height; ++row) {
    std::memcpy(static_cast<char*>(to) + row * to_pitch, static_cast<const char*>(from) + row * shape.pitch,
                shape.width);
  }
}

struct copy_request {
  void* to = nullptr;
  std::size_t to_pitch = 0;
  const void* from = nullptr;
  rectangle shape;  // its pitch is that of `from`
  cudaMemcpyKind kind = cudaMemcpyDefault;
};

// Pageable host memory is read before the call returns, as CUDA does: what is queued works on a copy of it.
inline cudaError_t enqueue_staged_copy(const copy_request& copy, cudaStream_t stream) try {
  std::vector<char> staged(copy.shape.width * copy.shape.height);
  copy_rows(staged.data(), copy.shape.width, copy.from, copy.shape);
  return enqueue(stream, [copy, staged = std::move(staged)] {
    copy_rows(copy.to, copy.to_pitch, staged.data(), {copy.shape.width, copy.shape.height, copy.shape.width});
    return cudaSuccess;
  });
} catch (const std::bad_alloc&) {
  return fail(cudaErrorMemoryAllocation, "no host memory is left to stage a copy in");
}

inline cudaError_t copy_async(const copy_request& copy, cudaStream_t stream, const char* call) {
  if (copy.kind < cudaMemcpyHostToHost || copy.kind > cudaMemcpyDefault) {
    return fail(cudaErrorInvalidMemcpyDirection, text_of(call, ": unknown cudaMemcpyKind"));
  }
  if (copy.shape.width > copy.shape.pitch || copy.shape.width > copy.to_pitch) {
    return fail(cudaErrorInvalidPitchValue, text_of(call, ": a row is wider than its pitch"));
  }
  if (copy.shape.empty()) return record(sticky_fault.load());
  const bool by_address = copy.kind == cudaMemcpyDefault;
  const bool to_device = copy.kind == cudaMemcpyHostToDevice || copy.kind == cudaMemcpyDeviceToDevice;
  const bool from_device = copy.kind == cudaMemcpyDeviceToHost || copy.kind == cudaMemcpyDeviceToDevice;
  const auto side = [&](bool device) {
    return by_address ? memory_side::either : device ? memory_side::device : memory_side::host;
  };
  bool to_pageable = false;
  bool from_pageable = false;
  const rectangle to_shape{copy.shape.width, copy.shape.height, copy.to_pitch};
  if (const cudaError_t error = check_memory(copy.to, to_shape, side(to_device), call, &to_pageable)) {
    return error;
  }
  if (const cudaError_t error =
          check_memory(copy.from, copy.shape, side(from_device), call, &from_pageable)) {
    return error;
  }
  const bool kept = deferred() && !is_captured(stream);
  if (kept && from_pageable) return enqueue_staged_copy(copy, stream);
  const cudaError_t error = enqueue(stream, [copy] {
    copy_rows(copy.to, copy.to_pitch, copy.from, copy.shape);
    return cudaSuccess;
  });
  if (error != cudaSuccess || !kept || !to_pageable) return error;
  return cudaStreamSynchronize(stream);  // a copy to pageable memory has arrived when the call returns
}

inline cudaError_t copy_blocking(const copy_request& copy, const char* call) {
  if (const cudaError_t error = check_legacy_call(call); error != cudaSuccess) return error;
  if (const cudaError_t error = copy_async(copy, cudaStreamLegacy, call); error != cudaSuccess) return error;
  return copy.kind == cudaMemcpyDeviceToDevice ? cudaSuccess : cudaStreamSynchronize(cudaStreamLegacy);
}

inline cudaError_t fill_async(void* memory, int value, const rectangle& shape, cudaStream_t stream,
                              const char* call) {
  if (shape.width > shape.pitch) {
    return fail(cudaErrorInvalidPitchValue, text_of(call, ": a row is wider than its pitch"));
  }
  if (shape.empty()) return record(sticky_fault.load());
  if (const cudaError_t error = check_memory(memory, shape, memory_side::device, call)) return error;
  return enqueue(stream, [memory, value, shape] {
    for (std::size_t row = 0; row < shape.height; ++row) {
      std::memset(static_cast<char*>(memory) + row * shape.pitch, value, shape.width);
    }
    return cudaSuccess;
  });
}

}  // namespace detail

// How many blocks of memory (device, managed and pinned) the program has been given so far: a program that
// must not allocate compares two calls.
inline std::size_t allocation_count() { return detail::memory().allocations.load(std::memory_order_relaxed); }

template <class T>
cudaError_t cudaMalloc(T** memory, std::size_t size) {
  return detail::allocate_memory(memory, size, detail::memory_kind::device, "cudaMalloc");
}

template <class T>
cudaError_t cudaMallocManaged(T** memory, std::size_t size, unsigned flags = cudaMemAttachGlobal) {
  if (flags != cudaMemAttachGlobal && flags != cudaMemAttachHost) {
    return detail::fail(cudaErrorInvalidValue,
                        "cudaMallocManaged takes cudaMemAttachGlobal or cudaMemAttachHost");
  }
  return detail::allocate_memory(memory, size, detail::memory_kind::managed, "cudaMallocManaged");
}

template <class T>
cudaError_t cudaHostAlloc(T** memory, std::size_t size, unsigned flags) {
  if ((flags & ~(cudaHostAllocPortable | cudaHostAllocMapped | cudaHostAllocWriteCombined)) != 0) {
    return detail::fail(cudaErrorInvalidValue, "cudaHostAlloc: unknown flag");
  }
  return detail::allocate_memory(memory, size, detail::memory_kind::pinned, "cudaHostAlloc");
}

template <class T>
cudaError_t cudaMallocHost(T** memory, std::size_t size, unsigned flags = cudaHostAllocDefault) {
  return cudaHostAlloc(memory, size, flags);
}

// The memory is there at once; freeing it again is in the stream's order. Neither can be captured.
template <class T>
cudaError_t cudaMallocAsync(T** memory, std::size_t size, cudaStream_t stream) {
  if (detail::is_captured(stream)) {
    return detail::fail(cudaErrorNotSupported, "cudaMallocAsync: hostcuda has no allocation nodes in graphs");
  }
  return detail::allocate_memory(memory, size, detail::memory_kind::device, "cudaMallocAsync");
}

inline cudaError_t cudaFree(void* memory) { return detail::free_memory(memory, false, "cudaFree"); }
inline cudaError_t cudaFreeHost(void* memory) { return detail::free_memory(memory, true, "cudaFreeHost"); }

inline cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  if (memory == nullptr) return detail::record(detail::sticky_fault.load());
  if (detail::is_captured(stream)) {
    return detail::fail(cudaErrorNotSupported, "cudaFreeAsync: hostcuda has no allocation nodes in graphs");
  }
  if (const cudaError_t error = detail::memory().doom(memory, "cudaFreeAsync"); error != cudaSuccess)
    return error;
  return detail::enqueue(stream,
                         [memory] { return detail::memory().release(memory, false, "cudaFreeAsync"); });
}

inline cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  if (free == nullptr || total == nullptr) {
    return detail::fail(cudaErrorInvalidValue, "cudaMemGetInfo: no place for the result");
  }
  *total = detail::memory_map::total();
  *free = *total - detail::memory().used();
  return detail::record(detail::sticky_fault.load());
}

inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t count, cudaMemcpyKind kind,
                                   cudaStream_t stream = nullptr) {
  return detail::copy_async({to, count, from, {count, 1, count}, kind}, stream, "cudaMemcpyAsync");
}

inline cudaError_t cudaMemcpy(void* to, const void* from, std::size_t count, cudaMemcpyKind kind) {
  return detail::copy_blocking({to, count, from, {count, 1, count}, kind}, "cudaMemcpy");
}

inline cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                                     std::size_t width, std::size_t height, cudaMemcpyKind kind,
                                     cudaStream_t stream = nullptr) {
  return detail::copy_async({to, to_pitch, from, {width, height, from_pitch}, kind}, stream,
                            "cudaMemcpy2DAsync");
}

inline cudaError_t cudaMemcpy2D(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                                std::size_t width, std::size_t height, cudaMemcpyKind kind) {
  return detail::copy_blocking({to, to_pitch, from, {width, height, from_pitch}, kind}, "cudaMemcpy2D");
}

inline cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t count,
                                   cudaStream_t stream = nullptr) {
  return detail::fill_async(memory, value, {count, 1, count}, stream, "cudaMemsetAsync");
}

inline cudaError_t cudaMemset(void* memory, int value, std::size_t count) {
  if (const cudaError_t error = detail::check_legacy_call("cudaMemset"); error != cudaSuccess) return error;
  return detail::fill_async(memory, value, {count, 1, count}, cudaStreamLegacy, "cudaMemset");
}

inline cudaError_t cudaMemset2DAsync(void* memory, std::size_t pitch, int value, std::size_t width,
                                     std::size_t height, cudaStream_t stream = nullptr) {
  return detail::fill_async(memory, value, {width, height, pitch}, stream, "cudaMemset2DAsync");
}

}  // namespace hostcuda
