// Steps whose loss or gradients are not finite: where they stop training, where they are skipped, and what is
// said of them.
#include <plexus/data/dataset_source.hpp>
#include <plexus/inspect/check_gradients.hpp>
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
  CHECK(history.first_non_finite->where == "the loss");
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
  if constexpr (decltype(net)::scales_loss) CHECK(net.loss_scale().scale == by_hand.loss_scale().scale);
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
  CHECK(!std::isfinite(history.epochs.front().loss));
  CHECK(std::isnan(support::parameter_values(net)[0][0]));
  REQUIRE(history.first_non_finite);
  CHECK(history.first_non_finite->text() == "step 5 of epoch 1 (samples 16, 17, 18, 19): the loss");
  CHECK(history.epochs[0].non_finite_steps == 7);  // nothing is finite after it
  CHECK(history.epochs[1].non_finite_steps == 11);
  CHECK(history.epochs[1].skipped_steps == 0);
}

TEST_CASE("A step whose gradients alone are not finite is told where it is made, whatever becomes of it",
          "[train]") {
  using network = px::network<px::input<1>, px::dense<1>>;
  // Of a linear function: Σ ±x over the batch, which is beyond FP32 in the fifth one.
  px::dataset data{.features = 1, .outputs = 1, .inputs = std::vector<float>(14, 1), .targets = {}};
  data.targets.resize(14);
  data.inputs[8] = data.inputs[9] = 3e38f;
  const px::dataset_source source(data);
  const std::string place = "step 5 of epoch 1 (samples 8, 9): the gradient of 0.weight";

  const auto check = [&](px::non_finite rule, const auto& training_data) {
    network net{px::seed{1}}, by_hand{px::seed{1}};
    for (network* one : {&net, &by_hand}) support::set_parameter(*one, 0, {1e-3f});
    const auto train = [&] {
      return px::fit(net, training_data, px::summed<px::mean_absolute>{}, px::adam{},
                     {.epochs = 2, .batch = 2, .shuffle = false, .non_finite = rule});
    };
    const auto train_by_hand = [&](int steps) {
      for (int i = 0; i < steps; ++i) {
        by_hand.step(std::vector<float>(2, 1), std::vector<float>(2), px::summed<px::mean_absolute>{},
                     px::adam{});
      }
    };
    if (rule == px::non_finite::stop) {
      CHECK(stopped_by(train).text() == place + ", of outputs that are finite");
      train_by_hand(4);
    } else {
      const px::history past = train();
      REQUIRE(past.first_non_finite);
      CHECK(past.first_non_finite->text() == place);
      const bool skips = rule == px::non_finite::skip;
      CHECK(past.epochs[0].skipped_steps == (skips ? 1 : 0));
      CHECK(past.epochs[0].non_finite_steps == (skips ? 0 : 3));
      train_by_hand(12);
    }
    const bool is_kept = rule != px::non_finite::go_on;
    CHECK((support::parameter_values(net) == support::parameter_values(by_hand)) == is_kept);
  };
  for (const px::non_finite rule : {px::non_finite::stop, px::non_finite::skip, px::non_finite::go_on}) {
    check(rule, data);
    check(rule, source);
  }
}

// The deltas grow by a factor of 1e20 from layer to layer, of zeros.
TEST_CASE("Of gradients that are not finite the one that is found first is named", "[train]") {
  px::network<px::input<1>, px::dense<1>, px::dense<1>, px::dense<1>, px::dense<1>> net{px::seed{1}};
  for (const std::size_t weight : {4u, 6u}) support::set_parameter(net, weight, {1e20f});
  const px::dataset data{.features = 1, .outputs = 1, .inputs = {0}, .targets = {1}};
  const px::non_finite_report met =
      stopped_by([&] { px::fit(net, data, px::mean_absolute{}, px::sgd{}, {.epochs = 1, .batch = 1}); });
  CHECK(met.where == "the gradient of 1.bias, of outputs that are finite");
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
  CHECK(net.watched().bad_steps == 2);
  CHECK(net.watched().step == 4);

  net.watch(px::non_finite::go_on);
  step(bad);
  CHECK(!std::isfinite(support::parameter_values(net)[0][0]));
}

