// Steps whose loss or gradients are not finite: where they stop training, where they are skipped, and what is
// said of them.
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"

namespace px = plexus;

namespace {

template <class Precision>
using regression = px::network<Precision, px::input<5>, px::dense<7>, px::dense<3>>;

constexpr px::sgd optimizer{.rate = 0.02f, .momentum = 0.9f};
constexpr int samples = 42, batch = 4;
constexpr std::size_t bad_step = 4;  // counted from 0

// One sample is so large that the loss of its batch is infinite.
px::dataset spoilt() {
  px::dataset data = support::random_targets(samples, 5, 3);
  for (std::size_t j = 0; j < 5; ++j) data.inputs[17 * 5 + j] = 1e30f;
  return data;
}

template <class Network>
px::history train(Network& net, px::non_finite rule, int epochs = 3) {
  return px::fit(net, spoilt(), px::quadratic{}, optimizer,
                 {.epochs = epochs, .batch = batch, .shuffle = false, .non_finite = rule});
}

// Steps [first, last) of an epoch, without the bad one.
template <class Network>
void steps_by_hand(Network& net, std::size_t first, std::size_t last) {
  const px::dataset data = spoilt();
  for (std::size_t i = first; i < last; ++i) {
    if (i == bad_step) continue;
    const std::size_t begin = i * batch, rows = std::min<std::size_t>(batch, samples - begin);
    net.step(std::span(data.inputs).subspan(begin * 5, rows * 5),
             std::span(data.targets).subspan(begin * 3, rows * 3), px::quadratic{}, optimizer);
  }
}

template <class Work>
px::non_finite_report stopped_by(const Work& work) {
  try {
    work();
  } catch (const px::non_finite_error& met) {
    CHECK_THAT(met.what(), Catch::Matchers::ContainsSubstring(met.report.text()));
    return met.report;
  }
  FAIL("nothing has stopped it");
  return {};
}

}  // namespace

TEMPLATE_TEST_CASE("A batch that is not finite is skipped, and training is as if it had not been", "[train]",
                   px::fp32, px::mixed<px::bf16>) {
  regression<TestType> net{px::seed{1}}, by_hand{px::seed{1}};
  const px::history history = train(net, px::non_finite::skip);
  for (std::size_t epoch = 0; epoch < 3; ++epoch) {
    by_hand.reset_totals();
    steps_by_hand(by_hand, 0, 11);
    CHECK(history.epochs[epoch].skipped_steps == 1);
    CHECK(history.epochs[epoch].loss == Approx(by_hand.totals().loss / (samples - batch)).epsilon(1e-12));
  }
  CHECK(support::parameter_values(net) == support::parameter_values(by_hand));
  REQUIRE(history.first_non_finite);
  CHECK(history.first_non_finite->epoch == 1);
  CHECK(history.first_non_finite->step == 5);
  CHECK(history.first_non_finite->samples == std::vector<int>{16, 17, 18, 19});
  CHECK(history.first_non_finite->where == "the gradient of 0.weight");
}

TEMPLATE_TEST_CASE("A batch that is not finite stops training with the parameters before it", "[train]",
                   px::fp32, px::mixed<px::bf16>, px::mixed<px::fp16>) {
  regression<TestType> net{px::seed{1}}, by_hand{px::seed{1}};
  const px::non_finite_report met = stopped_by([&] { train(net, px::non_finite::stop); });
  CHECK(met.epoch == 1);
  CHECK(met.step == 5);
  CHECK(met.samples == std::vector<int>{16, 17, 18, 19});
  if constexpr (std::is_same_v<TestType, px::mixed<px::fp16>>) {
    CHECK(met.where == "the outputs of layer 0");  // beyond FP16 as its input is
  } else {
    CHECK(met.where == "the loss, of outputs that are finite");
  }
  steps_by_hand(by_hand, 0, bad_step);
  CHECK(support::parameter_values(net) == support::parameter_values(by_hand));
}

