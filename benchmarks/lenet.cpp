// LeNet through the library: whole epochs of training, and inference.
#include "networks.hpp"
#include "training.hpp"

int main(int argc, char** argv) {
  workload::run<workload::lenet_network>(workload::lenet,
                                         workload::parse(argc, argv, workload::lenet_names()));
}
