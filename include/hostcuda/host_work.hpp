// Work of the CPU's own on a stream, for what is no kernel there: loops around products of a BLAS, say.
#pragma once

#include <hostcuda/engine/pool.hpp>
#include <hostcuda/runtime/schedule.hpp>

#include <atomic>
#include <cstddef>
#include <new>
#include <utility>

namespace hostcuda {

// work() on the stream. It may call share().
template <class Work>
cudaError_t run_on_host(cudaStream_t stream, Work work) {
  return detail::enqueue(stream, [work = std::move(work)]() -> cudaError_t {
    try {
      work();
      return cudaSuccess;
    } catch (const std::bad_alloc&) {
      return detail::fail(
          cudaErrorMemoryAllocation,
          "run_on_host: no host memory is left to work in; give smaller batches, or fewer threads by "
          "HOSTCUDA_WORKERS");
    }
  });
}

// f(part) for every part in [0, parts), each of them worth waking another thread for. Of exceptions, f may
// throw std::bad_alloc.
template <class Function>
void share(std::size_t parts, const Function& f) {
  std::atomic<bool> out_of_memory{false};
  detail::pool().share(parts, [&](std::size_t part) {
    try {
      f(part);
    } catch (const std::bad_alloc&) {
      out_of_memory = true;
    }
  });
  if (out_of_memory) throw std::bad_alloc();
}

}  // namespace hostcuda
