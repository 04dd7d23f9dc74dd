// Work on a network that is recorded as a graph and replayed, such as a step of training.
#pragma once

#include <plexus/core/stream.hpp>
#include <plexus/network.hpp>

#include <limits>
#include <utility>

namespace plexus::inline PLEXUS_ABI {

// `work` as a function that is called again and again:
//
//   px::recorded_step step(net, [&] { net.step(x, y, loss, optimizer); });  // x and y in device memory
//
// The first call launches one by one and makes all memory; the second is recorded; from then on a call is one
// launch of the graph and allocates nothing. All that `work` does must go to the network's stream and be the
// same each time, on the same memory; it must not wait for the device.
template <class Network, class Work>
class recorded_step {
 public:
  recorded_step(Network& net, Work work) : net_(net), work_(std::move(work)) {}

  void operator()() {
    net_.refresh_weights();
    if (memory_version_ != net_.memory_version()) {
      graph_ = {};
      work_();
      memory_version_ = net_.memory_version();
      return;
    }
    if (graph_) {
      net_.count_updates(updates_);
    } else {
      record();
    }
    if (updates_ > 0) net_.refuse_average("updating a network");
    graph_.launch(net_.stream());
  }

 private:
  // What is recorded counts its updates as if it had run, which it will once now.
  void record() {
    const std::uint64_t before = net_.training_state().step;
    graph_ = graph::capture(net_.stream(), work_);
    updates_ = net_.training_state().step - before;
  }

  Network& net_;
  Work work_;
  std::uint64_t memory_version_ = std::numeric_limits<std::uint64_t>::max();  // none that there is
  std::uint64_t updates_ = 0;                                                 // in a replay
  graph graph_;
};

}  // namespace plexus::inline PLEXUS_ABI
