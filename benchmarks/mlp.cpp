// Whole epochs of training through the library, as its users write them.
#include "workload.hpp"

#include <plexus/data/idx.hpp>
#include <plexus/plexus.hpp>

namespace px = plexus;

namespace {

template <class Network>
void run(const workload::mlp& work, const workload::arguments& arguments) {
  if (!arguments.wants(work.name)) return;
  const std::string& folder = arguments.data;
  const auto data =
      px::load_idx(folder + "/train-images-idx3-ubyte.gz", folder + "/train-labels-idx1-ubyte.gz");
  const auto test =
      px::load_idx(folder + "/t10k-images-idx3-ubyte.gz", folder + "/t10k-labels-idx1-ubyte.gz");
  Network net{px::seed{1}};
  const px::softmax_cross_entropy loss;
  workload::stopwatch watch;
  const auto report_epoch = [&](const px::training_progress& now) {
    if (!now.epoch_finished) return;
    if (now.epoch > 1) workload::report("seconds", work.name, watch.seconds());  // the first one warms up
    watch = {};
  };
  const auto history =
      px::fit(net, data, loss, px::sgd{.rate = work.rate},
              {.epochs = 1 + arguments.repetitions, .batch = work.batch, .progress = report_epoch});
  workload::report("loss", work.name, history.epochs.back().loss);
  workload::report("accuracy", work.name, px::evaluate(net, test, loss).accuracy);
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = workload::parse(argc, argv, {workload::mlp_300.name, workload::mlp_1024.name});
  run<px::network<px::input<784>, px::dense<300, px::relu>, px::dense<10>>>(workload::mlp_300, arguments);
  run<px::network<px::input<784>, px::dense<1024, px::relu>, px::dense<1024, px::relu>, px::dense<10>>>(
      workload::mlp_1024, arguments);
}
