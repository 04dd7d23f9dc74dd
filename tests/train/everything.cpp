// All that training has at once: a network with statistics and random numbers, in FP16, on a source that is
// augmented, by an averaged and clipped optimiser on a schedule, with a rate that falls on plateaus and with
// early stopping.
#include <plexus/data/augmented.hpp>
#include <plexus/data/dataset_source.hpp>
#include <plexus/io/checkpoints.hpp>
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/files.hpp"

#include <algorithm>
#include <functional>

namespace px = plexus;

namespace {

using network = px::network<px::mixed<px::fp16>, px::input<6>, px::dense<24, px::identity, px::no_bias>,
                            px::batch_norm<px::relu>, px::dropout<0.125>, px::dense<4>>;
using values = std::vector<std::vector<float>>;

px::dataset weighted(px::dataset data) {
  for (int i = 0; i < data.size(); ++i) data.weights.push_back(static_cast<float>(1 + i % 3));
  return data;
}

struct training {
  px::dataset data = weighted(support::largest_feature(100, 6, 4)),
              validation = support::largest_feature(60, 6, 4, 8);
  px::dataset_source samples{data};
  px::augmented noisy{samples,
                      [](std::span<float> sample, px::random_stream random) {
                        for (std::size_t i = 0; i < sample.size(); ++i) sample[i] += 0.3f * random.normal(i);
                      },
                      px::seed{3}};

  px::history operator()(network& net, std::function<bool(const px::epoch_record&)> on_epoch = {}) const {
    const px::scheduled adamw{px::adamw{.rate = 0.05f}, px::cosine{.steps = 400, .warm_up = 9}};
    return px::fit(net, noisy, px::softmax_cross_entropy{}, px::clip_norm{px::averaged{adamw, 0.9f}, 1.0f},
                   {.epochs = 60,
                    .batch = 16,
                    .validation = &validation,
                    .stop_early = {.patience = 5},
                    .on_plateau = px::reduce_on_plateau{.factor = 0.5, .patience = 1},
                    .on_epoch = on_epoch});
  }
};

values average_of(network& net) {
  const px::average_scope average(net);
  return support::tensor_values(net);
}

struct interrupted {};

}  // namespace

// The average in use has no part in it: it stays that of the last step.
TEST_CASE("Early stopping brings back the best epoch's weights, and leaves their average", "[train]") {
  const training train;
  network net{px::seed{1}};
  std::vector<values> tensors, averages;
  const px::history history = train(net, [&](const px::epoch_record&) {
    tensors.push_back(support::tensor_values(net));
    averages.push_back(average_of(net));
    return true;
  });
  REQUIRE(history.reason == px::stop_reason::no_improvement);
  const auto best = static_cast<std::size_t>(history.restored_epoch);
  REQUIRE(best < tensors.size());
  CHECK(support::tensor_values(net) == tensors[best - 1]);
  const auto parameters = static_cast<std::ptrdiff_t>(net.parameters().size());
  const values average = average_of(net);  // and the statistics of the best epoch
  CHECK(std::equal(average.begin(), average.begin() + parameters, averages.back().begin()));
}

// Each run ends after two epochs as one that is killed would, but for the last.
TEST_CASE("Training with everything goes on from checkpoints in the same bits", "[train]") {
  const support::temporary_folder folder;
  const auto path = folder / "checkpoint";
  const training train;
  network whole{px::seed{1}};
  const px::history unbroken = train(whole);
  REQUIRE(unbroken.reason == px::stop_reason::no_improvement);
  REQUIRE(unbroken.epochs.back().rate_factor < 1);

  std::vector<px::epoch_record> epochs;
  for (bool ended = false; !ended;) {
    network net{px::seed{epochs.empty() ? 1u : 77u}};
    if (!epochs.empty()) px::load_checkpoint(net, path);
    try {
      train(net, [&](const px::epoch_record& record) -> bool {
        epochs.push_back(record);
        px::save_checkpoint(net, path);
        if (record.epoch == 2) throw interrupted{};
        return true;
      });
      ended = true;
      CHECK(support::tensor_values(net) == support::tensor_values(whole));
      CHECK(average_of(net) == average_of(whole));
      CHECK(support::values_of(net, net.optimizer_state()) ==
            support::values_of(whole, whole.optimizer_state()));
      CHECK(net.plateau() == whole.plateau());
      CHECK(net.training_state().step == whole.training_state().step);
      CHECK(net.loss_scale().scale == whole.loss_scale().scale);
    } catch (const interrupted&) {
    }
  }
  REQUIRE(epochs.size() == unbroken.epochs.size());
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    CHECK(epochs[i].loss == unbroken.epochs[i].loss);
    CHECK(epochs[i].validation_loss == unbroken.epochs[i].validation_loss);
    CHECK(epochs[i].rate_factor == unbroken.epochs[i].rate_factor);
  }
}
