// The fibers of one OS thread: made when they are first needed, kept for later blocks.
#pragma once

#include <hostcuda/engine/fiber.hpp>
#include <hostcuda/engine/thread_set.hpp>

#include <cstddef>

namespace hostcuda::detail {

class fiber_stock {
 public:
  fiber_stock(std::size_t stack_bytes, fiber::entry_point entry) : stack_bytes_(stack_bytes), entry_(entry) {}
  fiber_stock(const fiber_stock&) = delete;
  fiber_stock& operator=(const fiber_stock&) = delete;
  ~fiber_stock() {
    [[maybe_unused]] const unseen_writes throughout;
    for (unsigned i = 0; i < count_; ++i) delete fibers_[i];
  }

  // Before a block of `threads` threads. Under the race checker each has a fiber of its own, made here and
  // not by another thread of the block: a ThreadSanitizer fiber knows what the one that made it knew.
  void prepare(unsigned threads) {
    const unsigned needed = race_check ? threads : 1;
    while (count_ < needed) idle_[idle_count_++] = add();
    if (race_check) idle_count_ = 0;
  }

  // A fiber for a thread that starts.
  HOSTCUDA_UNSEEN fiber& take(unsigned thread) {
    if (race_check) return *fibers_[thread];
    return *(idle_count_ != 0 ? idle_[--idle_count_] : add());
  }

  HOSTCUDA_UNSEEN void give_back(fiber& unused) {
    if (!race_check) idle_[idle_count_++] = &unused;
  }

 private:
  fiber* add() {
    fibers_[count_] = new fiber(stack_bytes_, entry_, count_);
    return fibers_[count_++];
  }

  std::size_t stack_bytes_;
  fiber::entry_point entry_;
  unsigned count_ = 0;
  unsigned idle_count_ = 0;
  fiber* fibers_[most_threads] = {};
  fiber* idle_[most_threads] = {};
};

}  // namespace hostcuda::detail
