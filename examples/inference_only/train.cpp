// Trains the network of inference_only and leaves its weights in a file.
//
//   inference_only_train weights.safetensors [epochs]
#include "network.hpp"

#include <plexus/io/safetensors.hpp>
#include <plexus/plexus.hpp>
#include <plexus/train/progress_bar.hpp>

#include <cstdio>
#include <cstdlib>

namespace px = plexus;

namespace {

void train(const char* weights, int epochs) {
  constexpr int batch = 64;
  const px::dataset images = inference_only::load_images(fashion_mnist::usual_folder, "train");
  const auto steps =
      static_cast<std::uint64_t>(epochs) * static_cast<std::uint64_t>(px::divide_up(images.size(), batch));
  inference_only::network net{px::seed{1}};
  px::fit(net, images, px::softmax_cross_entropy{},
          px::scheduled{px::adamw{.rate = 0.005f}, px::one_cycle{.steps = steps}},
          {.epochs = epochs, .batch = batch, .progress = px::progress_bar{}});
  px::save(net, weights);
}

}  // namespace

int main(int argc, char** argv) try {
  const int epochs = argc > 2 ? std::atoi(argv[2]) : 12;
  if (argc < 2 || epochs < 1) {
    std::fprintf(stderr, "usage: inference_only_train weights.safetensors [epochs]\n");
    return 2;
  }
  train(argv[1], epochs);
  return 0;
} catch (const px::error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
