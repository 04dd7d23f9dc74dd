// When work put on a stream runs: at once, later (deferred mode), or never until a graph replays it
// (capture).
//
// enqueue() is the one way on to a stream. Usually it calls the work where it stands, holding the stream's
// lock, so that two host threads on one stream take turns. Blocking streams share the lock of the legacy
// default stream, which gives its ordering; a non-blocking stream has its own.
//
// In deferred mode work becomes a `queued` item that knows which items must run before it. Nothing runs until
// something waits; then only what that needs runs, and independent work latest first, so that a missing wait
// shows.
#pragma once

#include <hostcuda/runtime/error.hpp>
#include <hostcuda/settings.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <thread>
#include <type_traits>
#include <vector>

namespace hostcuda {

// What the handles point to has a namespace of its own: a call that is given a handle does not find
// hostcuda's functions by argument-dependent lookup.
namespace handle {
struct stream;
struct event;
struct graph;
struct graph_node;
struct graph_exec;
struct blas;
}  // namespace handle

using cudaStream_t = handle::stream*;
using cudaEvent_t = handle::event*;

inline constexpr cudaStream_t cudaStreamLegacy = nullptr;

enum cudaStreamCaptureMode : int {
  cudaStreamCaptureModeGlobal = 0,
  cudaStreamCaptureModeThreadLocal = 1,
  cudaStreamCaptureModeRelaxed = 2,
};

namespace detail {

using clock = std::chrono::steady_clock;

// Work that somebody else holds: a copyable callable without arguments that returns cudaError_t. It goes by
// reference and without its type, so that the ways on to a stream are compiled once and not for every kernel.
class work_reference {
 public:
  template <class Work>
  work_reference(const Work& work) : work_(&work), type_(&type_of<Work>) {}

  cudaError_t run() const { return type_->run(work_); }

 private:
  friend class task;

  struct operations {
    cudaError_t (*run)(const void* work);
    const void* (*copy)(const void* work);
    void (*destroy)(const void* work);
  };
  template <class Work>
  static constexpr operations type_of{
      [](const void* work) { return (*static_cast<const Work*>(work))(); },
      [](const void* work) -> const void* { return new Work(*static_cast<const Work*>(work)); },
      [](const void* work) { delete static_cast<const Work*>(work); }};

  const void* work_;
  const operations* type_;
};

// A copy of work, kept: run once from a queue, or many times as a node of a graph.
class task {
 public:
  explicit task(work_reference work) : kept_(work) { kept_.work_ = kept_.type_->copy(work.work_); }
  task(const task&) = delete;
  task& operator=(const task&) = delete;
  ~task() { kept_.type_->destroy(kept_.work_); }

  cudaError_t run() const { return kept_.run(); }

 private:
  work_reference kept_;
};
using shared_task = std::shared_ptr<const task>;

inline shared_task keep(work_reference work) { return std::make_shared<const task>(work); }

inline constexpr auto no_work = [] { return cudaSuccess; };

// Work of deferred mode; `work` is given up when it has run.
struct queued {
  std::size_t number = 0;  // order of submission
  shared_task work;
  std::vector<std::shared_ptr<queued>> after;
  clock::time_point finished{};
  bool done = false;
};

}  // namespace detail

struct handle::graph_node {
  detail::shared_task work;
  std::vector<std::size_t> after;  // nodes that must run before
};

namespace detail {

// A capture under way. Nodes come in the order of the calls, so an edge always leads back.
struct capture {
  cudaStream_t origin = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
  std::vector<handle::graph_node> nodes;
  bool invalid = false;
};

// A place in a capture: the next node put there runs after these.
struct capture_place {
  std::shared_ptr<capture> recording;  // null: not captured
  std::vector<std::size_t> after;
};

inline constinit std::mutex legacy_lock;

}  // namespace detail

struct handle::stream {
  bool blocking = true;  // ordered with the legacy default stream
  std::mutex own_lock;
  std::mutex* lock = &detail::legacy_lock;
  std::shared_ptr<detail::queued> last;
  detail::capture_place place;
};

namespace detail {

inline std::mutex& lock_of(cudaStream_t stream) { return stream != nullptr ? *stream->lock : legacy_lock; }

// True on the thread that runs a host function (cudaLaunchHostFunc), which must not call CUDA.
inline constinit thread_local bool in_host_function = false;

// Everything that is slower than running at once. All members are guarded by `mutex`, which is held while
// queued work runs.
class scheduler {
 public:
  std::mutex mutex;
  handle::stream legacy;
  std::set<cudaStream_t> streams;  // without the legacy one
  std::vector<std::shared_ptr<capture>> captures;

