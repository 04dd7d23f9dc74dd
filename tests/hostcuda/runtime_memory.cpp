#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "runtime_support.hpp"

using namespace hostcuda;

namespace {

std::vector<int> counted(std::size_t size) {
  std::vector<int> values(size);
  std::iota(values.begin(), values.end(), 1);
  return values;
}

template <class T>
std::vector<T> on_host(const T* memory, std::size_t size) {
  std::vector<T> values(size);
  REQUIRE(cudaMemcpy(values.data(), memory, size * sizeof(T), cudaMemcpyDeviceToHost) == cudaSuccess);
  return values;
}

// `error` is an argument error with a report that contains `why`, and no fault.
void require_refused(cudaError_t error, cudaError_t expected, const std::string& why) {
  REQUIRE(error == expected);
  CHECK_THAT(last_report(), Catch::Matchers::ContainsSubstring(why));
  CHECK(cudaGetLastError() == expected);
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(last_report().empty());
}

}  // namespace

TEST_CASE("fresh device memory is aligned and NaN", "[memory]") {
  for (const std::size_t size : {std::size_t{1}, std::size_t{4}, std::size_t{1001}, std::size_t{1} << 18}) {
    const device_array<float> memory(size);
    CHECK(reinterpret_cast<std::uintptr_t>(memory.get()) % 256 == 0);
    const std::vector<float> values = on_host(memory.get(), size);
    CHECK(std::isnan(values.front()));
    CHECK(std::isnan(values.back()));
  }
}

TEST_CASE("copies arrive, in every direction", "[memory]") {
  const stream_mode_scope mode(GENERATE(stream_mode::immediate, stream_mode::deferred));
  const std::vector<int> sent = counted(1000);
  const device_array<int> first(1000), second(1000);
  REQUIRE(cudaMemcpy(first.get(), sent.data(), 4000, cudaMemcpyHostToDevice) == cudaSuccess);
  REQUIRE(cudaMemcpy(second.get(), first.get(), 4000, cudaMemcpyDeviceToDevice) == cudaSuccess);
  REQUIRE(on_host(second.get(), 1000) == sent);

  std::vector<int> received(500);
  REQUIRE(cudaMemcpy(received.data(), second.get() + 500, 2000, cudaMemcpyDefault) == cudaSuccess);
  REQUIRE(received == std::vector<int>(sent.begin() + 500, sent.end()));
  REQUIRE(cudaMemcpy(received.data(), sent.data(), 2000, cudaMemcpyHostToHost) == cudaSuccess);
  REQUIRE(received == std::vector<int>(sent.begin(), sent.begin() + 500));
  REQUIRE(cudaMemcpy(first.get(), nullptr, 0, cudaMemcpyHostToDevice) == cudaSuccess);  // nothing to do
}

TEST_CASE("rectangles are copied and filled row by row", "[memory]") {
  const stream_mode_scope mode(GENERATE(stream_mode::immediate, stream_mode::deferred));
  const scoped_stream stream;
  // 3 rows of 2 of 5 columns, into rows of 4.
  const std::vector<int> sent = counted(15);
  const device_array<int> memory(12);
  REQUIRE(cudaMemsetAsync(memory.get(), 0, 48, stream) == cudaSuccess);
  REQUIRE(cudaMemcpy2DAsync(memory.get() + 1, 16, sent.data() + 2, 20, 8, 3, cudaMemcpyHostToDevice,
                            stream) == cudaSuccess);
  REQUIRE(cudaMemset2DAsync(memory.get() + 3, 16, 0xff, 4, 2, stream) == cudaSuccess);
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  REQUIRE(on_host(memory.get(), 12) == std::vector<int>{0, 3, 4, -1, 0, 8, 9, -1, 0, 13, 14, 0});
  std::vector<int> received(6);
  REQUIRE(cudaMemcpy2D(received.data(), 8, memory.get() + 1, 16, 8, 3, cudaMemcpyDeviceToHost) ==
          cudaSuccess);
  REQUIRE(received == std::vector<int>{3, 4, 8, 9, 13, 14});

  require_refused(cudaMemcpy2D(received.data(), 8, memory.get(), 16, 12, 2, cudaMemcpyDeviceToHost),
                  cudaErrorInvalidPitchValue, "wider than its pitch");
  require_refused(cudaMemcpy2D(received.data(), 8, memory.get() + 3, 16, 8, 3, cudaMemcpyDeviceToHost),
                  cudaErrorInvalidValue, "reach beyond");
  require_refused(cudaMemcpy2D(received.data(), 8, memory.get(), 16, 8,
                               std::numeric_limits<std::size_t>::max(), cudaMemcpyDeviceToHost),
                  cudaErrorInvalidValue, "cannot hold");
  require_refused(cudaMemset2DAsync(memory.get(), 4, 0, 8, 1, stream), cudaErrorInvalidPitchValue, "wider");
  require_refused(cudaMemset2DAsync(memory.get() + 1, 16, 0, 16, 3, stream), cudaErrorInvalidValue,
                  "reach beyond");
}