TEST_CASE("In FP16 a batch beyond its range is skipped", "[train]") {
  regression<px::mixed<px::fp16>> net{px::seed{1}};
  const px::history history = train(net, px::non_finite::skip);
  for (const px::epoch_record& record : history.epochs) {
    CHECK(record.skipped_steps == 1);
    CHECK(std::isfinite(record.loss));
  }
  CHECK(history.first_non_finite->step == 5);
}

TEST_CASE("Training that is to go on does, whatever comes", "[train]") {
  regression<px::fp32> net{px::seed{1}};
  const px::history history = train(net, px::non_finite::go_on);
  CHECK(history.epochs.size() == 3);
  CHECK(!std::isfinite(history.epochs.back().loss));
  CHECK(std::isnan(support::parameter_values(net)[0][0]));
  CHECK(!history.first_non_finite);
}

TEST_CASE("A layer or a parameter is named where a step is not finite first", "[train]") {
  const px::dataset data = support::random_targets(12, 5, 3);
  regression<px::fp32> net{px::seed{1}};
  support::set_parameter(net, 2, std::vector<float>(21, 3e38f));
  const auto fit = [&](float rate) {
    px::fit(net, data, px::quadratic{}, px::sgd{.rate = rate},
            {.epochs = 2, .batch = 5, .order = px::seed{3}});
  };
  px::non_finite_report met = stopped_by([&] { fit(0.1f); });
  CHECK(met.where == "the outputs of layer 1");
  CHECK(met.step == 1);
  CHECK(met.samples.size() == 5);

  net.initialize(px::seed{1});
  CHECK(met.epoch == 1);
  met = stopped_by([&] { fit(1e30f); });
  CHECK(met.where == "the outputs of layer 1");
  CHECK(met.step == 2);
  net.initialize(px::seed{1});
  met = stopped_by([&] { fit(3e38f); });
  CHECK_THAT(met.where, Catch::Matchers::EndsWith(", since an earlier step"));
}

TEST_CASE("What stops training brings the history before it", "[train]") {
  regression<px::fp32> net{px::seed{1}};
  const auto spoil = [&](const px::epoch_record& record) {
    if (record.epoch == 2) support::set_parameter(net, 2, std::vector<float>(21, 3e38f));
    return true;
  };
  try {
    px::fit(net, support::random_targets(12, 5, 3), px::quadratic{}, px::sgd{.rate = 0.01f},
            {.epochs = 5, .batch = 5, .on_epoch = spoil});
    FAIL("nothing has stopped it");
  } catch (const px::non_finite_error& met) {
    CHECK(met.report.epoch == 3);
    CHECK(met.report.step == 1);
    REQUIRE(met.past.epochs.size() == 2);
    CHECK(met.past.epochs[1].epoch == 2);
    CHECK(met.past.steps == 9);
  }
}

// Of a linear function of one input: Σ ±x over the batch.
TEST_CASE("A gradient alone that is not finite is skipped too", "[train]") {
  px::network<px::input<1>, px::dense<1>> net{px::seed{1}};
  support::set_parameter(net, 0, {1e-3f});
  const std::vector<float> good{1, 2}, bad{3e38f, 3e38f}, zero{0, 0};
  const auto step = [&](const std::vector<float>& x) {
    net.step(std::span(x), std::span(zero), px::summed<px::mean_absolute>{}, px::adam{});
  };
  net.watch(px::non_finite::skip);
  step(good);
  const auto before = support::parameter_values(net);
  step(bad);
  CHECK(std::isfinite(net.totals().loss));
  CHECK(support::parameter_values(net) == before);
  CHECK(net.optimizer_updates() == 1);
  CHECK(net.watched().first == 2);
  CHECK(net.parameter_at(net.watched().bad_gradient) == "0.weight");
  step(good);
  CHECK(support::parameter_values(net) != before);
  step(bad);
  CHECK(net.watched().first == 2);
  CHECK(net.watched().skipped == 2);
  CHECK(net.watched().step == 4);

  net.watch(px::non_finite::go_on);
  step(bad);
  CHECK(!std::isfinite(support::parameter_values(net)[0][0]));
}
