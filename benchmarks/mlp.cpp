// Whole epochs of training through the library, as its users write them.
#include "workload.hpp"

#include <plexus/data/idx.hpp>
#include <plexus/plexus.hpp>

namespace px = plexus;

namespace {

px::dataset load(const std::string& folder, const std::string& set) {
  return px::load_idx(folder + "/" + set + "-images-idx3-ubyte.gz",
                      folder + "/" + set + "-labels-idx1-ubyte.gz");
}

template <class Network>
void train(const std::string& name, const workload::mlp& work, const workload::arguments& arguments) {
  if (!arguments.wants(name)) return;
  const auto data = load(arguments.data, "train");
  const auto test = load(arguments.data, "t10k");
  workload::report("operations", name, work.training_operations(data.size()));
  Network net{px::seed{1}};
  const px::softmax_cross_entropy loss;
  workload::stopwatch watch;
  const auto report_epoch = [&](const px::training_progress& now) {
    if (!now.epoch_finished) return;
    if (now.epoch > 1) workload::report("seconds", name, watch.seconds());  // the first one warms up
    watch = {};
  };
  const auto history =
      px::fit(net, data, loss, px::sgd{.rate = work.rate},
              {.epochs = 1 + arguments.repetitions, .batch = work.batch, .progress = report_epoch});
  workload::report("loss", name, history.epochs.back().loss);
  workload::report("accuracy", name, px::evaluate(net, test, loss).accuracy);
}

// The training images through predict(), from host memory to host memory.
template <class Network>
void infer(const workload::mlp& work, const workload::arguments& arguments) {
  if (!arguments.wants(work.inference())) return;
  const auto data = load(arguments.data, "train");
  workload::report("operations", work.inference(), work.inference_operations(data.size()));
  Network net{px::seed{1}};
  workload::time_calls(work.inference(), arguments.repetitions, 1, [&] {
    auto y = net.predict(data.inputs, data.size());
    workload::keep(y);
  });
}

template <class Network>
void run(const workload::mlp& work, const workload::arguments& arguments) {
  train<Network>(work.name, work, arguments);
  infer<Network>(work, arguments);
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = workload::parse(argc, argv, workload::mlp_names());
  run<px::network<px::input<784>, px::dense<300, px::relu>, px::dense<10>>>(workload::mlp_300, arguments);
  run<px::network<px::input<784>, px::dense<1024, px::relu>, px::dense<1024, px::relu>, px::dense<10>>>(
      workload::mlp_1024, arguments);
  train<px::network<px::mixed<px::bf16>, px::input<784>, px::dense<1024, px::relu>, px::dense<1024, px::relu>,
                    px::dense<10>>>(workload::mlp_1024.in_bf16(), workload::mlp_1024, arguments);
}