TEST_CASE("memory that is not the device's is refused", "[memory]") {
  const device_array<int> memory(10);
  std::vector<int> host(20);
  require_refused(cudaMemcpy(memory.get(), host.data(), 41, cudaMemcpyHostToDevice), cudaErrorInvalidValue,
                  "41 bytes at");
  require_refused(cudaMemcpy(host.data(), memory.get() + 5, 24, cudaMemcpyDeviceToHost),
                  cudaErrorInvalidValue, "it has 40 bytes, of which 20 lie before");
  require_refused(cudaMemcpy(host.data(), memory.get() + 10, 4, cudaMemcpyDeviceToHost),
                  cudaErrorInvalidValue, "not in live device memory");
  require_refused(cudaMemcpy(host.data(), host.data() + 10, 4, cudaMemcpyHostToDevice), cudaErrorInvalidValue,
                  "not in live device memory");
  require_refused(cudaMemcpy(memory.get(), host.data(), 4, cudaMemcpyDeviceToHost), cudaErrorInvalidValue,
                  "is device memory");
  require_refused(cudaMemcpy(memory.get(), nullptr, 4, cudaMemcpyHostToDevice), cudaErrorInvalidValue,
                  "cannot hold");
  require_refused(cudaMemcpy(memory.get(), host.data(), 4, static_cast<cudaMemcpyKind>(7)),
                  cudaErrorInvalidMemcpyDirection, "unknown");
  require_refused(cudaMemset(host.data(), 0, 4), cudaErrorInvalidValue, "not in live device memory");
  require_refused(cudaMemset(memory.get(), 0, 41), cudaErrorInvalidValue, "reach beyond");
  require_refused(cudaFree(host.data()), cudaErrorInvalidValue, "not the start of a live allocation");
  require_refused(cudaFree(memory.get() + 1), cudaErrorInvalidValue, "not the start of a live allocation");
  require_refused(cudaFreeHost(memory.get()), cudaErrorInvalidValue, "not the start of a live allocation");
}

TEST_CASE("memory cannot be used or freed after it was freed", "[memory]") {
  const stream_mode_scope mode(GENERATE(stream_mode::immediate, stream_mode::deferred));
  int* memory = nullptr;
  int value = 5;
  REQUIRE(cudaMalloc(&memory, sizeof(int)) == cudaSuccess);
  REQUIRE(cudaFree(memory) == cudaSuccess);
  require_refused(cudaFree(memory), cudaErrorInvalidValue, "freed before?");
  require_refused(cudaMemcpy(&value, memory, sizeof(int), cudaMemcpyDeviceToHost), cudaErrorInvalidValue,
                  "not in live device memory");

  const scoped_stream stream;
  REQUIRE(cudaMallocAsync(&memory, sizeof(int), stream) == cudaSuccess);
  REQUIRE(cudaMemcpyAsync(memory, &value, sizeof(int), cudaMemcpyHostToDevice, stream) == cudaSuccess);
  REQUIRE(cudaFreeAsync(memory, stream) == cudaSuccess);
  require_refused(cudaFreeAsync(memory, stream), cudaErrorInvalidValue, "freed before?");
  require_refused(cudaMemsetAsync(memory, 0, sizeof(int), stream), cudaErrorInvalidValue,
                  "not in live device memory");
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  REQUIRE(cudaFree(nullptr) == cudaSuccess);
  REQUIRE(cudaFreeHost(nullptr) == cudaSuccess);
  REQUIRE(cudaFreeAsync(nullptr, stream) == cudaSuccess);
}

