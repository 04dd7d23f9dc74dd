// Work of the CPU's own on a stream, and how it is shared out.
#include <hostcuda/host_work.hpp>

#include "runtime_support.hpp"

#include <atomic>
#include <new>

using namespace hostcuda;

TEST_CASE("host work runs in the stream's order", "[hostcuda]") {
  const auto mode = GENERATE(stream_mode::immediate, stream_mode::deferred);
  const stream_mode_scope scope(mode);
  const scoped_stream stream;
  std::vector<int> order;
  REQUIRE(run_on_host(stream, [&] { order.push_back(1); }) == cudaSuccess);
  REQUIRE(cudaLaunchHostFunc(
              stream, [](void* at) { static_cast<std::vector<int>*>(at)->push_back(2); }, &order) ==
          cudaSuccess);
  REQUIRE(run_on_host(stream, [&] { order.push_back(3); }) == cudaSuccess);
  if (mode == stream_mode::deferred) CHECK(order.empty());
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(order == std::vector<int>{1, 2, 3});
}

TEST_CASE("every part is shared out once", "[hostcuda]") {
  for (const std::size_t parts : {0u, 1u, 2u, 7u, 100u}) {
    std::vector<std::atomic<int>> times(parts);
    share(parts, [&](std::size_t part) { ++times[part]; });
    for (const auto& one : times) CHECK(one == 1);
  }
}

TEST_CASE("a part that finds no memory is an error of the stream, and the other parts run", "[hostcuda]") {
  const stream_mode_scope scope(stream_mode::immediate);
  const scoped_stream stream;
  std::atomic<int> done{0};
  const auto work = [&] {
    share(8, [&](std::size_t part) {
      if (part == 5) throw std::bad_alloc();
      ++done;
    });
  };
  const cudaError_t launched = run_on_host(stream, work), finished = cudaStreamSynchronize(stream);
  CHECK((launched == cudaErrorMemoryAllocation || finished == cudaErrorMemoryAllocation));
  CHECK(done == 7);
}
