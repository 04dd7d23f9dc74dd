// Asynchronous copies from global to shared memory (cp.async). The data arrives when the thread waits for it,
// no sooner: a missing wait shows as stale data.
#pragma once

#include <hostcuda/engine/block.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <vector>

namespace hostcuda {
namespace detail {

// The copies under way of one CUDA thread, in the order in which it asked for them.
class copy_queue {
 public:
  // What a thread of an earlier block never waited for has gone with it.
  void belong_to(std::uint64_t block) {
    if (block_ == block) return;
    block_ = block;
    copies_.clear();
    arrived_ = 0;
    committed_ = 0;
  }

  void add(void* to, const void* from, std::size_t copied, std::size_t size) {
    copies_.push_back({static_cast<char*>(to), static_cast<const char*>(from), copied, size, committed_});
  }

  void commit() { ++committed_; }

  // All but the last `batches` that were committed.
  void wait_prior(std::size_t batches) {
    while (arrived_ < copies_.size() && copies_[arrived_].batch + batches < committed_)
      copies_[arrived_++].arrive();
    if (arrived_ < copies_.size()) return;
    copies_.clear();
    arrived_ = 0;
  }

 private:
  struct copy {
    char* to;
    const char* from;
    std::size_t copied;
    std::size_t size;  // with zeros behind what is copied
    std::size_t batch;

    // Byte by byte: a memcpy of so few becomes instructions that ThreadSanitizer does not see.
    void arrive() const {
      for (std::size_t i = 0; i < copied; ++i) to[i] = from[i];
      for (std::size_t i = copied; i < size; ++i) to[i] = 0;
    }
  };

  std::uint64_t block_ = 0;
  std::vector<copy> copies_;
  std::size_t arrived_ = 0;
  std::size_t committed_ = 0;
};

// A queue for each thread of the block that the OS thread runs, made when it is first used.
struct copy_queues {
  std::array<copy_queue*, most_threads> of_thread{};
  ~copy_queues() {
    for (copy_queue* queue : of_thread) delete queue;
  }
};

// The race checker sees each queue used by one CUDA thread only, and does not see how that gets it.
HOSTCUDA_UNSEEN inline copy_queue& current_copy_queue(const char* function) {
  static thread_local copy_queues queues;
  block_runner& block = kernel_runner(function);
  copy_queue*& queue = (&queues.of_thread[0])[block.thread()];
  if (queue == nullptr) queue = new copy_queue;
  queue->belong_to(block.serial());
  return *queue;
}

}  // namespace detail

// Copies `size` - `zero_fill` bytes and writes `zero_fill` zeros behind them. `size` is 4, 8 or 16; both
// addresses are multiples of it.
inline void __pipeline_memcpy_async(void* to_shared, const void* from_global, std::size_t size,
                                    std::size_t zero_fill = 0) {
  if ((size != 4 && size != 8 && size != 16) || zero_fill > size) {
    throw detail::kernel_fault{
        cudaErrorLaunchFailure,
        "__pipeline_memcpy_async copies 4, 8 or 16 bytes, of which it can fill as many with zeros; "
        "not " +
            std::to_string(size) + " and " + std::to_string(zero_fill)};
  }
  const auto misaligned = [size](const void* address) {
    return reinterpret_cast<std::uintptr_t>(address) % size != 0;
  };
  if (misaligned(to_shared) || misaligned(from_global)) {
    char text[160];
    std::snprintf(text, sizeof text,
                  "__pipeline_memcpy_async of %zu bytes from %p to %p: both must be multiples of the size",
                  size, from_global, to_shared);
    throw detail::kernel_fault{cudaErrorMisalignedAddress, text};
  }
  detail::current_copy_queue("__pipeline_memcpy_async").add(to_shared, from_global, size - zero_fill, size);
}

// Ends a batch of copies.
inline void __pipeline_commit() { detail::current_copy_queue("__pipeline_commit").commit(); }

// Waits until all but the last `batches` batches have arrived. Copies that belong to no batch yet are not
// waited for.
inline void __pipeline_wait_prior(std::size_t batches) {
  detail::current_copy_queue("__pipeline_wait_prior").wait_prior(batches);
}

}  // namespace hostcuda