TEST_CASE("pinned and managed memory is the host's too", "[memory]") {
  int* pinned = nullptr;
  int* managed = nullptr;
  const device_array<int> memory(4);
  REQUIRE(cudaMallocHost(&pinned, 4 * sizeof(int)) == cudaSuccess);
  REQUIRE(cudaMallocManaged(&managed, 4 * sizeof(int)) == cudaSuccess);
  for (int i = 0; i < 4; ++i) pinned[i] = 10 * i;
  REQUIRE(cudaMemcpy(memory.get(), pinned, 16, cudaMemcpyHostToDevice) == cudaSuccess);
  REQUIRE(cudaMemcpy(managed, memory.get(), 16, cudaMemcpyDeviceToDevice) == cudaSuccess);
  REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
  REQUIRE(managed[3] == 30);
  require_refused(cudaMemcpy(pinned + 1, memory.get(), 16, cudaMemcpyDeviceToHost), cudaErrorInvalidValue,
                  "reach beyond");
  require_refused(cudaMemcpy(pinned, memory.get(), 16, cudaMemcpyDeviceToDevice), cudaErrorInvalidValue,
                  "is host memory");
  require_refused(cudaFree(pinned), cudaErrorInvalidValue, "not the start of a live allocation");
  REQUIRE(cudaFreeHost(pinned) == cudaSuccess);
  REQUIRE(cudaFree(managed) == cudaSuccess);
  require_refused(cudaHostAlloc(&pinned, 4, 64), cudaErrorInvalidValue, "unknown flag");
  require_refused(cudaMallocManaged(&managed, 4, 3), cudaErrorInvalidValue, "cudaMemAttachGlobal");
}

TEST_CASE("too much memory is an error and no exception", "[memory]") {
  std::size_t free_before = 0, total = 0, free_after = 0;
  REQUIRE(cudaMemGetInfo(&free_before, &total) == cudaSuccess);
  REQUIRE((free_before <= total && total > (std::size_t{1} << 28)));
  int* memory = nullptr;
  require_refused(cudaMalloc(&memory, total + 1), cudaErrorMemoryAllocation, "no room for an allocation of");
  REQUIRE(memory == nullptr);
  require_refused(cudaMalloc(&memory, std::numeric_limits<std::size_t>::max()), cudaErrorMemoryAllocation,
                  "no room");
  require_refused(cudaMallocHost(&memory, std::numeric_limits<std::size_t>::max() - 255),
                  cudaErrorMemoryAllocation, "no room");
  require_refused(cudaMalloc(static_cast<int**>(nullptr), 4), cudaErrorInvalidValue, "no place");
  REQUIRE(cudaMalloc(&memory, 4097) == cudaSuccess);
  REQUIRE(cudaMemGetInfo(&free_after, &total) == cudaSuccess);
  REQUIRE(free_before - free_after == 4097);
  REQUIRE(cudaFree(memory) == cudaSuccess);
  REQUIRE(cudaMemGetInfo(&free_after, &total) == cudaSuccess);
  REQUIRE(free_before == free_after);
  require_refused(cudaMemGetInfo(nullptr, &total), cudaErrorInvalidValue, "no place");
}

TEST_CASE("allocations are counted", "[memory]") {
  const std::size_t before = allocation_count();
  int host = 0;
  int* memory = &host;
  REQUIRE(cudaMalloc(&memory, 0) == cudaSuccess);
  REQUIRE(memory == nullptr);
  REQUIRE(allocation_count() == before);
  REQUIRE(cudaMalloc(&memory, 1) == cudaSuccess);
  REQUIRE(cudaFree(memory) == cudaSuccess);
  REQUIRE(cudaMallocHost(&memory, 1) == cudaSuccess);
  REQUIRE(cudaFreeHost(memory) == cudaSuccess);
  REQUIRE(allocation_count() == before + 2);
}

TEST_CASE("a queued copy reads pageable memory at the call and pinned memory when it runs", "[memory]") {
  const stream_mode_scope mode(stream_mode::deferred);
  const scoped_stream stream;
  const device_array<int> memory(2);
  int pageable = 1;
  int* pinned = nullptr;
  REQUIRE(cudaMallocHost(&pinned, sizeof(int)) == cudaSuccess);
  *pinned = 1;
  REQUIRE(cudaMemcpyAsync(memory.get(), &pageable, sizeof(int), cudaMemcpyHostToDevice, stream) ==
          cudaSuccess);
  REQUIRE(cudaMemcpyAsync(memory.get() + 1, pinned, sizeof(int), cudaMemcpyHostToDevice, stream) ==
          cudaSuccess);
  pageable = 2;
  *pinned = 2;  // too early: nothing has waited
  int received[2] = {0, 0};
  REQUIRE(cudaMemcpyAsync(pinned, memory.get(), sizeof(int), cudaMemcpyDeviceToHost, stream) == cudaSuccess);
  REQUIRE(*pinned == 2);
  // To pageable memory the copy has arrived when the call returns, and so has what was before it in the
  // stream.
  REQUIRE(cudaMemcpyAsync(received, memory.get(), 2 * sizeof(int), cudaMemcpyDeviceToHost, stream) ==
          cudaSuccess);
  REQUIRE(received[0] == 1);
  REQUIRE(received[1] == 2);
  REQUIRE(*pinned == 1);
  REQUIRE(cudaFreeHost(pinned) == cudaSuccess);
}
