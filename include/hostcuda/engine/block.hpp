// Runs the threads of one block, on the OS thread that calls.
//
// Threads are started optimistically: one after the other on the same fiber, as plain calls of the kernel.
// Only when one must wait (at a barrier, in a warp operation) does it keep its fiber, and the next thread
// gets another. A thread goes on when the last that it waits for has come. Under the race checker each thread
// keeps to a fiber of its own, since to ThreadSanitizer a fiber is a thread, and its stack is that thread's.
#pragma once

#include <hostcuda/builtins/variables.hpp>
#include <hostcuda/engine/fence.hpp>
#include <hostcuda/engine/fiber_stock.hpp>
#include <hostcuda/engine/grid.hpp>
#include <hostcuda/engine/shared_buffer.hpp>
#include <hostcuda/engine/source_line.hpp>
#include <hostcuda/engine/thread_set.hpp>

#include <cstring>
#include <exception>
#include <string>
#include <utility>

namespace hostcuda::detail {

// What the threads of a block learn from a barrier.
struct barrier_count {
  unsigned threads = 0;  // that took part
  unsigned true_ones = 0;
};

// Which warp operation it is: lanes meet in the same one only. `kind` is the address of a constant of its
// argument's type and of what it computes.
struct warp_operation {
  const void* kind = nullptr;
  const char* name = nullptr;
  HOSTCUDA_UNSEEN bool operator==(const warp_operation& other) const {
    return kind == other.kind && (name == other.name || std::strcmp(name, other.name) == 0);
  }
};

class block_runner {
 public:
  explicit block_runner(std::size_t stack_bytes) : fibers_(stack_bytes, fiber_main) {}

  // Runs block `number` of the grid to its end.
  HOSTCUDA_UNSEEN void run(grid& launch, std::size_t number);

  // ---- For the current thread of the block that runs

  HOSTCUDA_UNSEEN barrier_count barrier(bool predicate, source_line where);

  // Waits for the lanes of `mask`. True for the one lane that must then do the operation and call
  // finish_in_warp().
  HOSTCUDA_UNSEEN bool meet_in_warp(std::uint32_t mask, void* argument, warp_operation operation);
  // What a lane of `mask` brought; null for one that has returned from the kernel or never was.
  HOSTCUDA_UNSEEN void* argument_of(std::uint32_t mask, unsigned lane);
  HOSTCUDA_UNSEEN void finish_in_warp(std::uint32_t mask);

  // Reports something about it; it goes on.
  HOSTCUDA_UNSEEN void tell(const char* what) const { launch_->tell(current_place(), what); }

  HOSTCUDA_UNSEEN unsigned lane() const { return current_ % warp_lanes; }
  HOSTCUDA_UNSEEN unsigned thread() const { return current_; }
  HOSTCUDA_UNSEEN std::uint64_t serial() const { return serial_; }  // of the block, on this OS thread
  HOSTCUDA_UNSEEN void* dynamic_shared() const { return shared_.data(); }

 private:
  static constexpr unsigned none = ~0u;

  // A lane that waits for others of its warp.
  struct warp_wait {
    std::uint32_t mask = 0;
    warp_operation operation;
    void* argument = nullptr;
    order_point arrived, released;
  };
  struct warp_state {
    std::uint32_t alive = 0;
    std::uint32_t at_barrier = 0;
    std::uint32_t waiting = 0;
    std::uint32_t leads = 0;  // lanes that must do the operation when they go on
    warp_wait lanes[warp_lanes];
  };

  HOSTCUDA_UNSEEN void prepare(grid& launch, std::size_t number);
  HOSTCUDA_UNSEEN void prepare_index(dim3 shape);