  handle::stream& state_of(cudaStream_t stream) { return stream != nullptr ? *stream : legacy; }

  void submit(cudaStream_t stream, shared_task work) {
    handle::stream& state = state_of(stream);
    auto item = std::make_shared<queued>();
    item->work = std::move(work);
    add_if_pending(*item, state.last);
    if (stream == nullptr) {
      for (const cudaStream_t other : streams) {
        if (other->blocking) add_if_pending(*item, other->last);
      }
      for (const std::shared_ptr<queued>& left : left_by_destroyed_streams_) add_if_pending(*item, left);
      left_by_destroyed_streams_.clear();
    } else if (state.blocking) {
      add_if_pending(*item, legacy.last);
    }
    push(state, std::move(item));
  }

  // Later work of `stream` runs after what an event recorded: queued work (`point`) or a place in a capture.
  cudaError_t wait_event(cudaStream_t stream, bool recorded, const std::shared_ptr<queued>& point,
                         const capture_place& place) {
    if (place.recording != nullptr) return join_capture(stream, place);
    if (stream == nullptr) {
      if (const cudaError_t error = check_legacy("cudaStreamWaitEvent"); error != cudaSuccess) return error;
    } else if (stream->place.recording != nullptr && recorded) {
      stream->place.recording->invalid = true;
      return fail(cudaErrorStreamCaptureIsolation,
                  "cudaStreamWaitEvent: a captured stream can wait only for what is in the same capture");
    }
    if (is_done(point)) return cudaSuccess;
    submit(stream, keep(no_work));
    add_if_pending(*state_of(stream).last, point);
    return cudaSuccess;
  }

  // Runs `target` after everything that must run before it. The first error of any of it.
  cudaError_t run_until(std::shared_ptr<queued> target) {
    if (target == nullptr || target->done) return cudaSuccess;
    cudaError_t first_error = cudaSuccess;
    std::vector<std::shared_ptr<queued>> path{std::move(target)};  // a stack of its own: chains may be long
    while (!path.empty()) {
      if (std::shared_ptr<queued> next = latest_pending(path.back()->after)) {
        path.push_back(std::move(next));
        continue;
      }
      const cudaError_t error = path.back()->done ? cudaSuccess : run(*path.back());
      if (first_error == cudaSuccess) first_error = error;
      path.pop_back();
    }
    return first_error;
  }

  cudaError_t run_stream(cudaStream_t stream) {
    cudaError_t first_error = run_until(state_of(stream).last);
    if (stream != nullptr) return first_error;
    while (const std::shared_ptr<queued> next = latest_blocking()) {
      const cudaError_t error = run_until(next);
      if (first_error == cudaSuccess) first_error = error;
    }
    return first_error;
  }

  cudaError_t run_all() {
    cudaError_t first_error = cudaSuccess;
    while (!pending_.empty()) {
      const cudaError_t error = run_until(pending_.rbegin()->second);
      if (first_error == cudaSuccess) first_error = error;
    }
    return first_error;
  }

  bool idle(cudaStream_t stream) { return is_done(state_of(stream).last); }
  static bool is_done(const std::shared_ptr<queued>& item) { return item == nullptr || item->done; }

  void forget(cudaStream_t stream) {
    if (stream->blocking && !is_done(stream->last)) left_by_destroyed_streams_.push_back(stream->last);
    for (const std::shared_ptr<capture>& one : captures) {
      if (one->origin == stream) {
        end_capture(one);
        break;
      }
    }
    streams.erase(stream);
  }

