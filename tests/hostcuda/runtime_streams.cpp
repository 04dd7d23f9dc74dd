#include <atomic>
#include <chrono>
#include <thread>

#include "runtime_support.hpp"

using namespace hostcuda;

namespace {

// Work that fails as a kernel with a fault does.
cudaError_t put_fault(cudaStream_t stream, cudaError_t error) {
  return detail::enqueue(stream, [error] {
    detail::report("kernel k, block (0, 0, 0): it broke");
    return error;
  });
}

}  // namespace

TEST_CASE("in immediate mode work has run when the call returns", "[streams]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const scoped_stream stream;
  journal work;
  work.put(stream, 'a');
  REQUIRE(work.ran == "a");
  work.put(nullptr, 'b');
  REQUIRE(work.ran == "ab");
  REQUIRE(cudaStreamQuery(stream) == cudaSuccess);
}

TEST_CASE("in deferred mode work runs when something waits for it, and no other work", "[streams]") {
  const stream_mode_scope mode(stream_mode::deferred);
  const scoped_stream first, second;
  journal work;
  work.put(first, 'a');
  work.put(second, 'b');
  work.put(first, 'c');
  work.put(second, 'd');
  REQUIRE(work.ran.empty());
  SECTION("cudaStreamSynchronize") {
    REQUIRE(cudaStreamSynchronize(first) == cudaSuccess);
    REQUIRE(work.ran == "ac");
  }
  SECTION("cudaDeviceSynchronize: independent work latest first") {
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    REQUIRE(work.ran == "bdac");
  }
  SECTION("cudaEventSynchronize: only what came before the record") {
    const scoped_event event;
    REQUIRE(cudaEventRecord(event, first) == cudaSuccess);
    work.put(first, 'e');
    REQUIRE(cudaEventSynchronize(event) == cudaSuccess);
    REQUIRE(work.ran == "ac");
  }
  SECTION("queries make work run, but say no once") {
    REQUIRE(cudaStreamQuery(second) == cudaErrorNotReady);
    REQUIRE(work.ran == "bd");
    REQUIRE(cudaStreamQuery(second) == cudaSuccess);
    const scoped_event event;
    REQUIRE(cudaEventQuery(event) == cudaSuccess);  // nothing recorded
    REQUIRE(cudaEventRecord(event, first) == cudaSuccess);
    REQUIRE(cudaEventQuery(event) == cudaErrorNotReady);
    REQUIRE(work.ran == "bdac");
    REQUIRE(cudaEventQuery(event) == cudaSuccess);
    cudaGetLastError();
  }
  SECTION("cudaFree waits for everything") {
    int* memory = nullptr;
    REQUIRE(cudaMalloc(&memory, 4) == cudaSuccess);
    REQUIRE(work.ran.empty());
    REQUIRE(cudaFree(memory) == cudaSuccess);
    REQUIRE(work.ran.size() == 4);
  }
  SECTION("the end of deferred mode: what is left runs before new work") {
    settings().streams = stream_mode::immediate;
    work.put(first, 'e');
    REQUIRE(work.ran == "bdace");
  }
  SECTION("a destroyed stream's work still runs") {
    cudaStream_t third = nullptr;
    REQUIRE(cudaStreamCreateWithFlags(&third, cudaStreamNonBlocking) == cudaSuccess);
    work.put(third, 'e');
    REQUIRE(cudaStreamDestroy(third) == cudaSuccess);
    REQUIRE(work.ran.empty());
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    REQUIRE(work.ran == "ebdac");
  }
}

