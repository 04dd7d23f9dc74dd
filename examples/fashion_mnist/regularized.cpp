// Fashion-MNIST by a convolutional network with all that keeps it from learning its training set by heart:
// batch normalisation, dropout, decay of the weights, a cosine, and the weights of the best epoch.
#include "../support/fashion_mnist.hpp"

#include <plexus/data/normalize.hpp>
#include <plexus/data/split.hpp>
#include <plexus/plexus.hpp>
#include <plexus/train/progress_bar.hpp>

#include <cstdint>
#include <cstdio>
#include <filesystem>

namespace px = plexus;

namespace {

// The bias of a layer before batch_norm would be taken out again.
using network = px::network<px::image<1, 28, 28>,  //
                            px::conv2d<16, 3, px::identity, px::same, px::no_bias>, px::batch_norm<px::relu>,
                            px::max_pool<2>,  // 16 × 14 × 14
                            px::conv2d<32, 3, px::identity, px::same, px::no_bias>, px::batch_norm<px::relu>,
                            px::max_pool<2>, px::dropout<0.25>,  // 32 × 7 × 7
                            px::dense<128, px::identity, px::no_bias>, px::batch_norm<px::relu>,
                            px::dropout<0.5>, px::dense<10>>;

constexpr int epochs = 8, batch = 64;

void train(const std::filesystem::path& folder) {
  fashion_mnist::require_data(folder);
  px::dataset images = fashion_mnist::load(folder, "train"), test = fashion_mnist::load(folder, "t10k");
  const auto normal = px::normalization::global(images);
  normal.apply(images);
  normal.apply(test);
  // The best epoch is chosen by images that are neither trained on nor tested on.
  const auto [training, validation] = px::split(images, 55000, px::seed{1});

  network net{px::seed{42}};
  const auto updates =
      std::uint64_t{epochs} * static_cast<std::uint64_t>(px::divide_up(training.size(), batch));
  const px::scheduled optimizer{px::adamw{.rate = 2e-3f, .weight_decay = 0.05f},
                                px::cosine{.steps = updates, .warm_up = updates / 20}};
  const px::history past = px::fit(net, training, px::softmax_cross_entropy{}, optimizer,
                                   {.epochs = epochs,
                                    .batch = batch,
                                    .validation = &validation,
                                    .progress = px::progress_bar{},
                                    .stop_early = {.patience = epochs}});
  const px::evaluation judged = px::evaluate(net, test, px::softmax_cross_entropy{});
  std::printf("epoch %d of %zu was the best\n", past.restored_epoch, past.epochs.size());
  std::printf("test accuracy: %.2f%%\n", 100 * judged.accuracy);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    train(argc > 1 ? std::filesystem::path(argv[1]) : fashion_mnist::usual_folder);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
