// The OS threads that share the work of launches, of parallel_for and of BLAS calls.
//
// Work begins on the thread that brings it; others are woken only when the time that its first part took says
// that the rest outweighs waking them. Nobody spins: whoever has nothing to do sleeps.
#pragma once

#include <hostcuda/settings.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace hostcuda::detail {

class thread_pool {
 public:
  // OS threads that take part in work, the caller among them.
  static std::size_t size() { return static_cast<std::size_t>(std::max(settings().workers, 1)); }

  // How many of them there really are: fewer where the system has no more to give, or while the program ends.
  std::size_t available() {
    const std::lock_guard lock(mutex_);
    hire(size() - 1);
    return std::min(threads_.size() + 1, size());
  }

  // range(first, last) for parts that together are [0, count), once each. `range` must not throw.
  template <class Range>
  void run_ranges(std::size_t count, Range&& range) {
    if (count > 1) {
      run_parts(count, part_function::to(range));
    } else if (count == 1) {
      range(0, 1);
    }
  }

  // f(i) for each i in [0, tasks). `f` must not throw.
  template <class Function>
  void run(std::size_t tasks, Function&& f) {
    run_ranges(tasks, each_of(f));
  }

  // The same for work that is known to be worth waking others: it does not measure.
  template <class Function>
  void share(std::size_t tasks, Function&& f) {
    auto range = each_of(f);
    if (tasks > 1 && size() > 1) {
      share_ranges(0, tasks, 1, part_function::to(range));
    } else {
      range(0, tasks);
    }
  }

 private:
  using clock = std::chrono::steady_clock;
  static constexpr double wake_up_nanoseconds = 20'000;
  static constexpr double grain_nanoseconds = 20'000;

  // A function of a range without its type, so that what shares it out is compiled once.
  struct part_function {
    void* range;
    void (*call)(void* range, std::size_t first, std::size_t last);

    template <class Range>
    static part_function to(Range& range) {
      return {const_cast<void*>(static_cast<const void*>(&range)),
              [](void* held, std::size_t from, std::size_t to) { (*static_cast<Range*>(held))(from, to); }};
    }
    void operator()(std::size_t first, std::size_t last) const { call(range, first, last); }
  };

  // Work that others may join. It lives on the stack of the thread that brought it. Each thread begins with a
  // region of its own, the same one for every job, and only then helps with the others': what a thread wrote
  // in one job is still in its core's cache when the next job comes to the same place.
  struct job {
    static constexpr std::size_t most_regions = 64;

    part_function range;
    std::size_t first, count;
    std::size_t grain;
    std::size_t regions;
    std::size_t places;  // for helpers that may still join
    std::size_t helpers = 0;
    std::array<std::atomic<std::size_t>, most_regions> next{};  // of each region

    job(const part_function& f, std::size_t begin, std::size_t end, std::size_t part, std::size_t threads)
        : range(f),
          first(begin),
          count(end),
          grain(part),
          regions(std::min(threads, most_regions)),
          places(threads - 1) {
      for (std::size_t i = 0; i < regions; ++i) next[i].store(bound(i), std::memory_order_relaxed);
    }

    std::size_t bound(std::size_t region) const { return first + (count - first) * region / regions; }
    bool has_work(std::size_t region) const {
      return next[region].load(std::memory_order_relaxed) < bound(region + 1);
    }
    bool open() const {
      for (std::size_t i = 0; i < regions; ++i) {
        if (has_work(i)) return places > 0;
      }
      return false;
    }
    void work(std::size_t thread) {
      for (std::size_t i = 0; i < regions; ++i) work_in((thread + i) % regions);
    }

   private:
    void work_in(std::size_t region) {
      const std::size_t end = bound(region + 1);
      while (has_work(region)) {
        const std::size_t begin = next[region].fetch_add(grain, std::memory_order_relaxed);
        if (begin >= end) return;
        range(begin, std::min(begin + grain, end));
      }
    }
  };

  static double nanoseconds(clock::duration time) {
    return std::chrono::duration<double, std::nano>(time).count();
  }

  template <class Function>
  static auto each_of(Function& f) {
    return [&f](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) f(i);
    };
  }

  void run_parts(std::size_t count, const part_function& range) {
    std::size_t done = 0;
    if (count > 1 && size() > 1) {
      const clock::time_point start = clock::now();
      for (std::size_t part = count / 64 + 1; done < count; part *= 16) {
        const std::size_t end = part < count - done ? done + part : count;
        range(done, end);
        done = end;
        if (done == count) return;
        const double spent = nanoseconds(clock::now() - start);
        const double each = spent / static_cast<double>(done);
        const double rest = each * static_cast<double>(count - done);
        if (rest > 2 * wake_up_nanoseconds) {
          const auto grain = static_cast<std::size_t>(grain_nanoseconds / each) + 1;
          const std::size_t fair = (count - done) / (4 * size()) + 1;
          share_ranges(done, count, std::min(grain, fair), range);
          return;
        }
      }
    }
    if (done < count) range(done, count);
  }

  void share_ranges(std::size_t first, std::size_t count, std::size_t grain, const part_function& range) {
    const std::size_t parts = (count - first + grain - 1) / grain;
    job mine(range, first, count, grain, std::min(parts, size()));
    share_job(mine);
  }

  void share_job(job& mine) {
    const std::size_t helpers = mine.places;
    {
      const std::lock_guard lock(mutex_);
      hire(size() - 1);
      jobs_.push_back(&mine);
    }
    for (std::size_t i = helpers; i > 0; --i) work_came_.notify_one();
    mine.work(0);
    std::unique_lock lock(mutex_);
    std::erase(jobs_, &mine);
    helper_left_.wait(lock, [&] { return mine.helpers == 0; });
  }

  // Workers are started when there is first something for them to do. Fewer where the system gives no more.
  void hire(std::size_t workers) {
    if (stopping_) return;
    if (threads_.empty()) {
      process_ = getpid();
      std::atexit([] { instance().stop(); });
    }
    try {
      while (threads_.size() < workers)
        threads_.emplace_back([this, thread = threads_.size() + 1] { help(thread); });
    } catch (const std::system_error&) {
    }
  }

  void help(std::size_t thread) {
    std::unique_lock lock(mutex_);
    for (;;) {
      job* found = nullptr;
      work_came_.wait(lock, [&] { return (found = open_job()) != nullptr || stopping_; });
      if (found == nullptr) return;
      --found->places;
      ++found->helpers;
      lock.unlock();
      found->work(thread);
      lock.lock();
      if (--found->helpers == 0) helper_left_.notify_all();
    }
  }

  job* open_job() const {
    const auto found = std::find_if(jobs_.begin(), jobs_.end(), [](const job* one) { return one->open(); });
    return found == jobs_.end() ? nullptr : *found;
  }

  // At the end of the program. Work that comes later (from destructors of static objects) is the caller's
  // alone.
  void stop() {
    if (process_ != getpid()) return;  // forked: the threads are the parent's
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_came_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  std::mutex mutex_;
  std::condition_variable work_came_;
  std::condition_variable helper_left_;
  std::vector<job*> jobs_;
  std::vector<std::thread> threads_;
  pid_t process_ = 0;
  bool stopping_ = false;

  thread_pool() = default;
  friend thread_pool& pool();
  static thread_pool& instance() {
    static auto* one = new thread_pool;  // never destroyed: see stop()
    return *one;
  }
};

inline thread_pool& pool() { return thread_pool::instance(); }

}  // namespace hostcuda::detail
