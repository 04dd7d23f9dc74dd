// Trains a network on Fashion-MNIST; leaves its weights and a picture of the training curve in a folder.
#include "../support/fashion_mnist.hpp"

#include <plexus/data/normalize.hpp>
#include <plexus/inspect/training_curve.hpp>
#include <plexus/io/safetensors.hpp>
#include <plexus/plexus.hpp>
#include <plexus/train/progress_bar.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <stdexcept>

#include <unistd.h>

namespace px = plexus;

namespace {

struct options {
  std::filesystem::path data = fashion_mnist::usual_folder;
  std::string network = "mlp";
  std::string precision = "fp32";
  int epochs = 5;
  std::optional<int> batch;   // batch and rate: the network's own,
  std::optional<float> rate;  // if none is chosen
  std::uint64_t seed = 42;
  std::filesystem::path out = "results/fashion_mnist";
};

template <class Precision>
using mlp = px::network<Precision, px::input<784>, px::dense<300, px::relu>, px::dense<10>>;

// ---- The folder for what is made

// Before the training, so that no result is lost to a folder that cannot be written.
void prepare(const std::filesystem::path& folder) {
  const char* remedy = "choose another folder with --out";
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  const std::string doing = "preparing the folder " + folder.string();
  if (failed) throw px::error(doing, failed.message(), remedy);
  if (::access(folder.c_str(), W_OK | X_OK) != 0) throw px::error(doing, "it cannot be written", remedy);
}

// ---- The training

// Epochs first … first + count − 1 of all that are asked for, appended to the history.
template <class Network>
void train_epochs(Network& net, const px::dataset& training, const px::dataset& test, const options& chosen,
                  int first, int count, float rate, px::history& all) {
  const auto show = [&, bar = px::progress_bar{}](px::training_progress now) mutable {
    const int later = chosen.epochs - (first + count - 1);
    now.epoch += first - 1;
    now.epochs = chosen.epochs;
    now.seconds_left += later * static_cast<double>(now.samples_total) / now.samples_per_second;
    bar(now);
  };
  px::history done = px::fit(net, training, px::softmax_cross_entropy{},
                             px::sgd{.rate = rate, .momentum = 0.9f, .nesterov = true},
                             {.epochs = count,
                              .batch = *chosen.batch,
                              .validation = &test,
                              .order = px::seed{chosen.seed},
                              .progress = show});
  for (px::epoch_record& epoch : done.epochs) {
    epoch.epoch += first - 1;
    all.epochs.push_back(epoch);
  }
  all.steps += done.steps;
  all.reason = done.reason;
}

template <class Network>
void train(const options& chosen) {
  fashion_mnist::require_data(chosen.data);
  prepare(chosen.out);
  px::dataset training = fashion_mnist::load(chosen.data, "train"),
              test = fashion_mnist::load(chosen.data, "t10k");
  const auto normal = px::normalization::global(training);
  normal.apply(training);
  normal.apply(test);
  std::printf("%d images to train on, %d to test on; %zu parameters; on the %s\n", training.size(),
              test.size(), Network::parameter_count, px::platform::on_cpu ? "CPU" : "GPU");
  std::fflush(stdout);

  // The last epoch goes at a tenth of the rate: at the full one the test accuracy still varies by a percent
  // between epochs.
  Network net{px::seed{chosen.seed}};
  px::history history;
  const int full = std::max(chosen.epochs - 1, 1);
  train_epochs(net, training, test, chosen, 1, full, *chosen.rate, history);
  if (chosen.epochs > full)
    train_epochs(net, training, test, chosen, chosen.epochs, 1, *chosen.rate / 10, history);

  const auto weights = chosen.out / (chosen.network + ".safetensors"),
             curve = chosen.out / "training_curve.png";
  px::save(net, weights);
  px::save_training_curve(history, curve, chosen.network + " on Fashion-MNIST");
  std::printf("stopped: %s\n", px::to_string(history.reason));
  if constexpr (Network::scales_loss) {
    const px::loss_scale now = net.loss_scale();
    std::printf("loss scale: %g, %llu steps skipped\n", static_cast<double>(now.scale),
                static_cast<unsigned long long>(now.skipped));
  }
  std::printf("weights: %s, for pixels p in [0, 1] as (p - %.4f) / %.4f\n", weights.c_str(),
              static_cast<double>(normal.mean()[0]), static_cast<double>(normal.deviation()[0]));
  std::printf("training curve: %s\n", curve.c_str());
  std::printf("test accuracy: %.2f%%\n", 100 * history.epochs.back().validation_accuracy.value());
}

template <template <class> class Network>
void run(options chosen, int usual_batch, float usual_rate) {
  chosen.batch = chosen.batch.value_or(usual_batch);
  chosen.rate = chosen.rate.value_or(usual_rate);
  if (chosen.precision == "fp32") return train<Network<px::fp32>>(chosen);
  if (chosen.precision == "tf32") return train<Network<px::tf32>>(chosen);
  if (chosen.precision == "bf16") return train<Network<px::mixed<px::bf16>>>(chosen);
  if (chosen.precision == "fp16") return train<Network<px::mixed<px::fp16>>>(chosen);
  throw std::logic_error("no network is compiled for --precision " + chosen.precision);
}

}  // namespace

int main(int argc, char** argv) {
  options chosen;
  const CLI::Range at_least_one(1, 1'000'000);
  CLI::App app("Trains a network on Fashion-MNIST.");
  app.add_option("--data", chosen.data, "folder of the four IDX files, packed (.gz) or not")
      ->capture_default_str();
  app.add_option("--network", chosen.network)->check(CLI::IsMember({"mlp", "lenet"}))->capture_default_str();
  app.add_option("--precision", chosen.precision)
      ->check(CLI::IsMember({"fp32", "tf32", "bf16", "fp16"}))
      ->capture_default_str();
  app.add_option("--epochs", chosen.epochs, "the last of them at a tenth of the rate")
      ->check(at_least_one)
      ->capture_default_str();
  app.add_option("--batch", chosen.batch, "samples in a mini-batch; 64 for mlp and 32 for lenet unless given")
      ->check(at_least_one);
  app.add_option("--rate", chosen.rate, "learning rate; 0.05 for mlp and 0.01 for lenet unless given")
      ->check(CLI::PositiveNumber);
  app.add_option("--seed", chosen.seed, "of the first weights and of the order")->capture_default_str();
  app.add_option("--out", chosen.out, "folder for weights and training curve")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    chosen.network == "lenet" ? run<fashion_mnist::lenet>(chosen, 32, 0.01f) : run<mlp>(chosen, 64, 0.05f);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