  void drop_pending() {
    for (const auto& [number, item] : pending_) {
      item->done = true;
      item->after.clear();
    }
    obstacles.fetch_sub(static_cast<int>(pending_.size()));
    pending_.clear();
  }

  void begin_capture(std::shared_ptr<capture> recording) {
    captures.push_back(std::move(recording));
    obstacles.fetch_add(1);
  }

  void end_capture(std::shared_ptr<capture> recording) {
    for (const cudaStream_t stream : streams) {
      if (stream->place.recording == recording) stream->place = {};
    }
    std::erase(captures, recording);
    obstacles.fetch_sub(1);
  }

  bool captures_blocking_stream() const { return std::ranges::any_of(streams, is_captured_and_blocking); }

  // A call that touches the legacy stream would depend on every blocking stream, captured ones too.
  cudaError_t check_legacy(const char* call) {
    if (!captures_blocking_stream()) return cudaSuccess;
    for (const cudaStream_t stream : streams) {
      if (is_captured_and_blocking(stream)) stream->place.recording->invalid = true;
    }
    return fail(cudaErrorStreamCaptureImplicit,
                text_of(call, " uses the legacy default stream while a blocking stream is captured"));
  }

  // A call that waits for, or asks after, a stream.
  cudaError_t check_wait(cudaStream_t stream, const char* call) {
    if (stream == nullptr) return check_legacy(call);
    if (stream->place.recording == nullptr) return cudaSuccess;
    stream->place.recording->invalid = true;
    return fail(cudaErrorStreamCaptureUnsupported, text_of(call, " on a stream that is captured"));
  }

  // A call that waits for, or asks after, an event.
  cudaError_t check_not_captured(const capture_place& place, const char* call) {
    if (place.recording == nullptr) return cudaSuccess;
    place.recording->invalid = true;
    return fail(cudaErrorCapturedEvent, text_of(call, " on an event that was last recorded in a capture"));
  }

  // A call that waits for the whole device.
  cudaError_t check_device_wait(const char* call) {
    if (captures.empty()) return cudaSuccess;
    for (const std::shared_ptr<capture>& one : captures) one->invalid = true;
    return fail(cudaErrorStreamCaptureUnsupported, text_of(call, " while a stream is captured"));
  }

  // A call that might interfere with a capture of this thread, or with a global one of any thread.
  cudaError_t check_unsafe(const char* call) {
    bool forbidden = false;
    for (const std::shared_ptr<capture>& one : captures) {
      if (one->mode == cudaStreamCaptureModeRelaxed) continue;
      if (one->mode == cudaStreamCaptureModeThreadLocal && one->thread != std::this_thread::get_id())
        continue;
      one->invalid = true;
      forbidden = true;
    }
    if (!forbidden) return cudaSuccess;
    return fail(cudaErrorStreamCaptureUnsupported, text_of(call, " while a stream is captured"));
  }

  cudaError_t add_node(capture_place& place, shared_task work) {
    if (place.recording->invalid) return cudaErrorStreamCaptureInvalidated;
    std::vector<handle::graph_node>& nodes = place.recording->nodes;
    nodes.push_back({std::move(work), std::move(place.after)});
    place.after = {nodes.size() - 1};
    return cudaSuccess;
  }

 private:
  std::map<std::size_t, std::shared_ptr<queued>> pending_;
  std::vector<std::shared_ptr<queued>>
      left_by_destroyed_streams_;  // blocking ones: the legacy stream waits for them
  std::size_t next_number_ = 0;

  static bool is_captured_and_blocking(cudaStream_t stream) {
    return stream->blocking && stream->place.recording != nullptr;
  }

  static void add_if_pending(queued& item, const std::shared_ptr<queued>& before) {
    if (!is_done(before)) item.after.push_back(before);
  }

  void push(handle::stream& state, std::shared_ptr<queued> item) {
    item->number = next_number_++;
    pending_.emplace(item->number, item);
    state.last = std::move(item);
    obstacles.fetch_add(1);
  }

