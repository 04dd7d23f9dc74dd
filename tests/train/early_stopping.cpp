#include <plexus/io/checkpoints.hpp>
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/files.hpp"

namespace px = plexus;

namespace {

using classifier = px::network<px::input<6>, px::dense<32, px::relu>, px::dense<4>>;

// Few samples, and others to be judged by: the network soon learns the first ones by heart.
struct overfitting {
  px::dataset data = support::largest_feature(24, 6, 4), validation = support::largest_feature(60, 6, 4, 8);

  template <class Network>
  px::history operator()(Network& net, px::fit_options options) const {
    options.batch = 8;
    options.validation = &validation;
    return px::fit(net, data, px::softmax_cross_entropy{}, px::adam{.rate = 0.03f}, options);
  }
  template <class Network>
  double loss_of(Network& net) const {
    return px::evaluate(net, validation, px::softmax_cross_entropy{}).loss;
  }
};

int epoch_of_least_loss(const px::history& history) {
  int best = 0;
  for (std::size_t i = 1; i < history.epochs.size(); ++i) {
    if (*history.epochs[i].validation_loss < *history.epochs[static_cast<std::size_t>(best)].validation_loss)
      best = static_cast<int>(i);
  }
  return best + 1;
}

}  // namespace

TEMPLATE_TEST_CASE("Training ends when validation gets worse, with the parameters of the best epoch",
                   "[train]", px::fp32, px::mixed<px::bf16>) {
  const overfitting train;
  px::network<TestType, px::input<6>, px::dense<32, px::relu>, px::dense<4>> net{px::seed{1}},
      twin{px::seed{1}};
  const px::history history = train(net, {.epochs = 200, .stop_early = {.patience = 4}});
  const int best = epoch_of_least_loss(history);
  CHECK(history.reason == px::stop_reason::no_improvement);
  CHECK(history.epochs.size() == static_cast<std::size_t>(best + 4));
  CHECK(history.restored_epoch == best);
  CHECK(train.loss_of(net) == *history.epochs[static_cast<std::size_t>(best - 1)].validation_loss);
  train(twin, {.epochs = best});
  CHECK(support::parameter_values(net) == support::parameter_values(twin));
}

TEST_CASE("Without restoring, early stopping leaves the last parameters", "[train]") {
  const overfitting train;
  classifier net{px::seed{1}};
  const px::history history =
      train(net, {.epochs = 200, .stop_early = {.patience = 3, .restore_best = false}});
  CHECK(history.reason == px::stop_reason::no_improvement);
  CHECK(history.restored_epoch == 0);
  CHECK(train.loss_of(net) == *history.epochs.back().validation_loss);
}

TEST_CASE("The best parameters come back however training ends", "[train]") {
  const overfitting train;
  classifier net{px::seed{1}};
  px::history history = train(net, {.epochs = 40, .stop_early = {.patience = 1000}});
  CHECK(history.reason == px::stop_reason::epochs_done);
  CHECK(history.restored_epoch == epoch_of_least_loss(history));
  CHECK(train.loss_of(net) ==
        *history.epochs[static_cast<std::size_t>(history.restored_epoch - 1)].validation_loss);

  net.initialize(px::seed{1});
  history = train(net, {.epochs = 40,
                        .stop_early = {.patience = 1000},
                        .on_epoch = [](const px::epoch_record& record) { return record.epoch < 30; }});
  CHECK(history.reason == px::stop_reason::asked_to);
  CHECK(history.epochs.size() == 30);
  CHECK(train.loss_of(net) ==
        *history.epochs[static_cast<std::size_t>(history.restored_epoch - 1)].validation_loss);
}

// Each run ends after its first epoch as one that is killed would, but for the last.
TEST_CASE("Early stopping goes on from a checkpoint as if training had not been interrupted", "[train]") {
  const support::temporary_folder folder;
  const overfitting train;
  const px::early_stopping rule{.patience = 4};
  classifier whole{px::seed{1}};
  const px::history unbroken = train(whole, {.epochs = 200, .stop_early = rule});
  REQUIRE(unbroken.reason == px::stop_reason::no_improvement);

  const auto path = folder / "checkpoint";
  struct killed {};
  std::size_t runs = 0;
  px::history last;
  for (bool ended = false; !ended; ++runs) {
    classifier net{px::seed{1}};
    if (runs > 0) px::load_checkpoint(net, path);
    try {
      last = train(net, {.epochs = 200, .stop_early = rule, .on_epoch = [&](const px::epoch_record&) -> bool {
                           px::save_checkpoint(net, path);
                           throw killed{};
                         }});
      ended = true;
      CHECK(support::parameter_values(net) == support::parameter_values(whole));
      CHECK(!net.best_epoch());
    } catch (const killed&) {
    }
  }
  CHECK(runs == unbroken.epochs.size() + 1);  // the last one finds that there is nothing left to do
  CHECK(last.reason == px::stop_reason::no_improvement);
  CHECK(last.restored_epoch == -1);

  classifier net{px::seed{1}};
  px::load_checkpoint(net, path);
  CHECK(px::restore_best(net));
  CHECK(support::parameter_values(net) == support::parameter_values(whole));
  CHECK(!px::restore_best(net));
}

