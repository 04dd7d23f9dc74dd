#include <latch>
#include <thread>

#include "runtime_support.hpp"

using namespace hostcuda;

namespace {

class scoped_graph {
 public:
  scoped_graph() = default;
  scoped_graph(const scoped_graph&) = delete;
  scoped_graph& operator=(const scoped_graph&) = delete;
  ~scoped_graph() {
    if (graph_ != nullptr) cudaGraphDestroy(graph_);
    if (executable_ != nullptr) cudaGraphExecDestroy(executable_);
  }

  cudaError_t end_capture(cudaStream_t stream) { return cudaStreamEndCapture(stream, &graph_); }

  // Instantiated on first use; the graph itself is not needed after that.
  cudaGraphExec_t executable() {
    if (executable_ == nullptr) {
      REQUIRE(cudaGraphInstantiate(&executable_, graph_) == cudaSuccess);
      REQUIRE(cudaGraphDestroy(graph_) == cudaSuccess);
      graph_ = nullptr;
    }
    return executable_;
  }

  std::size_t nodes() const {
    std::size_t count = 0;
    REQUIRE(cudaGraphGetNodes(graph_, nullptr, &count) == cudaSuccess);
    return count;
  }

  cudaGraph_t get() const { return graph_; }

 private:
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t executable_ = nullptr;
};

cudaStreamCaptureStatus status_of(cudaStream_t stream) {
  cudaStreamCaptureStatus status{};
  REQUIRE(cudaStreamIsCapturing(stream, &status) == cudaSuccess);
  return status;
}

void begin(cudaStream_t stream, cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal) {
  REQUIRE(cudaStreamBeginCapture(stream, mode) == cudaSuccess);
}

// Ends an invalidated capture: no graph, and the stream is as before.
void require_invalidated(cudaStream_t stream) {
  CHECK(status_of(stream) == cudaStreamCaptureStatusInvalidated);
  journal work;
  CHECK(work.try_put(stream, 'x') == cudaErrorStreamCaptureInvalidated);
  scoped_graph graph;
  CHECK(graph.end_capture(stream) == cudaErrorStreamCaptureInvalidated);
  CHECK(graph.get() == nullptr);
  CHECK(status_of(stream) == cudaStreamCaptureStatusNone);
  CHECK(detail::the_scheduler().captures.empty());
  work.put(stream, 'y');
  CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(work.ran == "y");
}

}  // namespace

