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
    const px::dataset validation = support::largest_feature(200, 20, 8, 8);
    px::fit(net, support::largest_feature(1000, 20, 8), px::softmax_cross_entropy{},
            px::clip_norm{px::averaged{optimizer, 0.99f}, 1.0f},
            {.epochs = left,
             .batch = 32,
             .validation = &validation,
             .stop_early = {.patience = epochs / 2},
             .on_plateau = px::reduce_on_plateau{.factor = 0.5, .patience = 1, .threshold = 0.02},
             .on_epoch = px::checkpoints(net, path)});
  } else {
    px::restore_best(net);  // it was killed when all epochs were done
  }
  const auto print = [&net] {
    for (const std::vector<float>& tensor : support::parameter_values(net)) {
      for (const float value : tensor) std::printf("%a\n", static_cast<double>(value));
    }
  };
  print();
  const px::average_scope average(net);
  print();
} catch (const px::error& failed) {
  std::fprintf(stderr, "%s\n", failed.what());
  return 1;
}
