#include <plexus/core/buffer.hpp>
#include <plexus/core/for_each.hpp>
#include <plexus/core/stream.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>
#include <numeric>

using namespace plexus;

namespace {

struct add_one {
  float* values;
  PLEXUS_FN void operator()(std::size_t i) const { values[i] += 1; }
};

__global__ void fill_shared_kernel(int floats, float* out) {
  float* shared = platform::dynamic_shared<float>();
  for (int i = static_cast<int>(threadIdx.x); i < floats; i += static_cast<int>(blockDim.x)) shared[i] = 1;
  __syncthreads();
  if (threadIdx.x != 0) return;
  float sum = 0;
  for (int i = 0; i < floats; ++i) sum += shared[i];
  *out = sum;
}

void sum_in_shared(cudaStream_t on, int floats, float* out) {
  launch("summing in shared memory", on,
         {dim3(1), dim3(64), static_cast<std::size_t>(floats) * sizeof(float)}, fill_shared_kernel, floats,
         out);
}

}  // namespace

TEST_CASE("What goes to the device comes back", "[core][buffer]") {
  const stream on;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1000003}}) {
    std::vector<float> values(size);
    std::iota(values.begin(), values.end(), 0.25f);
    const buffer<float> device = to_device(on.get(), values);
    CHECK(device.size() == size);
    CHECK(to_host(on.get(), device.view()) == values);
  }
}

TEST_CASE("A moved buffer leaves nothing behind", "[core][buffer]") {
  const stream on;
  buffer<float> first = to_device<float>(on.get(), {1, 2, 3});
  const float* memory = first.data();
  const buffer<float> second = std::move(first);
  CHECK(second.data() == memory);
  CHECK(second.size() == 3);
  CHECK(first.data() == nullptr);
  CHECK(first.size() == 0);
  CHECK(to_host(on.get(), second.view()) == std::vector<float>{1, 2, 3});
}

TEST_CASE("fill_zero clears exactly its range", "[core][buffer]") {
  const stream on;
  const buffer<float> memory = to_device<float>(on.get(), {1, 2, 3, 4, 5});
  fill_zero(on.get(), view<float>{memory.data() + 1, 3});
  CHECK(to_host(on.get(), memory.view()) == std::vector<float>{1, 0, 0, 0, 5});
}

TEST_CASE("More memory than there is is an error that says what to do", "[core][buffer]") {
  const std::string message = "allocating device memory";
  CHECK_THROWS_WITH(buffer<double>(std::numeric_limits<std::size_t>::max() / 4),
                    Catch::Matchers::ContainsSubstring(message));
  CHECK_THROWS_WITH(buffer<double>(std::size_t{1} << 56),
                    Catch::Matchers::ContainsSubstring("use a smaller batch or network"));
}

TEST_CASE("A recorded graph runs when it is launched, each time", "[core][graph]") {
  const stream on;
  const buffer<float> memory = to_device<float>(on.get(), {0, 10, 20});
  const graph recorded = graph::capture(on.get(), [&] {
    for_each(on.get(), 3, add_one{memory.data()});
    for_each(on.get(), 2, add_one{memory.data()});
  });
  CHECK(to_host(on.get(), memory.view()) == std::vector<float>{0, 10, 20});
  recorded.launch(on.get());
  CHECK(to_host(on.get(), memory.view()) == std::vector<float>{2, 12, 21});
  recorded.launch(on.get());
  CHECK(to_host(on.get(), memory.view()) == std::vector<float>{4, 14, 22});
}

TEST_CASE("An exception while recording ends the capture and passes on", "[core][graph]") {
  const stream on;
  CHECK_THROWS_WITH(graph::capture(on.get(), [] { throw std::runtime_error("from inside"); }), "from inside");
  const buffer<float> memory = to_device<float>(on.get(), {1});
  for_each(on.get(), 1, add_one{memory.data()});
  CHECK(to_host(on.get(), memory.view()) == std::vector<float>{2});
}

// Where streams run their work as late as they may, without the event the copy would come first.
TEST_CASE("A stream waits for an event of another", "[core][stream]") {
  const stream first, second;
  event done{GENERATE(as<unsigned>{}, cudaEventDefault, event::sleeping)};
  const buffer<float> memory = to_device<float>(first.get(), {1, 2, 3});
  for_each(first.get(), 3, add_one{memory.data()});
  done.record(first.get());
  second.wait(done);
  CHECK(to_host(second.get(), memory.view()) == std::vector<float>{2, 3, 4});
  done.synchronize();
}

TEST_CASE("Two events time the work between them", "[core][stream]") {
  const stream on;
  event begin, end;
  begin.record(on.get());
  const buffer<float> memory = to_device<float>(on.get(), std::vector<float>(1000));
  for_each(on.get(), 1000, add_one{memory.data()});
  end.record(on.get());
  CHECK(elapsed_ms(begin, end) >= 0);
  CHECK(to_host(on.get(), memory.view()) == std::vector<float>(1000, 1.0f));
}

TEST_CASE("A launch asks for shared memory beyond 48 KB by itself", "[core][launch]") {
  const stream on;
  const buffer<float> out(1);
  sum_in_shared(on.get(), 16000, out.data());
  CHECK(to_host(on.get(), out.view()).front() == 16000);
}

TEST_CASE("A launch that cannot be is an error with the kernel's name", "[core][launch]") {
  const stream on;
  const buffer<float> out(1);
  CHECK_THROWS_WITH(sum_in_shared(on.get(), 1 << 20, out.data()),
                    Catch::Matchers::ContainsSubstring("summing in shared memory"));
  CHECK(cudaGetLastError() == cudaSuccess);  // the exception took it along
  CHECK_NOTHROW(sum_in_shared(on.get(), 100, out.data()));
  CHECK(to_host(on.get(), out.view()).front() == 100);
}

TEST_CASE("A launch without blocks is no work", "[core][launch]") {
  const stream on;
  CHECK_NOTHROW(launch("nothing", on.get(), {dim3(0), dim3(32)}, fill_shared_kernel, 0, nullptr));
}
