// Fences and the memory order of atomic operations.
//
// CUDA's atomics are relaxed, and a fence before or after one makes it a release or an acquire.
// ThreadSanitizer does not know fences; so under it, a thread that has passed a fence has ordered atomics
// from then on.
#pragma once

#include <hostcuda/engine/sanitizers.hpp>

#include <atomic>

namespace hostcuda::detail {

inline constinit thread_local bool thread_has_fenced =
    false;  // the current CUDA thread, under ThreadSanitizer

HOSTCUDA_UNSEEN inline void fence() {
#if defined(HOSTCUDA_THREAD_SANITIZER)
  thread_has_fenced = true;
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

HOSTCUDA_UNSEEN inline std::memory_order atomic_order() {
  return race_check && thread_has_fenced ? std::memory_order_acq_rel : std::memory_order_relaxed;
}

}  // namespace hostcuda::detail
