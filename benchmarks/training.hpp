// A workload that trains, through the library as its users write it.
#pragma once

#include "fashion_mnist.hpp"
#include "policy.hpp"
#include "workload.hpp"

#include <plexus/plexus.hpp>

#include <string>

namespace workload {

template <class Network>
void train(const std::string& name, const training& work, const arguments& arguments) {
  namespace px = plexus;
  if (!arguments.wants(name)) return;
  const auto data = load(arguments.data, "train");
  const auto test = load(arguments.data, "t10k");
  report("operations", name, work.training_operations(data.size()));
  Network net{px::seed{1}, policy_of(arguments)};
  const px::softmax_cross_entropy loss;
  stopwatch watch;
  const auto report_epoch = [&](const px::training_progress& now) {
    if (!now.epoch_finished) return;
    if (now.epoch > 1) report("seconds", name, watch.seconds());  // the first one warms up
    watch = {};
  };
  const auto history =
      px::fit(net, data, loss, px::sgd{.rate = work.rate},
              {.epochs = 1 + arguments.repetitions, .batch = work.batch, .progress = report_epoch});
  report("loss", name, history.epochs.back().loss);
  report("accuracy", name, px::evaluate(net, test, loss).accuracy);
}

// The training images through predict(), from host memory to host memory.
template <class Network>
void infer(const training& work, const arguments& arguments) {
  if (!arguments.wants(work.inference())) return;
  const auto data = load(arguments.data, "train");
  report("operations", work.inference(), work.inference_operations(data.size()));
  Network net{plexus::seed{1}, policy_of(arguments)};
  time_calls(work.inference(), arguments.repetitions, 1, [&] {
    auto y = net.predict(data.inputs, data.size());
    keep(y);
  });
}

template <class Network>
void run(const training& work, const arguments& arguments) {
  train<Network>(work.name, work, arguments);
  infer<Network>(work, arguments);
}

}  // namespace workload