TEST_CASE("a stream waits for another through an event", "[streams]") {
  const stream_mode_scope mode(stream_mode::deferred);
  const scoped_stream first, second;
  const scoped_event event(cudaEventDisableTiming);
  journal work;
  work.put(second, 'x');
  work.put(first, 'a');
  REQUIRE(cudaEventRecord(event, first) == cudaSuccess);
  work.put(first, 'b');
  REQUIRE(cudaStreamWaitEvent(second, event) == cudaSuccess);
  work.put(second, 'y');
  SECTION("it runs what the event recorded, not more") {
    REQUIRE(cudaStreamSynchronize(second) == cudaSuccess);
    REQUIRE(work.ran == "axy");
  }
  SECTION("a later record does not change what a wait waits for") {
    REQUIRE(cudaEventRecord(event, first) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(second) == cudaSuccess);
    REQUIRE(work.ran == "axy");
  }
  SECTION("an event that nobody recorded holds nobody up") {
    const scoped_event unused;
    REQUIRE(cudaStreamWaitEvent(first, unused) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(first) == cudaSuccess);
    REQUIRE(work.ran == "ab");
  }
}

TEST_CASE("the legacy default stream and blocking streams wait for each other", "[streams]") {
  const stream_mode_scope mode(stream_mode::deferred);
  const scoped_stream blocking(cudaStreamDefault), other(cudaStreamDefault), free(cudaStreamNonBlocking);
  journal work;
  work.put(free, 'f');
  work.put(blocking, 'a');
  work.put(nullptr, 'l');
  work.put(other, 'b');
  SECTION("a blocking stream after the legacy one") {
    REQUIRE(cudaStreamSynchronize(other) == cudaSuccess);
    REQUIRE(work.ran == "alb");
  }
  SECTION("synchronising the legacy stream takes all blocking ones") {
    REQUIRE(cudaStreamSynchronize(nullptr) == cudaSuccess);
    REQUIRE(work.ran == "alb");
  }
  SECTION("a blocking memcpy is work of the legacy stream") {
    const device_array<int> memory(1);
    int value = 1;
    REQUIRE(cudaMemcpy(memory.get(), &value, sizeof value, cudaMemcpyHostToDevice) == cudaSuccess);
    REQUIRE(work.ran == "alb");
  }
  SECTION("a blocking stream before the legacy one only") {
    REQUIRE(cudaStreamSynchronize(blocking) == cudaSuccess);
    REQUIRE(work.ran == "a");
  }
  SECTION("the legacy stream waits for a blocking one that is gone") {
    cudaStream_t gone = nullptr;
    REQUIRE(cudaStreamCreate(&gone) == cudaSuccess);
    work.put(gone, 'g');
    REQUIRE(cudaStreamDestroy(gone) == cudaSuccess);
    work.put(nullptr, 'm');
    work.put(blocking, 'c');
    REQUIRE(cudaStreamSynchronize(blocking) == cudaSuccess);
    REQUIRE_THAT(work.ran, Catch::Matchers::ContainsSubstring("g"));
    REQUIRE(work.ran.find('g') < work.ran.find('m'));
    REQUIRE(work.ran.find('m') < work.ran.find('c'));
    REQUIRE(work.ran.find('f') == std::string::npos);
  }
}

TEST_CASE("a long queue runs without deep recursion", "[streams]") {
  const stream_mode_scope mode(stream_mode::deferred);
  const scoped_stream stream;
  long sum = 0;
  for (int i = 0; i < 100000; ++i) {
    detail::enqueue(stream, [&sum, i] {
      sum += i;
      return cudaSuccess;
    });
  }
  SECTION("run") {
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    REQUIRE(sum == 100000L * 99999 / 2);
  }
  SECTION("dropped") {
    reset_device();
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    REQUIRE(sum == 0);
  }
}

