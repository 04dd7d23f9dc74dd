// The OS threads behind launches.
#include "engine_support.hpp"
#include "support/catch.hpp"

#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

using namespace hostcuda_tests;
using namespace std::chrono_literals;

namespace {

double process_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](timeval t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

}  // namespace

TEST_CASE("the pool runs every task once", "[hostcuda]") {
  const auto workers = GENERATE(1, 2, 5);
  const auto at_once = GENERATE(false, true);
  fresh_device device;
  device.workers(workers);
  for (const std::size_t tasks : {0u, 1u, 2u, 7u, 1000u}) {
    std::vector<std::atomic<int>> runs(tasks);
    const auto task = [&](std::size_t i) { ++runs[i]; };
    if (at_once) {
      detail::pool().share(tasks, task);
    } else {
      detail::pool().run(tasks, task);
    }
    for (const std::atomic<int>& one : runs) CHECK(one == 1);
  }
}

TEST_CASE("shared tasks run side by side, on as many OS threads as are set", "[hostcuda]") {
  fresh_device device;
  device.workers(3);
  std::mutex mutex;
  std::set<std::thread::id> seen;
  detail::pool().share(30, [&](std::size_t) {
    std::this_thread::sleep_for(2ms);
    const std::lock_guard lock(mutex);
    seen.insert(std::this_thread::get_id());
  });
  CHECK(seen.size() > 1);
  CHECK(seen.size() <= 3);
}

TEST_CASE("work that is little stays on the thread that brings it", "[hostcuda]") {
  fresh_device device;
  device.workers(4);
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> elsewhere = 0;
  for (int round = 0; round < 100; ++round) {
    detail::pool().run(8, [&](std::size_t) { elsewhere += std::this_thread::get_id() != caller; });
  }
  CHECK(elsewhere < 100);  // a time slice that ends within may make a round look like much work
}

TEST_CASE("tasks may bring work of their own", "[hostcuda]") {
  fresh_device device;
  device.workers(3);
  std::atomic<int> sum = 0;
  detail::pool().share(
      10, [&](std::size_t) { detail::pool().share(10, [&](std::size_t i) { sum += static_cast<int>(i); }); });
  CHECK(sum == 450);
}

TEST_CASE("several threads bring work at once", "[hostcuda]") {
  fresh_device device;
  device.workers(3);
  std::atomic<int> sum = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round) detail::pool().share(20, [&](std::size_t) { ++sum; });
    });
  }
  for (std::thread& one : callers) one.join();
  CHECK(sum == 4 * 50 * 20);
}

TEST_CASE("nobody spins: neither workers without work nor a caller that waits", "[hostcuda]") {
  fresh_device device;
  device.workers(4);
  detail::pool().share(8, [](std::size_t) { std::this_thread::sleep_for(1ms); });
  const double before = process_seconds();
  std::this_thread::sleep_for(100ms);
  const std::thread::id caller = std::this_thread::get_id();
  detail::pool().share(4, [&](std::size_t) {
    std::this_thread::sleep_for(std::this_thread::get_id() == caller ? 1ms : 100ms);
  });
  CHECK(process_seconds() - before < 0.05);
}
