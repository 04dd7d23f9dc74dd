// The rate that falls on plateaus, in fit(); the rule itself is held against PyTorch's in
// golden/optimizers.cpp.
#include <plexus/io/checkpoints.hpp>
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/files.hpp"

namespace px = plexus;

namespace {

template <class Precision>
using classifier = px::network<Precision, px::input<6>, px::dense<16, px::relu>, px::dense<4>>;

const px::dataset data = support::largest_feature(100, 6, 4),
                  validation = support::largest_feature(60, 6, 4, 8);

// No loss falls by so much: every second epoch halves the rate.
constexpr px::reduce_on_plateau halving{.factor = 0.5, .patience = 1, .threshold = 0.99};

template <class Network, class Optimizer>
px::history train(Network& net, const Optimizer& optimizer, px::fit_options options) {
  options.batch = 16;
  options.validation = &validation;
  return px::fit(net, data, px::softmax_cross_entropy{}, optimizer, options);
}

std::vector<double> factors(const px::history& history) {
  std::vector<double> all;
  for (const px::epoch_record& record : history.epochs) all.push_back(record.rate_factor);
  return all;
}

// optimizer(rate) in epochs whose rates are set by hand.
template <class Precision, class MakeOptimizer>
void check_by_hand(const MakeOptimizer& optimizer) {
  classifier<Precision> net{px::seed{1}}, by_hand{px::seed{1}};
  const px::history history = train(net, optimizer(0.25f), {.epochs = 7, .on_plateau = halving});
  CHECK(factors(history) == std::vector<double>{1, 1, 1, 0.5, 0.5, 0.25, 0.25});
  for (const double factor : factors(history))
    train(by_hand, optimizer(0.25f * static_cast<float>(factor)), {.epochs = 1});
  CHECK(support::parameter_values(net) == support::parameter_values(by_hand));
  CHECK(net.plateau().rate_factor == 0.125);
}

}  // namespace

TEMPLATE_TEST_CASE("Steps that are recorded go by the rate as it falls, whatever is around the optimiser",
                   "[train]", px::fp32, px::mixed<px::fp16>) {
  check_by_hand<TestType>([](float rate) { return px::sgd{.rate = rate}; });
  check_by_hand<TestType>([](float rate) { return px::lion{.rate = rate / 16}; });
  check_by_hand<TestType>([](float rate) { return px::adamw{.rate = rate / 8}; });
  check_by_hand<TestType>([](float rate) {
    const px::scheduled inner{px::adam{.rate = rate / 8}, px::cosine{.steps = 60, .warm_up = 5}};
    return px::clip_norm{px::averaged{px::clip_value{inner, 0.5f}, 0.9f}, 0.4f};
  });
}

TEST_CASE("The rate falls when the validation loss does not", "[train]") {
  classifier<px::fp32> net{px::seed{1}};
  constexpr px::reduce_on_plateau rule{.factor = 0.5, .patience = 3};
  const px::history history = train(net, px::adam{.rate = 0.05f}, {.epochs = 60, .on_plateau = rule});
  px::plateau_state expected;
  for (const px::epoch_record& record : history.epochs) {
    CHECK(record.rate_factor == expected.rate_factor);
    expected.see(*record.validation_loss, rule);
  }
  CHECK(net.plateau() == expected);
  CHECK(expected.rate_factor < 1);
}

TEST_CASE("Training on a plateau goes on from a checkpoint in the same bits", "[train]") {
  const support::temporary_folder folder;
  constexpr px::sgd optimizer{.rate = 0.25f};
  constexpr px::reduce_on_plateau rule{.factor = 0.5, .patience = 1, .threshold = 0.99, .cooldown = 1};
  classifier<px::fp32> whole{px::seed{1}}, second{px::seed{2}};
  train(whole, optimizer, {.epochs = 9, .on_plateau = rule});
  for (int part = 0; part < 3; ++part) {
    classifier<px::fp32> net{px::seed{1}};
    if (part > 0) px::load_checkpoint(net, folder / "checkpoint");
    train(net, optimizer,
          {.epochs = 3, .on_plateau = rule, .on_epoch = px::checkpoints(net, folder / "checkpoint")});
  }
  px::load_checkpoint(second, folder / "checkpoint");
  CHECK(second.plateau() == whole.plateau());
  CHECK(second.plateau().rate_factor < 0.5);
  CHECK(support::parameter_values(second) == support::parameter_values(whole));

  classifier<px::fp32> fresh{px::seed{3}};
  px::save_checkpoint(fresh, folder / "new");
  px::load_checkpoint(second, folder / "new");
  CHECK(second.plateau() == px::plateau_state{});
}

TEST_CASE("Another optimiser begins with its whole rate", "[train]") {
  classifier<px::fp32> net{px::seed{1}};
  train(net, px::sgd{.rate = 0.1f}, {.epochs = 5, .on_plateau = halving});
  CHECK(net.plateau().rate_factor < 1);
  const px::history history = train(net, px::adam{}, {.epochs = 1, .on_plateau = halving});
  CHECK(factors(history) == std::vector<double>{1});
  train(net, px::adam{}, {.epochs = 4, .on_plateau = halving});
  net.forget_optimizer();
  CHECK(net.plateau() == px::plateau_state{});
}
