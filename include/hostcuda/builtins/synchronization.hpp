// Barriers of a block, and fences.
#pragma once

#include <hostcuda/engine/block.hpp>
#include <hostcuda/engine/fence.hpp>

namespace hostcuda {

// All threads of the block that have not returned must reach the same barrier: the same line, not just any.
inline void __syncthreads(detail::source_line where = detail::source_line::here()) {
  if (detail::is_left_out(where)) return;
  detail::kernel_runner("__syncthreads").barrier(false, where);
}

// The number of threads whose predicate is not 0.
inline int __syncthreads_count(int predicate, detail::source_line where = detail::source_line::here()) {
  return static_cast<int>(
      detail::kernel_runner("__syncthreads_count").barrier(predicate != 0, where).true_ones);
}

inline int __syncthreads_and(int predicate, detail::source_line where = detail::source_line::here()) {
  const detail::barrier_count count =
      detail::kernel_runner("__syncthreads_and").barrier(predicate != 0, where);
  return count.true_ones == count.threads;
}

inline int __syncthreads_or(int predicate, detail::source_line where = detail::source_line::here()) {
  return detail::kernel_runner("__syncthreads_or").barrier(predicate != 0, where).true_ones != 0;
}

inline void __threadfence() { detail::fence(); }
inline void __threadfence_block() { detail::fence(); }
inline void __threadfence_system() { detail::fence(); }

// Ends the kernel with an error.
[[noreturn]] inline void __trap() {
  throw detail::kernel_fault{cudaErrorLaunchFailure, "__trap() was called"};
}

}  // namespace hostcuda
