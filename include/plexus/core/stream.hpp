// Owners of CUDA streams, events and graphs.
#pragma once

#include <plexus/core/error.hpp>

#include <memory>
#include <type_traits>

namespace plexus::inline PLEXUS_ABI {

// Owns an event: a point in a stream's work that another stream or the host can wait for.
class event {
 public:
  // The flags of one that is only waited for: it keeps no time, and the host sleeps instead of spinning.
  static constexpr unsigned sleeping = cudaEventDisableTiming | cudaEventBlockingSync;

  explicit event(unsigned flags = cudaEventDefault) {
    cudaEvent_t handle = nullptr;
    check(cudaEventCreateWithFlags(&handle, flags), "creating an event");
    handle_.reset(handle);
  }

  cudaEvent_t get() const { return handle_.get(); }
  void record(cudaStream_t stream) { check(cudaEventRecord(get(), stream), "recording an event"); }
  void synchronize() const { check(cudaEventSynchronize(get()), "waiting for an event"); }

 private:
  struct destroy {
    void operator()(cudaEvent_t handle) const { cudaEventDestroy(handle); }
  };
  std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, destroy> handle_;
};

// Owns a stream. Work put on it runs in order.
class stream {
 public:
  stream() {
    cudaStream_t handle = nullptr;
    check(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking), "creating a stream");
    handle_.reset(handle);
  }

  cudaStream_t get() const { return handle_.get(); }
  // What comes later on this stream waits for the event.
  void wait(const event& earlier) const {
    check(cudaStreamWaitEvent(get(), earlier.get(), 0), "making a stream wait for an event");
  }
  void synchronize() const { check(cudaStreamSynchronize(get()), "waiting for a stream"); }

 private:
  struct destroy {
    void operator()(cudaStream_t handle) const { cudaStreamDestroy(handle); }
  };
  std::unique_ptr<std::remove_pointer_t<cudaStream_t>, destroy> handle_;
};

// Milliseconds between two recorded events that keep time; waits for the second.
inline float elapsed_ms(const event& from, const event& to) {
  to.synchronize();
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, from.get(), to.get()), "timing between two events");
  return milliseconds;
}

// A sequence of launches recorded once and replayed with one call.
class graph {
 public:
  graph() = default;

  // Records what `work()` puts on `stream`; nothing of it runs yet.
  template <class Work>
  static graph capture(cudaStream_t stream, Work&& work) {
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "beginning a graph capture");
    cudaGraph_t recorded = nullptr;
    try {
      work();
    } catch (...) {
      cudaStreamEndCapture(stream, &recorded);
      if (recorded != nullptr) cudaGraphDestroy(recorded);
      throw;
    }
    check(cudaStreamEndCapture(stream, &recorded), "ending a graph capture");
    cudaGraphExec_t executable = nullptr;
    const cudaError_t status = cudaGraphInstantiate(&executable, recorded, 0);
    cudaGraphDestroy(recorded);
    check(status, "instantiating a graph");
    graph result;
    result.handle_.reset(executable);
    return result;
  }

  explicit operator bool() const { return handle_ != nullptr; }
  void launch(cudaStream_t stream) const {
    check(cudaGraphLaunch(handle_.get(), stream), "launching a graph");
  }

 private:
  struct destroy {
    void operator()(cudaGraphExec_t handle) const { cudaGraphExecDestroy(handle); }
  };
  std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, destroy> handle_;
};

}  // namespace plexus::inline PLEXUS_ABI