  cudaError_t join_capture(cudaStream_t stream, const capture_place& place) {
    if (std::ranges::find(captures, place.recording) == captures.end()) {
      return fail(cudaErrorCapturedEvent,
                  "cudaStreamWaitEvent: the event was recorded in a capture that has ended");
    }
    if (place.recording->invalid) return record(cudaErrorStreamCaptureInvalidated);
    if (stream == nullptr) {
      place.recording->invalid = true;
      return fail(cudaErrorStreamCaptureImplicit,
                  "cudaStreamWaitEvent: the legacy default stream cannot be captured");
    }
    if (stream->place.recording == nullptr) {
      stream->place = place;
      return cudaSuccess;
    }
    if (stream->place.recording != place.recording) {
      stream->place.recording->invalid = place.recording->invalid = true;
      return fail(cudaErrorStreamCaptureMerge, "cudaStreamWaitEvent: stream and event are in two captures");
    }
    std::vector<std::size_t>& after = stream->place.after;
    for (const std::size_t node : place.after) {
      if (std::ranges::find(after, node) == after.end()) after.push_back(node);
    }
    return cudaSuccess;
  }

  cudaError_t run(queued& item) {
    const cudaError_t fault = sticky_fault.load(std::memory_order_relaxed);
    const cudaError_t error = fault != cudaSuccess ? fault : item.work->run();
    item.work.reset();
    item.after.clear();
    item.finished = clock::now();
    item.done = true;
    pending_.erase(item.number);
    obstacles.fetch_sub(1);
    return record(error);
  }

  static std::shared_ptr<queued> latest_pending(const std::vector<std::shared_ptr<queued>>& items) {
    std::shared_ptr<queued> latest;
    for (const std::shared_ptr<queued>& item : items) {
      if (!item->done && (latest == nullptr || item->number > latest->number)) latest = item;
    }
    return latest;
  }

  std::shared_ptr<queued> latest_blocking() const {
    std::vector<std::shared_ptr<queued>> ends = left_by_destroyed_streams_;
    for (const cudaStream_t stream : streams) {
      if (stream->blocking && stream->last != nullptr) ends.push_back(stream->last);
    }
    return latest_pending(ends);
  }
};

// Never destroyed: owners with static storage may still call CUDA while the program ends.
inline scheduler& the_scheduler() {
  static auto* one = new scheduler;
  return *one;
}

inline bool deferred() { return settings().streams == stream_mode::deferred; }

// A call that needs the scheduler's slow side begins with this: the fault that ended the device, or a call
// from a host function, which the scheduler's lock would never let in.
inline cudaError_t check_call() {
  if (in_host_function) {
    return fail(cudaErrorNotPermitted, "a host function (cudaLaunchHostFunc) called CUDA; it must not");
  }
  return sticky_fault.load(std::memory_order_relaxed);
}

// The way on to a stream when something is in the way of running at once.
inline cudaError_t enqueue_with_care(cudaStream_t stream, work_reference work) try {
  if (const cudaError_t error = check_call(); error != cudaSuccess) return record(error);
  scheduler& all = the_scheduler();
  std::unique_lock lock(all.mutex);
  if (stream == nullptr) {
    if (const cudaError_t error = all.check_legacy("work"); error != cudaSuccess) return error;
  } else if (stream->place.recording != nullptr) {
    return record(all.add_node(stream->place, keep(work)));
  }
  if (deferred()) {
    all.submit(stream, keep(work));
    return cudaSuccess;
  }
  const cudaError_t error = all.run_all();  // left from before deferred mode ended
  lock.unlock();
  if (error != cudaSuccess) return error;
  const std::lock_guard in_order(lock_of(stream));
  return record(work.run());
} catch (const std::bad_alloc&) {
  return fail(cudaErrorMemoryAllocation, "no host memory is left to keep a stream's work in");
}

// Puts work on a stream. What is kept of it is a copy, called once for every replay of its graph.
inline cudaError_t enqueue(cudaStream_t stream, work_reference work) {
  if (obstacles.load(std::memory_order_relaxed) != 0 || deferred()) [[unlikely]] {
    return enqueue_with_care(stream, work);
  }
  const std::lock_guard in_order(lock_of(stream));
  return record(work.run());
}

}  // namespace detail
}  // namespace hostcuda
