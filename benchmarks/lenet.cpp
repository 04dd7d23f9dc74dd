// LeNet through the library: whole epochs of training, and inference.
#include "training.hpp"

namespace px = plexus;

using lenet = px::network<px::image<1, 28, 28>, px::conv2d<6, 5, px::relu>, px::max_pool<2>,
                          px::conv2d<16, 5, px::relu>, px::max_pool<2>, px::dense<120, px::relu>,
                          px::dense<84, px::relu>, px::dense<10>>;

int main(int argc, char** argv) {
  workload::run<lenet>(workload::lenet, workload::parse(argc, argv, workload::lenet_names()));
}
