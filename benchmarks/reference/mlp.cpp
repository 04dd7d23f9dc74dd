// The multilayer perceptrons of ../mlp.cpp by hand: what somebody who knows the machine writes over
// cblas_sgemm.
//
// Two threads share every step by columns: each owns half of the units of every layer, and so half of the
// rows of its weights, which stay in that core's cache from the forward product to the update. (OpenBLAS's
// own two threads took about 15% longer at 784-300-10.) Nothing but the rows of a batch is copied.
#include "dense.hpp"

namespace {

using namespace reference;

struct network : perceptron {
  using perceptron::perceptron;

  matrix& infer(const plexus::dataset& data, int first, int size) {
    std::copy_n(sample(data, first), size * data.features, x.row(0));
    return forward(size);
  }
};

void step(layer& l, matrix& x, int samples, range units, float rate) {
  backward_weights(l, x, samples, units);
  l.descend(l, units, rate);
}

// One thread's share of an epoch; returns its share of the summed loss.
double train(network& net, const plexus::dataset& data, const std::vector<int>& order,
             const workload::mlp& work, int thread, barrier& everyone) {
  const std::size_t last = net.layers.size() - 1;
  const int samples = static_cast<int>(order.size());
  double summed_loss = 0;
  for (int first = 0; first < samples; first += work.batch) {
    const int size = std::min(work.batch, samples - first);
    const range rows = share(size, thread);
    for (int r = rows.begin; r < rows.end; ++r) {
      const int chosen = order[static_cast<std::size_t>(first + r)];
      std::copy_n(sample(data, chosen), data.features, net.x.row(r));
      net.y[static_cast<std::size_t>(r)] = data.labels[static_cast<std::size_t>(chosen)];
    }
    everyone.wait();
    for (std::size_t i = 0; i < last; ++i) {
      layer& l = net.layers[i];
      forward(l, net.input(i), {0, size}, share(l.a.cols, thread), true);
      everyone.wait();
    }
    layer& output = net.layers[last];
    forward(output, net.input(last), rows, {0, output.a.cols}, false);
    summed_loss += loss(output, net.y, rows, size);
    everyone.wait();
    for (std::size_t i = last + 1; i-- > 0;) {
      layer& l = net.layers[i];
      if (i > 0) {
        backward_input(l, net.input(i), net.layers[i - 1].da, size, share(l.w.cols, thread));
        everyone.wait();  // all have read the weights before anybody changes them
      }
      step(l, net.input(i), size, share(l.a.cols, thread), work.rate);
    }
    everyone.wait();
  }
  return summed_loss;
}

void run(const workload::mlp& work, const workload::arguments& arguments) {
  std::mt19937 random(1);
  std::vector<network> nets(threads, network(work.widths, work.batch, random));
  if (arguments.wants(work.inference())) time_inference(work, arguments, nets);
  if (!arguments.wants(work.name)) return;
  const auto data = workload::load(arguments.data, "train");
  const auto train_share = [&](const auto& order, int thread, barrier& everyone) {
    return train(nets[0], data, order, work, thread, everyone);
  };
  time_training(work, arguments.repetitions, data.size(), train_share);
  report_accuracy(work, nets[0], workload::load(arguments.data, "t10k"));
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = workload::parse(argc, argv, workload::mlp_names());
  openblas_set_num_threads(1);  // the threads are ours
  for (const auto& work : {workload::mlp_300, workload::mlp_1024}) run(work, arguments);
}
