// One step of training as a recorded graph: draw a batch, forward, loss, backward, update.
#pragma once

#include <plexus/core/stream.hpp>
#include <plexus/network.hpp>
#include <plexus/train/device_dataset.hpp>

namespace plexus::inline PLEXUS_ABI {

// Steps of one batch size. The first runs launch by launch and makes all memory; the second is recorded; from
// then on a step is one launch of the graph and allocates nothing.
template <class Network, class Loss, class Optimizer>
class recorded_step {
 public:
  recorded_step(Network& net, const Loss& loss, const Optimizer& optimizer, batch_drawer& batches, int rows)
      : net_(net), loss_(loss), optimizer_(optimizer), batches_(batches), rows_(rows) {}

  void operator()() {
    net_.refresh_weights();
    if (memory_version_ != net_.memory_version()) {
      graph_ = {};
      launch_all();
      memory_version_ = net_.memory_version();
      return;
    }
    if (!graph_) {
      const training_counters before = net_.training_state();
      graph_ = graph::capture(net_.stream(), [&] { launch_all(); });
      net_.training_state() = before;
    }
    graph_.launch(net_.stream());
    ++net_.training_state().step;
  }

  int rows() const { return rows_; }

 private:
  void launch_all() {
    batches_.draw(net_.stream(), rows_);
    net_.backward(batches_.inputs(rows_), batches_.targets(), loss_);
    net_.update(optimizer_);
  }

  Network& net_;
  Loss loss_;
  Optimizer optimizer_;
  batch_drawer& batches_;
  int rows_;
  std::uint64_t memory_version_ = 0;
  graph graph_;
};

}  // namespace plexus::inline PLEXUS_ABI