  [[gnu::always_inline]] HOSTCUDA_UNSEEN unsigned pick();
  HOSTCUDA_UNSEEN unsigned pick_out_of_order();
  HOSTCUDA_UNSEEN void begin(unsigned thread);
  HOSTCUDA_UNSEEN context& context_of(unsigned thread);
  HOSTCUDA_UNSEEN context& fiber_for(unsigned thread);
  // Inlined, since a processor does not foresee where to a function returns that another context was called
  // in.
  [[gnu::always_inline]] HOSTCUDA_UNSEEN void hand_over(unsigned next);
  [[gnu::always_inline]] HOSTCUDA_UNSEEN void suspend();
  HOSTCUDA_UNSEEN void leave_if_abandoned() const;
  [[gnu::always_inline]] HOSTCUDA_UNSEEN void run_current();
  HOSTCUDA_UNSEEN void end_by_exception();
  [[gnu::always_inline]] HOSTCUDA_UNSEEN void finish_current();
  HOSTCUDA_UNSEEN void complete_barrier();
  HOSTCUDA_UNSEEN static bool has_met(const warp_state& warp, std::uint32_t mask, warp_operation operation);
  HOSTCUDA_UNSEEN void appoint_leaders(unsigned warp_number);
  HOSTCUDA_UNSEEN void abandon();
  HOSTCUDA_UNSEEN static std::string current_place();
  HOSTCUDA_UNSEEN void fail_current(cudaError_t error, const std::string& what);
  HOSTCUDA_UNSEEN void report_standstill();
  HOSTCUDA_UNSEEN static std::uint32_t lanes_waiting_like(const warp_state& warp, unsigned lane);
  HOSTCUDA_UNSEEN static void fiber_main(boost::context::detail::transfer_t transfer);

  HOSTCUDA_UNSEEN warp_state& current_warp() { return warps_[current_ / warp_lanes]; }
  HOSTCUDA_UNSEEN std::uint32_t current_bit() const { return 1u << current_ % warp_lanes; }

  // The block that runs. No containers here: the race checker would see their functions, unlike ours.
  grid* launch_ = nullptr;
  unsigned threads_ = 0;
  unsigned warp_count_ = 0;
  unsigned alive_ = 0;
  unsigned current_ = 0;
  thread_set runnable_;  // not started yet, or free to go on
  bool abandoned_ = false;
  std::uint64_t random_ = 0;
  warp_state warps_[most_warps];

  // Its barrier
  unsigned arrived_ = 0;
  unsigned true_ones_ = 0;
  source_line line_;
  barrier_count result_;
  unsigned generation_ = 0;
  order_point
      passed_[2];  // by generation: a barrier does not order what follows it with what follows the next

  // Fibers
  fiber_stock fibers_;
  context main_;
  context* running_ = nullptr;
  context* parked_[most_threads] = {};  // where a waiting thread is; null: not started

