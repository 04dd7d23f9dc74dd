// A launch under way: what its blocks share.
#pragma once

#include <hostcuda/engine/fault.hpp>
#include <hostcuda/engine/kernel_name.hpp>
#include <hostcuda/engine/sanitizers.hpp>
#include <hostcuda/settings.hpp>
#include <hostcuda/vector_types.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

namespace hostcuda::detail {

[[gnu::cold, gnu::noinline]] inline std::string to_text(uint3 v) {
  return text_of("(", v.x, ", ", v.y, ", ", v.z, ")");
}

[[gnu::cold, gnu::noinline]] inline std::string hexadecimal(std::uint32_t value) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", value);
  return text;
}

// The next of a stream of random numbers (splitmix64, Steele et al., 2014).
HOSTCUDA_UNSEEN inline std::uint64_t next_random(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15u;
  std::uint64_t z = state;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

struct grid {
  dim3 size;
  dim3 block;
  std::size_t shared_bytes = 0;
  void (*run_thread)(const void* call) = nullptr;  // the kernel, as the current thread
  const void* call = nullptr;                      // kernel and arguments
  const void* kernel = nullptr;
  thread_order order = thread_order::forward;
  std::uint64_t seed = 0;

  std::atomic<bool> failed{false};
  cudaError_t error = cudaSuccess;  // set by the one who set `failed`

  order_point start;   // what came before the launch comes before its threads
  order_point finish;  // and they before what comes after it

  // The first fault ends the grid; those that follow from it say nothing.
  void fail(cudaError_t why, const std::string& where, const std::string& what) {
    if (failed.exchange(true)) return;
    error = why;
    tell(where, what);
  }

  void tell(const std::string& where, const std::string& what) const {
    report(text_of("kernel ", kernel_name(kernel), ", ", where, ": ", what));
  }
};

}  // namespace hostcuda::detail
