// Runs the blocks of a launch, spread over the pool's OS threads.
#pragma once

#include <hostcuda/engine/block.hpp>
#include <hostcuda/engine/launch_check.hpp>
#include <hostcuda/engine/pool.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <latch>
#include <mutex>
#include <numeric>
#include <string>

namespace hostcuda::detail {

// Which block is taken in a step: a permutation of [0, count).
class block_order {
 public:
  block_order(std::size_t count, thread_order order, std::uint64_t seed) : count_(count), order_(order) {
    if (order != thread_order::shuffled) return;
    stride_ = next_random(seed) % count + 1;
    while (std::gcd(stride_, count) != 1) ++stride_;
    start_ = next_random(seed) % count;
  }

  std::size_t operator()(std::size_t step) const {
    if (order_ == thread_order::forward) return step;
    if (order_ == thread_order::reverse) return count_ - 1 - step;
    __extension__ using wide = unsigned __int128;
    return static_cast<std::size_t>((static_cast<wide>(stride_) * step + start_) % count_);
  }

 private:
  std::size_t count_;
  thread_order order_;
  std::size_t stride_ = 1, start_ = 0;
};

inline void run_block(grid& launch, std::size_t number) {
  if (launch.failed.load(std::memory_order_relaxed)) return;
  try {
    runner().run(launch, number);
  } catch (const kernel_fault& fault) {
    launch.fail(fault.error, text_of("block number ", number), fault.text);
  } catch (const std::exception& error) {
    launch.fail(cudaErrorLaunchOutOfResources, text_of("block number ", number), error.what());
  }
}

// To the race checker the blocks that one OS thread runs are in order, since they use the same shared memory.
// So blocks are dealt out, block i to thread i % n, and a latch sees to it that the n threads are all there.
inline void run_blocks_dealt_out(grid& launch, std::size_t count, const block_order& block) {
  static std::mutex one_launch;  // two that wait for each other's threads would wait for ever
  const std::lock_guard lock(one_launch);
  const std::size_t threads = std::min(count, pool().available());
  std::latch all_here(static_cast<std::ptrdiff_t>(threads));
  pool().share(threads, [&](std::size_t thread) {
    all_here.arrive_and_wait();
    for (std::size_t i = thread; i < count; i += threads) run_block(launch, block(i));
  });
}

inline cudaError_t run_grid(grid& launch) {
  launch.order = settings().order;
  launch.seed = settings().seed;
  const std::size_t count = volume(launch.size);
  const block_order block(count, launch.order, launch.seed);
  launch.start.release();
  if constexpr (race_check) {
    run_blocks_dealt_out(launch, count, block);
  } else {
    pool().run(count, [&](std::size_t i) { run_block(launch, block(i)); });
  }
  launch.finish.acquire();
  return launch.error;
}

}  // namespace hostcuda::detail

// g++'s UndefinedBehaviorSanitizer calls this before each of its lines. (clang's prefers a function of its
// own to one that is inline.)
#if !defined(__clang__)
extern "C" [[gnu::used, gnu::visibility("default")]] inline void __ubsan_on_report() {
  using namespace hostcuda::detail;
  if (in_kernel()) this_runner->tell("undefined behaviour, which the next line names");
}
#endif
