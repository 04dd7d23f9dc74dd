// Augmented training can be repeated, and gone on with, bit for bit.
#include <plexus/data/augmented.hpp>
#include <plexus/data/dataset_source.hpp>
#include <plexus/io/safetensors.hpp>
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/files.hpp"

#include <set>
#include <stdexcept>

namespace px = plexus;

namespace {

using classifier = px::network<px::input<6>, px::dense<16, px::relu>, px::dense<4>>;

void add_noise(std::span<float> sample, px::random_stream random) {
  for (std::size_t i = 0; i < sample.size(); ++i) sample[i] += 0.3f * random.normal(i);
}

void train(classifier& net, const px::batch_source& source, int epochs, int batch = 16) {
  px::fit(net, source, px::softmax_cross_entropy{}, px::adam{.rate = 0.01f},
          {.epochs = epochs, .batch = batch});
}

std::vector<std::vector<float>> trained_on(const px::batch_source& source) {
  classifier net{px::seed{7}};
  train(net, source, 3);
  return support::parameter_values(net);
}

}  // namespace

TEST_CASE("A sample is changed by random numbers of its own in each epoch, whatever batch it is in",
          "[train]") {
  const px::dataset data{.features = 1, .outputs = 1, .inputs = {1, 2, 3}, .targets = {4, 5, 6}};
  const px::dataset_source plain(data);
  const px::augmented source(
      plain, [](std::span<float> x, px::random_stream random) { x[0] += random.uniform(0); }, {3});
  const auto fill = [&](std::uint64_t epoch, const std::vector<int>& samples) {
    std::vector<float> inputs(samples.size()), targets(samples.size());
    source.fill(epoch, samples, {inputs, {}, targets});
    for (std::size_t i = 0; i < samples.size(); ++i) {
      CHECK(targets[i] == data.targets[static_cast<std::size_t>(samples[i])]);
    }
    return inputs;
  };
  const std::vector<float> first = fill(0, {0, 1, 2}), backwards = fill(0, {2, 0}),
                           second = fill(1, {0, 1, 2});
  CHECK(backwards == std::vector<float>{first[2], first[0]});
  std::set<float> chances;
  for (std::size_t i = 0; i < 3; ++i) {
    chances.insert({first[i] - data.inputs[i], second[i] - data.inputs[i]});
    CHECK(first[i] > data.inputs[i]);
    CHECK(first[i] < data.inputs[i] + 1);
  }
  CHECK(chances.size() == 6);
}

TEST_CASE("Augmented training is a function of its seeds", "[train]") {
  const px::dataset data = support::largest_feature(100, 6, 4);
  const px::dataset_source plain(data);
  const auto result = trained_on(px::augmented(plain, add_noise, px::seed{1}));
  CHECK(result == trained_on(px::augmented(plain, add_noise, px::seed{1})));
  CHECK(result != trained_on(px::augmented(plain, add_noise, px::seed{2})));
  CHECK(result != trained_on(plain));
}

TEST_CASE("Augmented training goes on from a checkpoint to the same bits", "[train]") {
  const support::temporary_folder folder;
  const px::dataset data = support::largest_feature(100, 6, 4);
  const px::dataset_source plain(data);
  const px::augmented source(plain, add_noise, px::seed{1});
  classifier whole{px::seed{7}}, begun{px::seed{7}}, gone_on{px::seed{8}};
  train(whole, source, 5);
  train(begun, source, 2);
  px::save_checkpoint(begun, folder / "checkpoint");
  px::load_checkpoint(gone_on, folder / "checkpoint");
  train(gone_on, source, 3);
  CHECK(support::parameter_values(gone_on) == support::parameter_values(whole));
}

TEST_CASE("What the function for augmentation throws is thrown by fit", "[train]") {
  const px::dataset data = support::largest_feature(100, 6, 4);
  const px::dataset_source plain(data);
  const px::augmented source(
      plain,
      [](std::span<float> sample, px::random_stream) {
        if (sample[0] > 1) throw std::out_of_range("too bright");
      },
      px::seed{1});
  classifier net{px::seed{7}};
  CHECK_THROWS_AS(train(net, source, 1), std::out_of_range);
}
