// Fences and the memory order of atomic operations.
//
// CUDA's atomics are relaxed, and a fence before or after one makes it a release or an acquire.
// ThreadSanitizer does not know fences; so under it, a thread that has passed a fence has ordered atomics
// from then on.
#pragma once

#include <hostcuda/engine/sanitizers.hpp>

#include <atomic>

namespace hostcuda::detail {

#if defined(HOSTCUDA_THREAD_SANITIZER)

inline constinit thread_local bool thread_has_fenced = false;  // of the current CUDA thread

HOSTCUDA_UNSEEN inline void fence() { thread_has_fenced = true; }
HOSTCUDA_UNSEEN inline std::memory_order atomic_order() {
  return thread_has_fenced ? std::memory_order_acq_rel : std::memory_order_relaxed;
}

#else

inline void fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
inline constexpr std::memory_order atomic_order() { return std::memory_order_relaxed; }

#endif

}  // namespace hostcuda::detail
