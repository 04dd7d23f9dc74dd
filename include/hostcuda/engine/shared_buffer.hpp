// The dynamic shared memory of the blocks that run on one OS thread, one after the other.
#pragma once

#include <hostcuda/engine/fault.hpp>
#include <hostcuda/engine/sanitizers.hpp>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace hostcuda::detail {

class shared_buffer {
 public:
  shared_buffer() = default;
  shared_buffer(const shared_buffer&) = delete;
  shared_buffer& operator=(const shared_buffer&) = delete;
  ~shared_buffer() { release(); }

  HOSTCUDA_UNSEEN void* data() const { return bytes_; }

  // Exactly `size` bytes for the next block. They begin as NaN, as a GPU's begin as anything.
  void prepare(std::size_t size) {
    [[maybe_unused]] const unseen_writes
        throughout;  // the CUDA threads that wrote before are not ordered with us
    if (size > capacity_) grow(size);
    if (bytes_ == nullptr) return;
    allow_bytes(bytes_, capacity_);
    std::memset(bytes_, 0xff, size);
    forbid_bytes(bytes_ + size, capacity_ - size);
  }

 private:
  void grow(std::size_t size) {
    constexpr std::size_t alignment = 1024;
    release();
    const std::size_t capacity = (size + alignment - 1) / alignment * alignment;
    bytes_ = static_cast<unsigned char*>(std::aligned_alloc(alignment, capacity));
    if (bytes_ == nullptr) {
      throw kernel_fault{cudaErrorLaunchOutOfResources, "no memory is left for the block's shared memory"};
    }
    capacity_ = capacity;
  }

  void release() {
    [[maybe_unused]] const unseen_writes throughout;
    if (bytes_ != nullptr) allow_bytes(bytes_, capacity_);
    std::free(bytes_);
    bytes_ = nullptr;
    capacity_ = 0;
  }

  unsigned char* bytes_ = nullptr;
  std::size_t capacity_ = 0;
};

}  // namespace hostcuda::detail