// 1e30 times 1e30 is beyond FP32, in a unit that the mask may drop.
TEST_CASE("The layer is looked for in the step that failed, with what it dropped", "[train]") {
  using network = px::network<px::input<1>, px::dense<1>, px::dropout<0.5>, px::dense<1>, px::dense<1>>;
  const int count = 64;
  px::dataset data{.features = 1, .outputs = 1};
  for (int i = 0; i < count; ++i) {
    data.inputs.push_back(1);
    data.targets.push_back(0);
  }
  int stopped = 0;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    network net{px::seed{seed}};
    for (const std::size_t weight : {0u, 2u, 4u})
      support::set_parameter(net, weight, {weight == 4 ? 1.0f : 1e20f});
    try {
      // A sample at a time: half of the steps drop what would overflow, and the mask changes with each step.
      px::fit(net, data, px::mean_absolute{}, px::sgd{.rate = 1e-30f},
              {.epochs = 1, .batch = 1, .shuffle = false});
    } catch (const px::non_finite_error& met) {
      ++stopped;
      CHECK(met.report.where == "the outputs of layer 2");
    }
  }
  CHECK(stopped == 8);
}

TEST_CASE("Tensors that are not finite at an epoch's end are shown to nobody", "[train]") {
  px::network<px::input<1>, px::dense<1, px::identity, px::no_bias>> net{px::seed{1}};
  support::set_parameter(net, 0, {1e-3f});
  const px::dataset data{.features = 1, .outputs = 1, .inputs = {1, 1}, .targets = {0, 0}};
  int epochs = 0;
  const auto count = [&](const px::epoch_record&) { return ++epochs < 3; };
  try {  // the gradient is finite, and what the update makes of it is not
    px::fit(net, data, px::summed<px::mean_absolute>{}, px::sgd{.rate = 3e38f},
            {.epochs = 3, .batch = 2, .on_epoch = count});
    FAIL("nothing has stopped it");
  } catch (const px::non_finite_error& met) {
    CHECK(met.report.where == "0.weight");
    CHECK(met.report.epoch == 1);
    CHECK(met.past.reason == px::stop_reason::not_finite);
    CHECK(met.past.steps == 1);
  }
  CHECK(epochs == 0);
}

TEST_CASE("A step of a callback's that is not finite is told as such, and a check of gradients is no step",
          "[train]") {
  const px::dataset good = support::random_targets(12, 5, 3), bad = spoilt();
  const auto fit = [&](auto& net, const auto& on_epoch) {
    return px::fit(net, good, px::quadratic{}, optimizer, {.epochs = 3, .batch = 4, .on_epoch = on_epoch});
  };
  regression<px::fp32> checked{px::seed{1}}, alone{px::seed{1}}, spoilt_by_callback{px::seed{1}};
  fit(alone, [](const px::epoch_record&) { return true; });
  fit(checked, [&](const px::epoch_record&) {
    CHECK_THROWS_AS(px::inspect::check_gradients(checked, px::quadratic{}, bad.inputs, bad.targets),
                    px::error);
    return true;
  });
  CHECK(support::parameter_values(checked) == support::parameter_values(alone));

  const px::non_finite_report met = stopped_by([&] {
    fit(spoilt_by_callback, [&](const px::epoch_record&) {
      spoilt_by_callback.step(std::span<const float>(bad.inputs), std::span<const float>(bad.targets),
                              px::quadratic{}, optimizer);
      return true;
    });
  });
  CHECK(met.where == "the loss of a step that is not fit's");
  CHECK(met.samples.empty());
}

TEST_CASE("A rule of the user's is the network's again after fit", "[train]") {
  regression<px::fp32> net{px::seed{1}};
  net.watch(px::non_finite::skip);
  px::fit(net, support::random_targets(12, 5, 3), px::quadratic{}, optimizer, {.epochs = 1, .batch = 4});
  CHECK(net.watch_rule() == px::non_finite::skip);
}

TEST_CASE("The sum of a loss is told as if no sample had been left out", "[train]") {
  regression<px::fp32> net{px::seed{1}}, by_hand{px::seed{1}};
  const px::history history =
      px::fit(net, spoilt(), px::summed<px::quadratic>{}, px::sgd{.rate = 1e-3f},
              {.epochs = 1, .batch = batch, .shuffle = false, .non_finite = px::non_finite::skip});
  const px::dataset data = spoilt();
  for (std::size_t i = 0; i < 11; ++i) {
    if (i == bad_step) continue;
    const std::size_t begin = i * batch, rows = std::min<std::size_t>(batch, samples - begin);
    by_hand.step(std::span(data.inputs).subspan(begin * 5, rows * 5),
                 std::span(data.targets).subspan(begin * 3, rows * 3), px::summed<px::quadratic>{},
                 px::sgd{.rate = 1e-3f});
  }
  CHECK(history.epochs[0].loss == Approx(by_hand.totals().loss * samples / (samples - batch)).epsilon(1e-12));
}
