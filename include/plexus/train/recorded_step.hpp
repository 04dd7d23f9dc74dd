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
    if (!graph_) record();
    if (updates_ > 0) net_.refuse_average("updating a network");
    graph_.launch(net_.stream());
    net_.set_effects({net_.effects().step + updates_, rows_in_training_});
  }

 private:
  // What work does on the host is undone, since it has not run yet, and done again with each replay.
  void record() {
    const undone_at_end effects{net_, net_.effects()};
    graph_ = graph::capture(net_.stream(), work_);
    updates_ = net_.effects().step - effects.before.step;
    rows_in_training_ = net_.effects().rows_in_training;
  }
  struct undone_at_end {
    Network& net;
    host_effects before;
    ~undone_at_end() { net.set_effects(before); }
  };

  Network& net_;
  Work work_;
  std::uint64_t memory_version_ = std::numeric_limits<std::uint64_t>::max();  // none that there is
  std::uint64_t updates_ = 0;                                                 // in a replay
  int rows_in_training_ = 0;                                                  // after one
  graph graph_;
};

}  // namespace plexus::inline PLEXUS_ABI