TEST_CASE("Early stopping begins anew with each run that does not go on from a checkpoint", "[train]") {
  const overfitting train;
  classifier net{px::seed{1}};
  const px::early_stopping rule{.patience = 2, .least_fall = 1e3};
  CHECK(train(net, {.epochs = 50, .stop_early = rule}).epochs.size() == 3);
  const px::history again = train(net, {.epochs = 50, .stop_early = rule});
  CHECK(again.epochs.size() == 3);
  CHECK(again.restored_epoch == 1);
}

TEST_CASE("A fall that is too small does not count", "[train]") {
  const overfitting train;
  classifier net{px::seed{1}};
  const px::history history = train(net, {.epochs = 50, .stop_early = {.patience = 2, .least_fall = 1e3}});
  CHECK(history.epochs.size() == 3);  // the first epoch is a fall from infinity
  CHECK(history.restored_epoch == 1);
}

TEST_CASE("Without a validation set the training loss counts", "[train]") {
  const px::dataset data = support::largest_feature(40, 6, 4);
  classifier net{px::seed{1}};
  const px::history history = px::fit(net, data, px::softmax_cross_entropy{}, px::sgd{.rate = 1e-12f},
                                      {.epochs = 30, .batch = 40, .stop_early = {.patience = 5}});
  CHECK(history.reason == px::stop_reason::no_improvement);
  CHECK(history.epochs.size() < 30);
}

TEST_CASE("A checkpoint of training without early stopping knows of no best epoch", "[train]") {
  const support::temporary_folder folder;
  const overfitting train;
  classifier first{px::seed{1}}, second{px::seed{2}};
  train(first, {.epochs = 3});
  train(first, {.epochs = 3, .on_epoch = [&](const px::epoch_record&) {
                  px::save_checkpoint(first, folder / "checkpoint");
                  return true;
                }});
  px::load_checkpoint(second, folder / "checkpoint");
  CHECK(!second.best_epoch());
  CHECK(train(second, {.epochs = 3, .stop_early = {.patience = 2}}).epochs.size() > 1);
}

TEST_CASE("An error that ends training leaves the best epoch to be restored", "[train]") {
  const overfitting train;
  classifier net{px::seed{1}};
  std::vector<std::vector<float>> after_first;
  struct interrupted {};
  const auto on_epoch = [&](const px::epoch_record& record) -> bool {
    if (record.epoch == 2) throw interrupted{};
    after_first = support::parameter_values(net);
    return true;
  };
  const px::early_stopping rule{.patience = 9, .least_fall = 1e3};  // no later epoch is better
  CHECK_THROWS_AS(train(net, {.epochs = 9, .stop_early = rule, .on_epoch = on_epoch}), interrupted);
  CHECK(support::parameter_values(net) != after_first);
  CHECK(px::restore_best(net));
  CHECK(support::parameter_values(net) == after_first);
}

TEST_CASE("Tensors of the best epoch that are not wanted any more are not restored", "[train]") {
  const support::temporary_folder folder;
  const overfitting train;
  classifier net{px::seed{1}};
  struct interrupted {};
  const px::early_stopping keeping{.patience = 9};
  CHECK_THROWS_AS(train(net, {.epochs = 9,
                              .stop_early = keeping,
                              .on_epoch = [](const px::epoch_record&) -> bool { throw interrupted{}; }}),
                  interrupted);
  REQUIRE(!net.best_epoch()->tensors.empty());
  std::vector<std::vector<float>> last;
  const px::history history = train(net, {.epochs = 2,
                                          .stop_early = {.patience = 9, .restore_best = false},
                                          .on_epoch = [&](const px::epoch_record&) {
                                            last = support::parameter_values(net);
                                            return true;
                                          }});
  CHECK(history.restored_epoch == 0);
  CHECK(support::parameter_values(net) == last);
}