TEST_CASE("a captured sequence runs only when it is replayed, every time", "[graphs]") {
  const stream_mode_scope mode(GENERATE(stream_mode::immediate, stream_mode::deferred));
  const scoped_stream stream(GENERATE(cudaStreamDefault, cudaStreamNonBlocking));
  const device_array<int> counter(2), other(2);
  int start[2] = {7, 8}, end[2] = {0, 0};
  journal work;
  begin(stream);
  REQUIRE(status_of(stream) == cudaStreamCaptureStatusActive);
  work.put(stream, 'a');
  REQUIRE(cudaMemcpyAsync(counter.get(), start, sizeof start, cudaMemcpyHostToDevice, stream) == cudaSuccess);
  REQUIRE(cudaMemsetAsync(counter.get(), 0, sizeof(int), stream) == cudaSuccess);
  REQUIRE(cudaMemcpyAsync(end, counter.get(), sizeof end, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
  work.put(stream, 'b');
  scoped_graph graph;
  REQUIRE(graph.end_capture(stream) == cudaSuccess);
  REQUIRE(status_of(stream) == cudaStreamCaptureStatusNone);
  REQUIRE(work.ran.empty());
  REQUIRE(end[1] == 0);
  REQUIRE(graph.nodes() == 5);
  std::vector<cudaGraphNode_t> nodes(6, nullptr);
  std::size_t count = 6;
  REQUIRE(cudaGraphGetNodes(graph.get(), nodes.data(), &count) == cudaSuccess);
  REQUIRE((count == 5 && nodes[4] != nullptr && nodes[5] == nullptr));

  start[1] = 9;  // a graph reads host memory when it runs
  REQUIRE(cudaGraphLaunch(graph.executable(), stream) == cudaSuccess);
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  REQUIRE((end[0] == 0 && end[1] == 9));
  REQUIRE(cudaGraphLaunch(graph.executable(), stream) == cudaSuccess);
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  REQUIRE(work.ran == "abab");
}

TEST_CASE("a replay allocates nothing", "[graphs]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const scoped_stream stream;
  const device_array<int> memory(4);
  begin(stream);
  REQUIRE(cudaMemsetAsync(memory.get(), 0, 16, stream) == cudaSuccess);
  scoped_graph graph;
  REQUIRE(graph.end_capture(stream) == cudaSuccess);
  const cudaGraphExec_t executable = graph.executable();
  const std::size_t before = allocation_count();
  for (int i = 0; i < 10; ++i) REQUIRE(cudaGraphLaunch(executable, stream) == cudaSuccess);
  REQUIRE(allocation_count() == before);
}

TEST_CASE("a graph outlives its handle while a launch of it is queued", "[graphs]") {
  const stream_mode_scope mode(stream_mode::deferred);
  const scoped_stream stream;
  journal work;
  begin(stream);
  work.put(stream, 'a');
  {
    scoped_graph graph;
    REQUIRE(graph.end_capture(stream) == cudaSuccess);
    REQUIRE(cudaGraphLaunch(graph.executable(), stream) == cudaSuccess);
  }
  REQUIRE(work.ran.empty());
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  REQUIRE(work.ran == "a");
}

TEST_CASE("a graph launched into a capture becomes one node", "[graphs]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const scoped_stream stream;
  journal work;
  scoped_graph inner, outer;
  begin(stream);
  work.put(stream, 'a');
  work.put(stream, 'b');
  REQUIRE(inner.end_capture(stream) == cudaSuccess);
  begin(stream);
  REQUIRE(cudaGraphLaunch(inner.executable(), stream) == cudaSuccess);
  work.put(stream, 'c');
  REQUIRE(outer.end_capture(stream) == cudaSuccess);
  REQUIRE(outer.nodes() == 2);
  REQUIRE(cudaGraphLaunch(outer.executable(), stream) == cudaSuccess);
  REQUIRE(work.ran == "abc");
}

TEST_CASE("other streams join a capture through events", "[graphs]") {
  const stream_mode_scope mode(GENERATE(stream_mode::immediate, stream_mode::deferred));
  const scoped_stream stream, side;
  const scoped_event fork, join;
  journal work;
  begin(stream);
  work.put(stream, 'a');
  REQUIRE(cudaEventRecord(fork, stream) == cudaSuccess);
  REQUIRE(cudaStreamWaitEvent(side, fork) == cudaSuccess);
  REQUIRE(status_of(side) == cudaStreamCaptureStatusActive);
  work.put(side, 's');
  work.put(stream, 'b');
  REQUIRE(cudaEventRecord(join, side) == cudaSuccess);
  scoped_graph graph;
  SECTION("joined") {
    REQUIRE(cudaStreamWaitEvent(stream, join) == cudaSuccess);
    work.put(stream, 'c');
    SECTION("must end where it began") {
      REQUIRE(graph.end_capture(side) == cudaErrorStreamCaptureUnmatched);
      require_invalidated(stream);
    }
    SECTION("runs") {
      REQUIRE(graph.end_capture(stream) == cudaSuccess);
      REQUIRE(status_of(side) == cudaStreamCaptureStatusNone);
      REQUIRE(graph.nodes() == 4);
      REQUIRE(cudaGraphLaunch(graph.executable(), stream) == cudaSuccess);
      REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
      // Deferred: nodes that no edge orders run latest first.
      REQUIRE(work.ran == (settings().streams == stream_mode::deferred ? "absc" : "asbc"));
    }
  }
  SECTION("not joined") {
    REQUIRE(graph.end_capture(stream) == cudaErrorStreamCaptureUnjoined);
    REQUIRE(graph.get() == nullptr);
    REQUIRE(status_of(stream) == cudaStreamCaptureStatusNone);
    REQUIRE(status_of(side) == cudaStreamCaptureStatusNone);
    REQUIRE(work.ran.empty());
  }
  SECTION("an event of a capture that has ended is no use") {
    REQUIRE(cudaStreamWaitEvent(stream, join) == cudaSuccess);
    REQUIRE(graph.end_capture(stream) == cudaSuccess);
    REQUIRE(cudaStreamWaitEvent(stream, join) == cudaErrorCapturedEvent);
    REQUIRE(cudaEventQuery(join) == cudaErrorCapturedEvent);
    REQUIRE(cudaEventRecord(join, stream) == cudaSuccess);  // until it is recorded again
    REQUIRE(cudaStreamWaitEvent(side, join) == cudaSuccess);
  }
}

TEST_CASE("a missing edge shows in deferred mode", "[graphs]") {
  const stream_mode_scope mode(stream_mode::deferred);
  const scoped_stream stream, side;
  const scoped_event fork, join;
  journal work;
  begin(stream);
  REQUIRE(cudaEventRecord(fork, stream) == cudaSuccess);
  REQUIRE(cudaStreamWaitEvent(side, fork) == cudaSuccess);
  work.put(side, 'p');    // makes what
  work.put(stream, 'u');  // uses it, and should have waited
  REQUIRE(cudaEventRecord(join, side) == cudaSuccess);
  REQUIRE(cudaStreamWaitEvent(stream, join) == cudaSuccess);
  scoped_graph graph;
  REQUIRE(graph.end_capture(stream) == cudaSuccess);
  REQUIRE(cudaGraphLaunch(graph.executable(), stream) == cudaSuccess);
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  REQUIRE(work.ran == "up");
}

TEST_CASE("what waits for, or asks after, a captured stream invalidates the capture", "[graphs]") {
  const stream_mode_scope mode(GENERATE(stream_mode::immediate, stream_mode::deferred));
  const scoped_stream stream;
  const scoped_event event;
  begin(stream, cudaStreamCaptureModeRelaxed);
  REQUIRE(cudaEventRecord(event, stream) == cudaSuccess);
  SECTION("cudaStreamSynchronize") {
    REQUIRE(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported);
  }
  SECTION("cudaStreamQuery") { REQUIRE(cudaStreamQuery(stream) == cudaErrorStreamCaptureUnsupported); }
  SECTION("cudaDeviceSynchronize") { REQUIRE(cudaDeviceSynchronize() == cudaErrorStreamCaptureUnsupported); }
  SECTION("cudaEventSynchronize") { REQUIRE(cudaEventSynchronize(event) == cudaErrorCapturedEvent); }
  SECTION("cudaEventQuery") { REQUIRE(cudaEventQuery(event) == cudaErrorCapturedEvent); }
  require_invalidated(stream);
}

TEST_CASE("a global capture forbids unsafe calls, a relaxed one does not", "[graphs]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const scoped_stream stream, free;
  const device_array<int> memory(1);
  int value = 3;
  int* more = nullptr;
  SECTION("global") {
    begin(stream, GENERATE(cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal));
    cudaError_t error = cudaSuccess;
    switch (GENERATE(range(0, 5))) {
      case 0:
        error = cudaMalloc(&more, 4);
        break;
      case 1:
        error = cudaMallocHost(&more, 4);
        break;
      case 2:
        error = cudaFree(memory.get());
        break;
      case 3:
        error = cudaMemcpy(memory.get(), &value, 4, cudaMemcpyHostToDevice);
        break;
      default:
        error = cudaMemset(memory.get(), 0, 4);
    }
    REQUIRE(error == cudaErrorStreamCaptureUnsupported);
    require_invalidated(stream);
  }
  SECTION("relaxed") {
    begin(stream, cudaStreamCaptureModeRelaxed);
    REQUIRE(cudaMalloc(&more, 4) == cudaSuccess);
    REQUIRE(cudaMemcpy(more, &value, 4, cudaMemcpyHostToDevice) == cudaSuccess);
    REQUIRE(cudaFree(more) == cudaSuccess);
    scoped_graph graph;
    REQUIRE(graph.end_capture(stream) == cudaSuccess);
    REQUIRE(graph.nodes() == 0);
    REQUIRE(cudaGraphLaunch(graph.executable(), stream) == cudaSuccess);
  }
  SECTION("another thread is held by a global capture only") {
    const bool global = GENERATE(true, false);
    begin(stream, global ? cudaStreamCaptureModeGlobal : cudaStreamCaptureModeThreadLocal);
    cudaError_t error = cudaSuccess;
    std::thread([&] { error = cudaMalloc(&more, 4); }).join();
    scoped_graph graph;
    REQUIRE(error == (global ? cudaErrorStreamCaptureUnsupported : cudaSuccess));
    REQUIRE(graph.end_capture(stream) == (global ? cudaErrorStreamCaptureInvalidated : cudaSuccess));
    REQUIRE(cudaFree(more) == cudaSuccess);
  }
  SECTION("streams that are not captured go on working") {
    begin(stream);
    journal work;
    work.put(free, 'a');
    REQUIRE(cudaStreamSynchronize(free) == cudaSuccess);
    REQUIRE(work.ran == "a");
    scoped_graph graph;
    REQUIRE(graph.end_capture(stream) == cudaSuccess);
  }
  SECTION("allocation in stream order cannot be captured") {
    begin(stream);
    REQUIRE(cudaMallocAsync(&more, 4, stream) == cudaErrorNotSupported);
    REQUIRE(cudaFreeAsync(memory.get(), stream) == cudaErrorNotSupported);
    scoped_graph graph;
    REQUIRE(graph.end_capture(stream) == cudaSuccess);
  }
}

TEST_CASE("the legacy default stream may not touch a captured blocking stream", "[graphs]") {
  const stream_mode_scope mode(GENERATE(stream_mode::immediate, stream_mode::deferred));
  journal work;
  const device_array<int> memory(1);
  SECTION("blocking") {
    const scoped_stream stream(cudaStreamDefault);
    begin(stream, cudaStreamCaptureModeRelaxed);
    cudaStreamCaptureStatus status{};
    REQUIRE(cudaStreamIsCapturing(nullptr, &status) == cudaErrorStreamCaptureImplicit);
    REQUIRE(status_of(stream) == cudaStreamCaptureStatusActive);  // asking does no harm
    switch (GENERATE(range(0, 5))) {
      case 0:
        REQUIRE(work.try_put(nullptr, 'a') == cudaErrorStreamCaptureImplicit);
        break;
      case 1:
        REQUIRE(cudaStreamSynchronize(nullptr) == cudaErrorStreamCaptureImplicit);
        break;
      case 2:
        REQUIRE(cudaMemset(memory.get(), 0, 4) == cudaErrorStreamCaptureImplicit);
        break;
      case 3: {
        const scoped_event event;
        REQUIRE(cudaEventRecord(event, nullptr) == cudaErrorStreamCaptureImplicit);
        break;
      }
      default: {
        const scoped_event event;
        REQUIRE(cudaEventRecord(event, stream) == cudaSuccess);
        REQUIRE(cudaStreamWaitEvent(nullptr, event) == cudaErrorStreamCaptureImplicit);
      }
    }
    require_invalidated(stream);
  }
  SECTION("non-blocking") {
    const scoped_stream stream(cudaStreamNonBlocking);
    begin(stream);
    work.put(nullptr, 'a');
    REQUIRE(cudaStreamSynchronize(nullptr) == cudaSuccess);
    REQUIRE(work.ran == "a");
    scoped_graph graph;
    REQUIRE(graph.end_capture(stream) == cudaSuccess);
  }
}

TEST_CASE("captures stay apart from each other and from other work", "[graphs]") {
  const stream_mode_scope mode(GENERATE(stream_mode::immediate, stream_mode::deferred));
  const scoped_stream first, second;
  const scoped_event event, unused;
  scoped_graph graph;
  SECTION("no wait for work outside") {
    REQUIRE(cudaEventRecord(event, second) == cudaSuccess);
    begin(first);
    REQUIRE(cudaStreamWaitEvent(first, unused) == cudaSuccess);
    REQUIRE(cudaStreamWaitEvent(first, event) == cudaErrorStreamCaptureIsolation);
    require_invalidated(first);
  }
  SECTION("no merge") {
    begin(first);
    begin(second);
    REQUIRE(cudaEventRecord(event, second) == cudaSuccess);
    REQUIRE(cudaStreamWaitEvent(first, event) == cudaErrorStreamCaptureMerge);
    CHECK(graph.end_capture(first) == cudaErrorStreamCaptureInvalidated);
    CHECK(graph.end_capture(second) == cudaErrorStreamCaptureInvalidated);
  }
  SECTION("a fork must not outlive its stream unnoticed") {
    begin(first);
    {
      const scoped_stream third;
      journal work;
      REQUIRE(cudaEventRecord(event, first) == cudaSuccess);
      REQUIRE(cudaStreamWaitEvent(third, event) == cudaSuccess);
      work.put(third, 'a');
    }
    REQUIRE(graph.end_capture(first) == cudaErrorStreamCaptureUnjoined);
  }
  SECTION("a capture ends with its stream") {
    {
      const scoped_stream third;
      begin(third);
      REQUIRE(cudaEventRecord(event, third) == cudaSuccess);
      REQUIRE(cudaStreamWaitEvent(first, event) == cudaSuccess);
    }
    REQUIRE(status_of(first) == cudaStreamCaptureStatusNone);
    REQUIRE(detail::obstacles == 0);
  }
}

TEST_CASE("capture checks its calls", "[graphs]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const scoped_stream stream;
  cudaGraph_t none = nullptr;
  cudaGraphExec_t executable = nullptr;
  REQUIRE(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal) == cudaErrorStreamCaptureUnsupported);
  REQUIRE(cudaStreamBeginCapture(stream, static_cast<cudaStreamCaptureMode>(3)) == cudaErrorInvalidValue);
  REQUIRE(cudaStreamEndCapture(stream, &none) == cudaErrorIllegalState);
  begin(stream);
  REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaErrorIllegalState);
  REQUIRE(cudaStreamEndCapture(stream, nullptr) == cudaErrorInvalidValue);
  scoped_graph graph;
  SECTION("from one thread") {
    REQUIRE(graph.end_capture(stream) == cudaSuccess);
    REQUIRE(cudaGraphInstantiate(&executable, graph.get(), 1) == cudaErrorInvalidValue);
    REQUIRE(cudaGraphInstantiate(nullptr, graph.get()) == cudaErrorInvalidValue);
    REQUIRE(cudaGraphGetNodes(graph.get(), nullptr, nullptr) == cudaErrorInvalidValue);
  }
  SECTION("ended by another thread") {
    cudaError_t error = cudaSuccess;
    std::thread([&] { error = graph.end_capture(stream); }).join();
    REQUIRE(error == cudaErrorStreamCaptureWrongThread);
    require_invalidated(stream);
  }
  REQUIRE(cudaGraphInstantiate(&executable, nullptr) == cudaErrorInvalidValue);
  REQUIRE(cudaGraphLaunch(nullptr, stream) == cudaErrorInvalidValue);
  REQUIRE(cudaGraphDestroy(nullptr) == cudaErrorInvalidValue);
  REQUIRE(cudaGraphExecDestroy(nullptr) == cudaErrorInvalidValue);
}

