// Whole epochs of training multilayer perceptrons through the library, and inference.
#include "networks.hpp"
#include "training.hpp"

namespace px = plexus;

int main(int argc, char** argv) {
  const auto arguments = workload::parse(argc, argv, workload::mlp_names());
  workload::run<workload::mlp_300_network>(workload::mlp_300, arguments);
  workload::run<
      px::network<px::input<784>, px::dense<1024, px::relu>, px::dense<1024, px::relu>, px::dense<10>>>(
      workload::mlp_1024, arguments);
  workload::train<px::network<px::mixed<px::bf16>, px::input<784>, px::dense<1024, px::relu>,
                              px::dense<1024, px::relu>, px::dense<10>>>(workload::mlp_1024.in_bf16(),
                                                                         workload::mlp_1024, arguments);
}