  // Kept from block to block
  uint3 index_[most_threads] = {};
  uint3 index_shape_{0, 0, 0};
  shared_buffer shared_;
  unsigned block_parity_ = 0;
  std::uint64_t serial_ = 0;
  order_point block_done_[2];  // blocks on one OS thread use the same shared memory, one after the other
};

// ---- The OS thread's runner

inline constinit thread_local block_runner* this_runner = nullptr;

inline block_runner& runner() {
  // An OS thread may still launch kernels while it ends: then it gets another runner, and keeps it.
  struct owner {
    ~owner() { delete std::exchange(this_runner, nullptr); }
  };
  if (this_runner == nullptr) {
    static thread_local owner at_thread_end;
    static_cast<void>(at_thread_end);
    this_runner = new block_runner(static_cast<std::size_t>(settings().stack_kilobytes) * 1024);
  }
  return *this_runner;
}

HOSTCUDA_UNSEEN inline bool in_kernel() { return blockDim.x != 0; }

// The runner, for a function that only a kernel may call.
HOSTCUDA_UNSEEN inline block_runner& kernel_runner(const char* function) {
  if (!in_kernel()) [[unlikely]] {
    throw kernel_fault{cudaErrorLaunchFailure, text_of(function, " was called outside a kernel")};
  }
  return *this_runner;
}

// ---- A block from begin to end

inline void block_runner::run(grid& launch, std::size_t number) {
  prepare(launch, number);
  unsigned next = pick();
  while (next != none) {
    running_ = &main_;
    hand_over(next);
    if (alive_ == 0) break;
    report_standstill();
    next = pick();
  }
  block_parity_ ^= 1u;
  blockDim = dim3(0, 0, 0);
}

inline void block_runner::prepare(grid& launch, std::size_t number) {
  launch_ = &launch;
  ++serial_;
  threads_ = launch.block.x * launch.block.y * launch.block.z;
  warp_count_ = (threads_ + warp_lanes - 1) / warp_lanes;
  prepare_index(launch.block);
  fibers_.prepare(threads_);
  shared_.prepare(launch.shared_bytes);
  const std::size_t row = number / launch.size.x;
  blockIdx = {static_cast<unsigned>(number % launch.size.x), static_cast<unsigned>(row % launch.size.y),
              static_cast<unsigned>(row / launch.size.y)};
  blockDim = launch.block;
  gridDim = launch.size;
  alive_ = threads_;
  arrived_ = 0;
  true_ones_ = 0;
  abandoned_ = false;
  random_ = number;
  random_ = next_random(random_) ^ launch.seed;
  for (unsigned w = 0; w < warp_count_; ++w) {
    const unsigned lanes = threads_ - w * warp_lanes;
    warp_state& warp = warps_[w];
    warp.alive = lanes >= warp_lanes ? ~0u : (1u << lanes) - 1;
    warp.waiting = warp.leads = warp.at_barrier = 0;
    runnable_.add(w, warp.alive);
  }
}

inline void block_runner::prepare_index(dim3 shape) {
  if (shape.x == index_shape_.x && shape.y == index_shape_.y && shape.z == index_shape_.z) return;
  index_shape_ = shape;
  unsigned thread = 0;
  for (unsigned z = 0; z < shape.z; ++z) {
    for (unsigned y = 0; y < shape.y; ++y) {
      for (unsigned x = 0; x < shape.x; ++x) index_[thread++] = {x, y, z};
    }
  }
}

// ---- From thread to thread

// Takes the thread whose turn it is.
inline unsigned block_runner::pick() {
  if (runnable_.empty()) return none;
  const unsigned thread = launch_->order == thread_order::forward ? runnable_.lowest() : pick_out_of_order();
  runnable_.remove(thread);
  return thread;
}

inline unsigned block_runner::pick_out_of_order() {
  return launch_->order == thread_order::reverse ? runnable_.highest()
                                                 : runnable_.chosen_by(next_random(random_));
}

inline void block_runner::begin(unsigned thread) {
  current_ = thread;
  threadIdx = index_[thread];
}

// Where `thread` goes on, or starts.
inline context& block_runner::context_of(unsigned thread) {
  context* const waiting = parked_[thread];
  if (waiting == nullptr) return fiber_for(thread);
  parked_[thread] = nullptr;
  return *waiting;
}

// Its fiber; where there is none to be had, the thread goes back to those that could run, to be given up with
// them.
inline context& block_runner::fiber_for(unsigned thread) {
  try {
    return fibers_.take(thread);
  } catch (...) {
    runnable_.add(thread / warp_lanes, 1u << thread % warp_lanes);
    throw;
  }
}

// Leaves the running context for that of `next`, or for the main one, until someone comes back to it.
inline void block_runner::hand_over(unsigned next) {
  context& here = *running_;
  context& there = next == none ? main_ : context_of(next);
  if (next != none) begin(next);
  running_ = &there;
  jump(here, there);
}

// The current thread waits until it is runnable and its turn comes.
inline void block_runner::suspend() {
  const unsigned self = current_;
  const bool fenced = thread_has_fenced;
  const unsigned next = pick();
  if (next != self) {
    parked_[self] = running_;
    hand_over(next);
  }
  thread_has_fenced = fenced;
}

inline void block_runner::leave_if_abandoned() const {
  if (abandoned_) throw block_abandoned{};
}

inline void block_runner::fiber_main(boost::context::detail::transfer_t transfer) {
  block_runner& self = *this_runner;
  fiber& here = static_cast<fiber&>(*self.running_);
  arrive(here, transfer);
  for (;;) {
    self.run_current();
    self.finish_current();
    const unsigned next = self.pick();
    if (next != none && self.parked_[next] == nullptr && !race_check) {
      self.begin(next);
      continue;
    }
    self.fibers_.give_back(here);
    self.hand_over(next);
  }
}

inline void block_runner::run_current() {
  if (abandoned_) return;
  launch_->start.acquire();
  block_done_[block_parity_ ^ 1u].acquire();
  thread_has_fenced = false;
  try {
    launch_->run_thread(launch_->call);
  } catch (...) {
    end_by_exception();
  }
  block_done_[block_parity_].release();
  launch_->finish.release();
}

// In a handler: what left the kernel.
inline void block_runner::end_by_exception() {
  parked_[current_] = nullptr;  // it waits no longer
  runnable_.remove(current_);
  current_warp().waiting &= ~current_bit();
  current_warp().at_barrier &= ~current_bit();
  try {
    throw;
  } catch (const block_abandoned&) {
  } catch (...) {
    const kernel_fault fault = caught_fault("kernel");
    fail_current(fault.error, fault.text);
  }
}

// A thread that has returned counts no longer: whoever waited for it alone may go on.
inline void block_runner::finish_current() {
  warp_state& warp = current_warp();
  warp.alive &= ~current_bit();
  --alive_;
  if (abandoned_) return;
  if (arrived_ != 0 && arrived_ == alive_) complete_barrier();
  if (warp.waiting != 0) appoint_leaders(current_ / warp_lanes);
}

// ---- Barriers

inline barrier_count block_runner::barrier(bool predicate, source_line where) {
  if (arrived_ == 0) {
    line_ = where;
  } else if (!(line_ == where)) [[unlikely]] {
    throw kernel_fault{cudaErrorLaunchFailure,
                       text_of("the barrier at ", where.text(), " was reached while ", arrived_,
                               " threads of the block wait at the one at ", line_.text(),
                               "; all threads of a block must reach the same one")};
  }
  order_point& passed = passed_[generation_ & 1u];
  passed.release();
  true_ones_ += predicate ? 1 : 0;
  current_warp().at_barrier |= current_bit();
  if (++arrived_ == alive_) complete_barrier();
  suspend();
  passed.acquire();
  leave_if_abandoned();
  return result_;
}

inline void block_runner::complete_barrier() {
  result_ = {arrived_, true_ones_};
  arrived_ = 0;
  true_ones_ = 0;
  ++generation_;
  for (unsigned w = 0; w < warp_count_; ++w) {
    runnable_.add(w, warps_[w].at_barrier);
    warps_[w].at_barrier = 0;
  }
}

// ---- Warp operations

inline bool block_runner::meet_in_warp(std::uint32_t mask, void* argument, warp_operation operation) {
  warp_state& warp = current_warp();
  warp_wait& mine = warp.lanes[lane()];
  if ((mask & current_bit()) == 0) [[unlikely]] {
    throw kernel_fault{
        cudaErrorLaunchFailure,
        text_of(operation.name, " was called by a lane that is not in its mask ", hexadecimal(mask))};
  }
  mine.mask = mask;
  mine.operation = operation;
  mine.argument = argument;
  mine.arrived.release();
  warp.waiting |= current_bit();
  bool leads = has_met(warp, mask, operation);
  if (!leads) {
    suspend();
    leads = (warp.leads & current_bit()) != 0;
    warp.leads &= ~current_bit();
    mine.released.acquire();
    leave_if_abandoned();
  }
  return leads;
}

inline bool block_runner::has_met(const warp_state& warp, std::uint32_t mask, warp_operation operation) {
  const std::uint32_t needed = mask & warp.alive;
  if ((warp.waiting & needed) != needed) return false;
  for (std::uint32_t rest = needed; rest != 0; rest &= rest - 1) {
    const warp_wait& one = warp.lanes[std::countr_zero(rest)];
    if (one.mask != mask || !(one.operation == operation)) return false;
  }
  return true;
}

inline void* block_runner::argument_of(std::uint32_t mask, unsigned lane) {
  warp_state& warp = current_warp();
  if ((mask & warp.waiting & 1u << lane) == 0) return nullptr;
  warp.lanes[lane].arrived.acquire();
  return warp.lanes[lane].argument;
}

inline void block_runner::finish_in_warp(std::uint32_t mask) {
  warp_state& warp = current_warp();
  const std::uint32_t met = mask & warp.waiting;
  for (std::uint32_t rest = met; rest != 0; rest &= rest - 1)
    warp.lanes[std::countr_zero(rest)].released.release();
  warp.waiting &= ~met;
  runnable_.add(current_ / warp_lanes, met);
  suspend();
  leave_if_abandoned();
}

// After a lane has returned: groups that waited for it alone.
inline void block_runner::appoint_leaders(unsigned warp_number) {
  warp_state& warp = warps_[warp_number];
  for (std::uint32_t rest = warp.waiting; rest != 0;) {
    const auto lane = static_cast<unsigned>(std::countr_zero(rest));
    const warp_wait& one = warp.lanes[lane];
    if (has_met(warp, one.mask, one.operation)) {
      warp.leads |= 1u << lane;
      runnable_.add(warp_number, 1u << lane);
      rest &= ~one.mask;
    } else {
      rest &= rest - 1;  // lanes of its mask may have met without it
    }
  }
}

// ---- Faults

inline std::string block_runner::current_place() {
  return text_of("block ", to_text(blockIdx), ", thread ", to_text(threadIdx));
}

inline void block_runner::fail_current(cudaError_t error, const std::string& what) {
  launch_->fail(error, current_place(), what);
  abandon();
}

// Every waiting thread goes on, to leave its kernel by an exception.
inline void block_runner::abandon() {
  if (abandoned_) return;
  abandoned_ = true;
  for (unsigned w = 0; w < warp_count_; ++w) {
    runnable_.add(w, warps_[w].at_barrier | warps_[w].waiting);
  }
}

// No thread can go on: says who waits for what.
inline void block_runner::report_standstill() {
  std::string text = "no thread can go on";
  if (arrived_ != 0) {
    unsigned first = 0;
    while ((warps_[first / warp_lanes].at_barrier & 1u << first % warp_lanes) == 0) ++first;
    text += text_of("\n  ", arrived_, " of ", alive_, " threads, the first ", to_text(index_[first]),
                    ", wait at the barrier at ", line_.text());
  }
  for (unsigned w = 0; w < warp_count_; ++w) {
    for (std::uint32_t rest = warps_[w].waiting; rest != 0;) {
      const auto first = static_cast<unsigned>(std::countr_zero(rest));
      const std::uint32_t group = lanes_waiting_like(warps_[w], first);
      const warp_wait& wait = warps_[w].lanes[first];
      text += text_of("\n  lanes ", hexadecimal(group), " of warp ", w, ", the first thread ",
                      to_text(index_[w * warp_lanes + first]), ", wait in ", wait.operation.name,
                      " for lanes ", hexadecimal(wait.mask & warps_[w].alive & ~group));
      rest &= ~group;
    }
  }
  launch_->fail(cudaErrorLaunchTimeout, text_of("block ", to_text(blockIdx)), text);
  abandon();
}

inline std::uint32_t block_runner::lanes_waiting_like(const warp_state& warp, unsigned lane) {
  std::uint32_t group = 0;
  for (unsigned i = 0; i < warp_lanes; ++i) {
    const bool alike =
        warp.lanes[i].mask == warp.lanes[lane].mask && warp.lanes[i].operation == warp.lanes[lane].operation;
    if (alike) group |= 1u << i;
  }
  return group & warp.waiting;
}

}  // namespace hostcuda::detail
