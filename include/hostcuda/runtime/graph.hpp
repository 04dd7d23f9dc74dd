// Graphs by recording: what is put on captured streams becomes nodes, which a replay runs in the order they
// came.
#pragma once

#include <hostcuda/runtime/stream.hpp>

namespace hostcuda {

enum cudaStreamCaptureStatus {
  cudaStreamCaptureStatusNone = 0,
  cudaStreamCaptureStatusActive = 1,
  cudaStreamCaptureStatusInvalidated = 2,
};

struct handle::graph {
  std::vector<handle::graph_node> nodes;
};

namespace detail {

// What a replay runs. A launch that comes while another replays the same executable graph waits for it.
struct graph_plan {
  std::vector<shared_task> tasks;
  std::mutex replaying;
};

struct graph_replay {
  std::shared_ptr<graph_plan> plan;

  cudaError_t operator()() const {
    const std::lock_guard lock(plan->replaying);
    for (const shared_task& task : plan->tasks) {
      if (const cudaError_t error = task->run(); error != cudaSuccess) return error;
    }
    return cudaSuccess;
  }
};

// True if every node leads to one of `ends`.
inline bool all_joined(const std::vector<handle::graph_node>& nodes, const std::vector<std::size_t>& ends) {
  std::vector<bool> joined(nodes.size(), false);
  for (const std::size_t end : ends) joined[end] = true;
  for (std::size_t node = nodes.size(); node-- > 0;) {
    if (!joined[node]) return false;  // what follows it came later and has been seen
    for (const std::size_t before : nodes[node].after) joined[before] = true;
  }
  return true;
}

// In deferred mode the order in which a missing edge shows: always the latest node that may run.
inline std::vector<std::size_t> latest_first(const std::vector<handle::graph_node>& nodes) {
  std::vector<std::vector<std::size_t>> followers(nodes.size());
  std::vector<std::size_t> missing(nodes.size());
  std::set<std::size_t> ready;
  for (std::size_t node = 0; node < nodes.size(); ++node) {
    for (const std::size_t before : nodes[node].after) followers[before].push_back(node);
    missing[node] = nodes[node].after.size();
    if (missing[node] == 0) ready.insert(node);
  }
  std::vector<std::size_t> order;
  while (!ready.empty()) {
    const std::size_t node = *ready.rbegin();
    ready.erase(node);
    order.push_back(node);
    for (const std::size_t follower : followers[node]) {
      if (--missing[follower] == 0) ready.insert(follower);
    }
  }
  return order;
}

}  // namespace detail

struct handle::graph_exec {
  detail::graph_replay replay;
};

using cudaGraph_t = handle::graph*;
using cudaGraphExec_t = handle::graph_exec*;
using cudaGraphNode_t = handle::graph_node*;

inline cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) try {
  if (mode < cudaStreamCaptureModeGlobal || mode > cudaStreamCaptureModeRelaxed) {
    return detail::fail(cudaErrorInvalidValue, "cudaStreamBeginCapture: unknown mode");
  }
  if (stream == nullptr) {
    return detail::fail(cudaErrorStreamCaptureUnsupported,
                        "cudaStreamBeginCapture: the legacy default stream "
                        "cannot be captured");
  }
  if (const cudaError_t error = detail::check_call(); error != cudaSuccess) return detail::record(error);
  detail::scheduler& all = detail::the_scheduler();
  const std::lock_guard lock(all.mutex);
  if (stream->place.recording != nullptr) {
    return detail::fail(cudaErrorIllegalState,
                        "cudaStreamBeginCapture: the stream is being captured already");
  }
  auto recording = std::make_shared<detail::capture>();
  recording->origin = stream;
  recording->mode = mode;
  recording->thread = std::this_thread::get_id();
  all.begin_capture(recording);
  stream->place = {std::move(recording), {}};
  return cudaSuccess;
} catch (const std::bad_alloc&) {
  return detail::fail(cudaErrorMemoryAllocation, "no host memory is left to begin a capture");
}

