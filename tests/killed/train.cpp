// Trains with a checkpoint after each epoch, from the checkpoint on where there is one, and prints what the
// parameters have come to: killed <checkpoint> <epochs of the network's life>
#include <plexus/io/checkpoints.hpp>
#include <plexus/plexus.hpp>

#include "support/data.hpp"

#include <cstdio>
#include <cstdlib>

namespace px = plexus;

int main(int, char** arguments) try {
  const std::filesystem::path path = arguments[1];
  const int epochs = std::atoi(arguments[2]);
  px::network<px::mixed<px::fp16>, px::input<20>, px::dense<64, px::relu>, px::dense<8>> net{px::seed{1}};
  if (std::filesystem::exists(path)) px::load_checkpoint(net, path);
  const int left = epochs - static_cast<int>(net.training_state().epoch);
  if (left > 0) {
    const px::scheduled optimizer{
        px::adamw{.rate = 0.01f},
        px::cosine{.steps = static_cast<std::uint64_t>(epochs) * 32, .warm_up = 50}};
    px::fit(net, support::largest_feature(1000, 20, 8), px::softmax_cross_entropy{},
            px::clip_norm{optimizer, 1.0f},
            {.epochs = left, .batch = 32, .on_epoch = px::checkpoints(net, path)});
  }
  for (const std::vector<float>& tensor : support::parameter_values(net)) {
    for (const float value : tensor) std::printf("%a\n", static_cast<double>(value));
  }
} catch (const px::error& failed) {
  std::fprintf(stderr, "%s\n", failed.what());
  return 1;
}