TEST_CASE("a replay stops at a fault", "[graphs]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const scoped_stream stream;
  journal work;
  begin(stream);
  work.put(stream, 'a');
  detail::enqueue(stream, [] { return cudaErrorLaunchFailure; });
  work.put(stream, 'b');
  scoped_graph graph;
  REQUIRE(graph.end_capture(stream) == cudaSuccess);
  REQUIRE(cudaGraphLaunch(graph.executable(), stream) == cudaErrorLaunchFailure);
  REQUIRE(work.ran == "a");
  REQUIRE(cudaGraphLaunch(graph.executable(), stream) == cudaErrorLaunchFailure);
  REQUIRE(work.ran == "a");
}

TEST_CASE("two streams replay one executable graph in turns", "[graphs]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const scoped_stream stream;
  long count = 0;  // ThreadSanitizer would see two replays at once
  begin(stream);
  detail::enqueue(stream, [&count] {
    ++count;
    return cudaSuccess;
  });
  scoped_graph graph;
  REQUIRE(graph.end_capture(stream) == cudaSuccess);
  const cudaGraphExec_t executable = graph.executable();
  std::latch together(2);
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([executable, &together] {
      const scoped_stream own;
      together.arrive_and_wait();
      for (int i = 0; i < 500; ++i) cudaGraphLaunch(executable, own);
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(count == 1000);
}
