// LeNet, trained on Fashion-MNIST for as long as it takes its filters to become smooth; and where a program
// that shows pictures leaves them.
#pragma once

#include "../support/fashion_mnist.hpp"

#include <plexus/io/image.hpp>
#include <plexus/plexus.hpp>

#include <cstdio>
#include <filesystem>

namespace lecture {

using lenet = fashion_mnist::lenet<plexus::fp32>;

// Two epochs, the second at half the rate. Weight decay takes from filters what training does not need.
inline void train(lenet& net, const plexus::dataset& images) {
  float rate = 0.03f;
  for (int epoch = 0; epoch < 2; ++epoch, rate /= 2) {
    plexus::fit(net, images, plexus::softmax_cross_entropy{},
                plexus::sgd{.rate = rate, .momentum = 0.9f, .weight_decay = 1e-3f, .nesterov = true},
                {.epochs = 1, .batch = 64});
  }
}

// The folder that the command line names, or results/lecture.
inline std::filesystem::path picture_folder(int argc, char** argv) {
  const std::filesystem::path folder = argc > 1 ? argv[1] : "results/lecture";
  std::filesystem::create_directories(folder);
  return folder;
}

inline void show(const plexus::picture& picture, const std::filesystem::path& path) {
  plexus::save_png(picture, path);
  std::printf("  %s\n", path.c_str());
}

}  // namespace lecture
