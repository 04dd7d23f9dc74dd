// Streams, events and host functions. How work put on them runs is schedule.hpp's matter.
#pragma once

#include <hostcuda/runtime/schedule.hpp>

namespace hostcuda {

// `stamp` counts where the record ran at once, `point` where it was queued, `place` where it was captured.
struct handle::event {
  bool timed = true;
  bool recorded = false;
  std::atomic<detail::clock::time_point> stamp{};
  std::shared_ptr<detail::queued> point;
  detail::capture_place place;
};

using cudaHostFn_t = void (*)(void*);

inline constexpr unsigned cudaStreamDefault = 0;
inline constexpr unsigned cudaStreamNonBlocking = 1;
inline constexpr unsigned cudaEventDefault = 0;
inline constexpr unsigned cudaEventBlockingSync = 1;
inline constexpr unsigned cudaEventDisableTiming = 2;
inline constexpr unsigned cudaEventRecordDefault = 0;
inline constexpr unsigned cudaEventWaitDefault = 0;

namespace detail {

// Nothing is captured, queued, faulty or deferred: a call may take its short way.
inline bool unobstructed() { return obstacles.load(std::memory_order_relaxed) == 0; }

// Waits for work that other host threads run on the stream at this moment.
inline void wait_for_running(cudaStream_t stream) { const std::lock_guard passed(lock_of(stream)); }

// Runs all that is queued and waits for all that runs. The scheduler is locked.
inline cudaError_t finish_all(scheduler& all) {
  if (const cudaError_t error = all.run_all(); error != cudaSuccess) return error;
  wait_for_running(cudaStreamLegacy);
  for (const cudaStream_t stream : all.streams) wait_for_running(stream);
  return cudaSuccess;
}

}  // namespace detail

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  if (stream == nullptr || (flags != cudaStreamDefault && flags != cudaStreamNonBlocking)) {
    return detail::fail(cudaErrorInvalidValue,
                        "cudaStreamCreateWithFlags takes cudaStreamDefault or cudaStreamNonBlocking");
  }
  if (const cudaError_t error = detail::check_call(); error != cudaSuccess) return detail::record(error);
  auto* made = new (std::nothrow) handle::stream;
  if (made == nullptr) return detail::record(cudaErrorMemoryAllocation);
  made->blocking = flags == cudaStreamDefault;
  if (!made->blocking) made->lock = &made->own_lock;
  detail::scheduler& all = detail::the_scheduler();
  const std::lock_guard lock(all.mutex);
  all.streams.insert(made);
  *stream = made;
  return cudaSuccess;
}

inline cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

// Work that is still queued runs in its turn all the same.
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (detail::in_host_function) return detail::check_call();
  detail::scheduler& all = detail::the_scheduler();
  const std::lock_guard lock(all.mutex);
  if (!all.streams.contains(stream)) {
    return detail::fail(cudaErrorInvalidResourceHandle,
                        "cudaStreamDestroy: not a stream, or one that was destroyed before");
  }
  detail::wait_for_running(stream);
  all.forget(stream);
  delete stream;
  return detail::record(detail::sticky_fault.load(std::memory_order_relaxed));
}

inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (!detail::unobstructed()) {
    if (const cudaError_t error = detail::check_call(); error != cudaSuccess) return detail::record(error);
    detail::scheduler& all = detail::the_scheduler();
    const std::lock_guard lock(all.mutex);
    if (const cudaError_t error = all.check_wait(stream, "cudaStreamSynchronize"); error != cudaSuccess)
      return error;
    if (const cudaError_t error = all.run_stream(stream); error != cudaSuccess) return error;
  }
  detail::wait_for_running(stream);
  return cudaSuccess;
}

// Queued work is made to run, but this query still says that it has not: a program must not count on the
// answer.
inline cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (detail::unobstructed()) return cudaSuccess;
  if (const cudaError_t error = detail::check_call(); error != cudaSuccess) return detail::record(error);
  detail::scheduler& all = detail::the_scheduler();
  const std::lock_guard lock(all.mutex);
  if (const cudaError_t error = all.check_wait(stream, "cudaStreamQuery"); error != cudaSuccess) return error;
  if (all.idle(stream)) return cudaSuccess;
  if (const cudaError_t error = all.run_stream(stream); error != cudaSuccess) return error;
  return detail::record(cudaErrorNotReady);
}

inline cudaError_t cudaDeviceSynchronize() {
  if (const cudaError_t error = detail::check_call(); error != cudaSuccess) return detail::record(error);
  detail::scheduler& all = detail::the_scheduler();
  const std::lock_guard lock(all.mutex);
  if (const cudaError_t error = all.check_device_wait("cudaDeviceSynchronize"); error != cudaSuccess)
    return error;
  return detail::finish_all(all);
}

inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  if (event == nullptr || (flags & ~(cudaEventBlockingSync | cudaEventDisableTiming)) != 0) {
    return detail::fail(cudaErrorInvalidValue,
                        "cudaEventCreateWithFlags takes cudaEventBlockingSync and cudaEventDisableTiming");
  }
  if (const cudaError_t error = detail::check_call(); error != cudaSuccess) return detail::record(error);
  auto* made = new (std::nothrow) handle::event;
  if (made == nullptr) return detail::record(cudaErrorMemoryAllocation);
  made->timed = (flags & cudaEventDisableTiming) == 0;
  *event = made;
  return cudaSuccess;
}

inline cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (event == nullptr)
    return detail::fail(cudaErrorInvalidResourceHandle, "cudaEventDestroy: no event was given");
  delete event;
  return detail::record(detail::sticky_fault.load(std::memory_order_relaxed));
}

inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = nullptr) {
  if (event == nullptr)
    return detail::fail(cudaErrorInvalidResourceHandle, "cudaEventRecord: no event was given");
  if (!detail::unobstructed() || detail::deferred()) {
    if (const cudaError_t error = detail::check_call(); error != cudaSuccess) return detail::record(error);
    detail::scheduler& all = detail::the_scheduler();
    const std::lock_guard lock(all.mutex);
    if (stream == nullptr) {
      if (const cudaError_t error = all.check_legacy("cudaEventRecord"); error != cudaSuccess) return error;
    }
    event->place = all.state_of(stream).place;
    event->recorded = true;
    if (event->place.recording != nullptr) {
      return event->place.recording->invalid ? detail::record(cudaErrorStreamCaptureInvalidated)
                                             : cudaSuccess;
    }
    if (detail::deferred()) {
      all.submit(stream, detail::keep(detail::no_work));
      event->point = all.state_of(stream).last;
      return cudaSuccess;
    }
    if (const cudaError_t error = all.run_all(); error != cudaSuccess) return error;
  }
  detail::wait_for_running(stream);
  event->place = {};
  event->point.reset();
  event->recorded = true;
  if (event->timed) event->stamp.store(detail::clock::now());
  return cudaSuccess;
}

// What is put on `stream` from now on runs after the work that `event` recorded. A stream that waits for a
// captured event joins its capture.
inline cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event,
                                       unsigned flags = cudaEventWaitDefault) {
  if (event == nullptr)
    return detail::fail(cudaErrorInvalidResourceHandle, "cudaStreamWaitEvent: no event was given");
  if (flags != cudaEventWaitDefault) {
    return detail::fail(cudaErrorInvalidValue, "cudaStreamWaitEvent takes no flag but cudaEventWaitDefault");
  }
  if (detail::unobstructed() && event->place.recording == nullptr) return cudaSuccess;
  if (const cudaError_t error = detail::check_call(); error != cudaSuccess) return detail::record(error);
  detail::scheduler& all = detail::the_scheduler();
  const std::lock_guard lock(all.mutex);
  return all.wait_event(stream, event->recorded, event->point, event->place);
}

inline cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event == nullptr)
    return detail::fail(cudaErrorInvalidResourceHandle, "cudaEventSynchronize: no event was given");
  if (detail::unobstructed() && event->place.recording == nullptr) return cudaSuccess;
  if (const cudaError_t error = detail::check_call(); error != cudaSuccess) return detail::record(error);
  detail::scheduler& all = detail::the_scheduler();
  const std::lock_guard lock(all.mutex);
  if (const cudaError_t error = all.check_not_captured(event->place, "cudaEventSynchronize");
      error != cudaSuccess) {
    return error;
  }
  return all.run_until(event->point);
}

// As cudaStreamQuery: what is still queued is made to run, and said to be not ready this once.
inline cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (event == nullptr)
    return detail::fail(cudaErrorInvalidResourceHandle, "cudaEventQuery: no event was given");
  if (detail::unobstructed() && event->place.recording == nullptr) return cudaSuccess;
  if (const cudaError_t error = detail::check_call(); error != cudaSuccess) return detail::record(error);
  detail::scheduler& all = detail::the_scheduler();
  const std::lock_guard lock(all.mutex);
  if (const cudaError_t error = all.check_not_captured(event->place, "cudaEventQuery");
      error != cudaSuccess) {
    return error;
  }
  if (all.is_done(event->point)) return cudaSuccess;
  if (const cudaError_t error = all.run_until(event->point); error != cudaSuccess) return error;
  return detail::record(cudaErrorNotReady);
}

inline cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (milliseconds == nullptr)
    return detail::fail(cudaErrorInvalidValue, "cudaEventElapsedTime: no place for the result");
  if (start == nullptr || end == nullptr || !start->timed || !end->timed || !start->recorded ||
      !end->recorded) {
    return detail::fail(
        cudaErrorInvalidResourceHandle,
        "cudaEventElapsedTime needs two recorded events, made without cudaEventDisableTiming");
  }
  if (const cudaError_t error = detail::check_call(); error != cudaSuccess) return detail::record(error);
  detail::scheduler& all = detail::the_scheduler();
  const std::lock_guard lock(all.mutex);
  for (const cudaEvent_t event : {start, end}) {
    if (const cudaError_t error = all.check_not_captured(event->place, "cudaEventElapsedTime");
        error != cudaSuccess) {
      return error;
    }
    if (!all.is_done(event->point)) return detail::record(cudaErrorNotReady);
  }
  const auto time_of = [](cudaEvent_t event) {
    return event->point != nullptr ? event->point->finished : event->stamp.load();
  };
  *milliseconds = std::chrono::duration<float, std::milli>(time_of(end) - time_of(start)).count();
  return cudaSuccess;
}

// function(data) on the host, in the stream's order. It must not call CUDA.
inline cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  if (function == nullptr)
    return detail::fail(cudaErrorInvalidValue, "cudaLaunchHostFunc: no function was given");
  return detail::enqueue(stream, [function, data] {
    struct mark {  // a call of CUDA from within would wait for itself
      mark() { detail::obstacles.fetch_add(1), detail::in_host_function = true; }
      ~mark() { detail::obstacles.fetch_sub(1), detail::in_host_function = false; }
    };
    const mark inside;
    function(data);
    return cudaSuccess;
  });
}

}  // namespace hostcuda