// Ends the capture whatever the result; only from a wrong stream or thread it goes on (invalid from then on).
inline cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (graph == nullptr)
    return detail::fail(cudaErrorInvalidValue, "cudaStreamEndCapture: no place for the graph");
  *graph = nullptr;
  if (detail::in_host_function) return detail::check_call();
  detail::scheduler& all = detail::the_scheduler();
  const std::lock_guard lock(all.mutex);
  const std::shared_ptr<detail::capture> recording = all.state_of(stream).place.recording;
  if (recording == nullptr) {
    return detail::fail(cudaErrorIllegalState, "cudaStreamEndCapture: the stream is not being captured");
  }
  if (recording->origin != stream) {
    recording->invalid = true;
    return detail::fail(cudaErrorStreamCaptureUnmatched,
                        "cudaStreamEndCapture: the capture began on another stream and must end there");
  }
  if (recording->mode != cudaStreamCaptureModeRelaxed && recording->thread != std::this_thread::get_id()) {
    recording->invalid = true;
    return detail::fail(cudaErrorStreamCaptureWrongThread,
                        "cudaStreamEndCapture: the capture began on another thread and must end there");
  }
  const bool joined = detail::all_joined(recording->nodes, stream->place.after);
  all.end_capture(recording);
  if (const cudaError_t fault = detail::sticky_fault.load()) return detail::record(fault);
  if (recording->invalid) return detail::record(cudaErrorStreamCaptureInvalidated);
  if (!joined) {
    return detail::fail(
        cudaErrorStreamCaptureUnjoined,
        "cudaStreamEndCapture: work of another stream in the capture was never joined to this one "
        "(record an event there and let this stream wait for it)");
  }
  *graph = new (std::nothrow) handle::graph{std::move(recording->nodes)};
  return *graph != nullptr ? cudaSuccess : detail::record(cudaErrorMemoryAllocation);
}

inline cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  if (status == nullptr)
    return detail::fail(cudaErrorInvalidValue, "cudaStreamIsCapturing: no place for the result");
  if (detail::in_host_function) return detail::check_call();
  detail::scheduler& all = detail::the_scheduler();
  const std::lock_guard lock(all.mutex);
  if (stream == nullptr && all.captures_blocking_stream())
    return detail::record(cudaErrorStreamCaptureImplicit);
  const std::shared_ptr<detail::capture>& recording = all.state_of(stream).place.recording;
  *status = recording == nullptr ? cudaStreamCaptureStatusNone
            : recording->invalid ? cudaStreamCaptureStatusInvalidated
                                 : cudaStreamCaptureStatusActive;
  return detail::record(detail::sticky_fault.load());
}

inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  if (graph == nullptr) return detail::fail(cudaErrorInvalidValue, "cudaGraphDestroy: no graph was given");
  delete graph;
  return detail::record(detail::sticky_fault.load());
}

// The number of nodes, and up to *count of them where `nodes` is not null.
inline cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  if (graph == nullptr || count == nullptr) {
    return detail::fail(cudaErrorInvalidValue,
                        "cudaGraphGetNodes needs a graph and a place for the number of nodes");
  }
  const std::size_t size = graph->nodes.size();
  if (nodes == nullptr) {
    *count = size;
    return cudaSuccess;
  }
  for (std::size_t i = 0; i < *count; ++i) nodes[i] = i < size ? &graph->nodes[i] : nullptr;
  *count = std::min(*count, size);
  return cudaSuccess;
}

inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                        unsigned long long flags = 0) try {
  if (executable == nullptr || graph == nullptr || flags != 0) {
    return detail::fail(cudaErrorInvalidValue,
                        "cudaGraphInstantiate needs a graph, a place for the executable graph "
                        "and no flags");
  }
  *executable = nullptr;
  if (const cudaError_t error = detail::check_call(); error != cudaSuccess) return detail::record(error);
  auto plan = std::make_shared<detail::graph_plan>();
  plan->tasks.reserve(graph->nodes.size());
  if (detail::deferred()) {
    for (const std::size_t node : detail::latest_first(graph->nodes))
      plan->tasks.push_back(graph->nodes[node].work);
  } else {
    for (const handle::graph_node& node : graph->nodes) plan->tasks.push_back(node.work);
  }
  *executable = new handle::graph_exec{{std::move(plan)}};
  return cudaSuccess;
} catch (const std::bad_alloc&) {
  return detail::fail(cudaErrorMemoryAllocation, "no host memory is left to instantiate a graph");
}

inline cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  if (executable == nullptr)
    return detail::fail(cudaErrorInvalidValue, "cudaGraphLaunch: no graph was given");
  return detail::enqueue(stream, executable->replay);
}

inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  if (executable == nullptr)
    return detail::fail(cudaErrorInvalidValue, "cudaGraphExecDestroy: no graph was given");
  delete executable;
  return detail::record(detail::sticky_fault.load());
}

}  // namespace hostcuda
