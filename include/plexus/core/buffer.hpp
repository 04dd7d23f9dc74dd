// The owners of device memory and of pinned host memory, and copies between device and host.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/core/view.hpp>

#include <limits>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

struct device_memory {
  static constexpr const char* allocating = "allocating device memory";
  static cudaError_t allocate(void** memory, std::size_t bytes) { return cudaMalloc(memory, bytes); }
  static void free(void* memory) { cudaFree(memory); }
};

// Host memory that the device copies from while the host does other things.
struct pinned_memory {
  static constexpr const char* allocating = "allocating pinned host memory";
  static cudaError_t allocate(void** memory, std::size_t bytes) { return cudaMallocHost(memory, bytes); }
  static void free(void* memory) { cudaFreeHost(memory); }
};

// Owns `size` elements of memory, uninitialised. Movable, not copyable: a copy needs a stream.
template <class T, class Memory = device_memory>
class buffer {
  static_assert(std::is_trivially_copyable_v<T>, "plexus::buffer: it holds trivially copyable types only");

 public:
  buffer() = default;
  buffer(buffer&& other) noexcept : memory_(std::move(other.memory_)), size_(std::exchange(other.size_, 0)) {}
  buffer& operator=(buffer&& other) noexcept {
    memory_ = std::move(other.memory_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  explicit buffer(std::size_t size) : size_(size) {
    require(size <= std::numeric_limits<std::size_t>::max() / sizeof(T), Memory::allocating,
            "the size in bytes does not fit in size_t", "ask for fewer elements");
    if (size == 0) return;
    void* memory = nullptr;
    check(Memory::allocate(&memory, size * sizeof(T)), Memory::allocating);
    memory_.reset(static_cast<T*>(memory));
  }

  T* data() const { return memory_.get(); }
  std::size_t size() const { return size_; }
  plexus::view<T> view() const { return {data(), size_}; }

 private:
  struct free {
    void operator()(T* memory) const { Memory::free(memory); }
  };
  std::unique_ptr<T, free> memory_;
  std::size_t size_ = 0;
};

template <class T>
using pinned_buffer = buffer<T, pinned_memory>;

// Host to device, in the stream's order. The host memory may be reused at once only where it is pageable.
template <class T>
void copy_to_device(cudaStream_t stream, T* to, std::span<const T> from) {
  if (from.empty()) return;
  check(cudaMemcpyAsync(to, from.data(), from.size_bytes(), cudaMemcpyHostToDevice, stream),
        "copying from the host to the device");
}

// Device to host; returns when the data have arrived.
template <class T>
void copy_to_host(cudaStream_t stream, std::span<T> to, const T* from) {
  if (to.empty()) return;
  check(cudaMemcpyAsync(to.data(), from, to.size_bytes(), cudaMemcpyDeviceToHost, stream),
        "copying from the device to the host");
  check(cudaStreamSynchronize(stream), "copying from the device to the host");
}

template <class T>
void copy_on_device(cudaStream_t stream, T* to, view<const T> from) {
  if (from.size == 0) return;
  check(cudaMemcpyAsync(to, from.data, from.size * sizeof(T), cudaMemcpyDeviceToDevice, stream),
        "copying on the device");
}

template <class T>
std::vector<std::remove_const_t<T>> to_host(cudaStream_t stream, view<T> from) {
  std::vector<std::remove_const_t<T>> to(from.size);
  copy_to_host<std::remove_const_t<T>>(stream, to, from.data);
  return to;
}

template <class T>
buffer<T> to_device(cudaStream_t stream, const std::vector<T>& from) {
  buffer<T> to(from.size());
  copy_to_device<T>(stream, to.data(), from);
  return to;
}

template <class T>
void fill_zero(cudaStream_t stream, view<T> memory) {
  if (memory.size == 0) return;
  check(cudaMemsetAsync(memory.data, 0, memory.size * sizeof(T), stream), "filling device memory with zeros");
}

}  // namespace plexus::inline PLEXUS_ABI