TEST_CASE("host threads on one stream take turns", "[streams]") {
  const stream_mode_scope mode(GENERATE(stream_mode::immediate, stream_mode::deferred));
  const scoped_stream stream(GENERATE(cudaStreamDefault, cudaStreamNonBlocking));
  int running = 0, most = 0;  // no atomics: ThreadSanitizer sees whether the stream orders its work
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        // A blocking stream takes turns with the legacy one, too.
        const bool legacy =
            t == 0 && detail::lock_of(stream).native_handle() == detail::legacy_lock.native_handle();
        detail::enqueue(legacy ? nullptr : static_cast<cudaStream_t>(stream), [&] {
          most = std::max(most, ++running);
          --running;
          return cudaSuccess;
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
  REQUIRE(most == 1);
}

TEST_CASE("synchronising waits for what another host thread runs", "[streams]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const scoped_stream stream;
  std::atomic<bool> started{false};
  bool finished = false;
  std::thread other([&] {
    detail::enqueue(stream, [&] {
      started = true;
      started.notify_all();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      finished = true;
      return cudaSuccess;
    });
  });
  started.wait(false);
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  REQUIRE(finished);
  other.join();
}

TEST_CASE("events measure time", "[streams]") {
  const stream_mode_scope mode(GENERATE(stream_mode::immediate, stream_mode::deferred));
  const scoped_stream stream;
  const scoped_event start, end, untimed(cudaEventDisableTiming), never;
  REQUIRE(cudaEventRecord(start, stream) == cudaSuccess);
  detail::enqueue(stream, [] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return cudaSuccess;
  });
  REQUIRE(cudaEventRecord(end, stream) == cudaSuccess);
  REQUIRE(cudaEventRecord(untimed, stream) == cudaSuccess);
  float milliseconds = -1;
  if (settings().streams == stream_mode::deferred) {
    REQUIRE(cudaEventElapsedTime(&milliseconds, start, end) == cudaErrorNotReady);
  }
  REQUIRE(cudaEventSynchronize(end) == cudaSuccess);
  REQUIRE(cudaEventElapsedTime(&milliseconds, start, end) == cudaSuccess);
  REQUIRE((milliseconds >= 5 && milliseconds < 5000));
  REQUIRE(cudaEventElapsedTime(&milliseconds, start, untimed) == cudaErrorInvalidResourceHandle);
  REQUIRE(cudaEventElapsedTime(&milliseconds, start, never) == cudaErrorInvalidResourceHandle);
  REQUIRE(cudaEventElapsedTime(nullptr, start, end) == cudaErrorInvalidValue);
}

TEST_CASE("a host function runs in order and may not call CUDA", "[streams]") {
  const stream_mode_scope mode(GENERATE(stream_mode::immediate, stream_mode::deferred));
  const scoped_stream stream;
  struct record {
    cudaStream_t stream;
    std::string ran;
    std::vector<cudaError_t> errors;
  } seen{stream, "", {}};
  detail::enqueue(stream, [&] {
    seen.ran += 'a';
    return cudaSuccess;
  });
  const cudaHostFn_t function = [](void* data) {
    auto& to = *static_cast<record*>(data);
    int* memory = nullptr;
    to.ran += 'h';
    to.errors.push_back(cudaStreamSynchronize(to.stream));
    to.errors.push_back(cudaMemsetAsync(nullptr, 0, 0, to.stream));
    to.errors.push_back(cudaMalloc(&memory, 4));
    to.errors.push_back(cudaLaunchHostFunc(
        to.stream, [](void*) {}, nullptr));
    to.errors.push_back(cudaStreamBeginCapture(to.stream, cudaStreamCaptureModeGlobal));
  };
  REQUIRE(cudaLaunchHostFunc(stream, function, &seen) == cudaSuccess);
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  REQUIRE(seen.ran == "ah");
  using std::vector;
  REQUIRE(seen.errors == vector<cudaError_t>{cudaErrorNotPermitted, cudaSuccess, cudaErrorNotPermitted,
                                             cudaErrorNotPermitted, cudaErrorNotPermitted});
  REQUIRE(cudaLaunchHostFunc(stream, nullptr, nullptr) == cudaErrorInvalidValue);
  REQUIRE(detail::obstacles == 0);
}

TEST_CASE("a fault is sticky until the device is reset", "[errors]") {
  const stream_mode_scope mode(GENERATE(stream_mode::immediate, stream_mode::deferred));
  const scoped_stream stream;
  journal work;
  const cudaError_t at_once = put_fault(stream, cudaErrorMisalignedAddress);
  if (settings().streams == stream_mode::deferred) {
    REQUIRE(at_once == cudaSuccess);
    work.put(stream, 'x');
    REQUIRE(cudaStreamSynchronize(stream) == cudaErrorMisalignedAddress);
  } else {
    REQUIRE(at_once == cudaErrorMisalignedAddress);
  }
  REQUIRE(work.try_put(stream, 'y') == cudaErrorMisalignedAddress);
  REQUIRE(work.ran.empty());  // what comes after a fault does not run
  REQUIRE(cudaStreamSynchronize(stream) == cudaErrorMisalignedAddress);
  REQUIRE(cudaDeviceSynchronize() == cudaErrorMisalignedAddress);
  REQUIRE(cudaMemsetAsync(nullptr, 0, 0, stream) == cudaErrorMisalignedAddress);
  int* memory = nullptr;
  REQUIRE(cudaMalloc(&memory, 4) == cudaErrorMisalignedAddress);
  REQUIRE(cudaPeekAtLastError() == cudaErrorMisalignedAddress);
  REQUIRE(cudaGetLastError() == cudaErrorMisalignedAddress);
  REQUIRE(cudaGetLastError() == cudaErrorMisalignedAddress);
  REQUIRE(last_report() == "kernel k, block (0, 0, 0): it broke");
  REQUIRE(cudaDeviceReset() == cudaSuccess);
  REQUIRE(cudaGetLastError() == cudaSuccess);
  REQUIRE(last_report().empty());
  work.put(stream, 'z');
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  REQUIRE(work.ran == "z");
}

TEST_CASE("memory and handles are given back in spite of a fault", "[errors]") {
  const stream_mode_scope mode(stream_mode::immediate);
  std::size_t before = 0, after = 0, total = 0;
  REQUIRE(cudaMemGetInfo(&before, &total) == cudaSuccess);
  int* memory = nullptr;
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  REQUIRE(cudaMalloc(&memory, 1000) == cudaSuccess);
  REQUIRE(cudaStreamCreate(&stream) == cudaSuccess);
  REQUIRE(cudaEventCreate(&event) == cudaSuccess);
  REQUIRE(put_fault(stream, cudaErrorLaunchFailure) == cudaErrorLaunchFailure);
  REQUIRE(cudaFree(memory) == cudaErrorLaunchFailure);
  REQUIRE(cudaStreamDestroy(stream) == cudaErrorLaunchFailure);
  REQUIRE(cudaEventDestroy(event) == cudaErrorLaunchFailure);
  reset_device();
  REQUIRE(cudaMemGetInfo(&after, &total) == cudaSuccess);
  REQUIRE(after == before);
  REQUIRE(cudaStreamDestroy(stream) == cudaErrorInvalidResourceHandle);
}

TEST_CASE("an error that is no fault is the thread's own and passes", "[errors]") {
  const stream_mode_scope mode(stream_mode::immediate);
  REQUIRE(cudaSetDevice(1) == cudaErrorInvalidDevice);
  std::thread([] { REQUIRE(cudaGetLastError() == cudaSuccess); }).join();
  REQUIRE(cudaPeekAtLastError() == cudaErrorInvalidDevice);
  REQUIRE(cudaDeviceSynchronize() == cudaSuccess);  // success does not clear it
  REQUIRE(cudaGetLastError() == cudaErrorInvalidDevice);
  REQUIRE(cudaGetLastError() == cudaSuccess);

  // The report of one error does not explain the next.
  int host = 0;
  REQUIRE(cudaFree(&host) == cudaErrorInvalidValue);
  REQUIRE_FALSE(last_report().empty());
  REQUIRE(detail::record(cudaErrorNotReady) == cudaErrorNotReady);
  REQUIRE(last_report().empty());
}

TEST_CASE("errors have CUDA's names, texts and numbers", "[errors]") {
  REQUIRE(std::string(cudaGetErrorName(cudaErrorInvalidValue)) == "cudaErrorInvalidValue");
  REQUIRE(std::string(cudaGetErrorString(cudaErrorMemoryAllocation)) == "out of memory");
  REQUIRE(std::string(cudaGetErrorString(cudaSuccess)) == "no error");
  REQUIRE(std::string(cudaGetErrorName(static_cast<cudaError_t>(12345))) == "unrecognized error code");
  REQUIRE(cudaErrorLaunchFailure == 719);
  REQUIRE(cudaErrorStreamCaptureImplicit == 906);
}

TEST_CASE("streams and events check their arguments", "[streams]") {
  const stream_mode_scope mode(stream_mode::immediate);
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  REQUIRE(cudaStreamCreateWithFlags(&stream, 4) == cudaErrorInvalidValue);
  REQUIRE(cudaStreamCreate(nullptr) == cudaErrorInvalidValue);
  REQUIRE(cudaStreamDestroy(nullptr) == cudaErrorInvalidResourceHandle);
  REQUIRE(cudaEventCreateWithFlags(&event, 8) == cudaErrorInvalidValue);
  REQUIRE(cudaEventRecord(nullptr) == cudaErrorInvalidResourceHandle);
  REQUIRE(cudaEventSynchronize(nullptr) == cudaErrorInvalidResourceHandle);
  REQUIRE(cudaEventQuery(nullptr) == cudaErrorInvalidResourceHandle);
  REQUIRE(cudaEventDestroy(nullptr) == cudaErrorInvalidResourceHandle);
  REQUIRE(cudaStreamWaitEvent(nullptr, nullptr) == cudaErrorInvalidResourceHandle);
  const scoped_event some;
  REQUIRE(cudaStreamWaitEvent(nullptr, some, 1) == cudaErrorInvalidValue);
}

TEST_CASE("the device says what it is", "[device]") {
  const stream_mode_scope mode(stream_mode::immediate);
  int count = 0, device = -1, driver = 0, runtime = 0, value = 0;
  REQUIRE(cudaGetDeviceCount(&count) == cudaSuccess);
  REQUIRE(count == 1);
  REQUIRE(cudaSetDevice(0) == cudaSuccess);
  REQUIRE(cudaGetDevice(&device) == cudaSuccess);
  REQUIRE(device == 0);
  cudaDeviceProp properties{};
  REQUIRE(cudaGetDeviceProperties(&properties, 0) == cudaSuccess);
  REQUIRE(std::string(properties.name) == "hostcuda: CPU");
  REQUIRE((properties.major == 8 && properties.minor == 0 && properties.warpSize == 32));
  REQUIRE(properties.multiProcessorCount == settings().workers);
  REQUIRE(properties.sharedMemPerBlock == 48 * 1024);
  REQUIRE(cudaGetDeviceProperties(&properties, 1) == cudaErrorInvalidDevice);
  REQUIRE(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0) == cudaSuccess);
  REQUIRE(static_cast<std::size_t>(value) == properties.sharedMemPerBlockOptin);
  REQUIRE(cudaDeviceGetAttribute(&value, cudaDevAttrMaxGridDimY, 0) == cudaSuccess);
  REQUIRE(value == 65535);
  REQUIRE(cudaDeviceGetAttribute(&value, static_cast<cudaDeviceAttr>(9999), 0) == cudaErrorInvalidValue);
  REQUIRE(cudaDeviceGetAttribute(&value, cudaDevAttrWarpSize, 3) == cudaErrorInvalidDevice);
  REQUIRE(cudaDriverGetVersion(&driver) == cudaSuccess);
  REQUIRE(cudaRuntimeGetVersion(&runtime) == cudaSuccess);
  REQUIRE(driver >= runtime);
  REQUIRE(runtime >= 12000);
}
