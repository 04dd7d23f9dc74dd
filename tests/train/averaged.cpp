// The average of the weights in a network; its numbers themselves are held against PyTorch's in
// golden/optimizers.cpp.
#include <plexus/io/safetensors.hpp>
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/files.hpp"

#include <utility>

namespace px = plexus;

namespace {

template <class Precision>
using classifier = px::network<Precision, px::input<6>, px::dense<16, px::relu>, px::dense<4>>;

const px::clip_norm plain{px::scheduled{px::adamw{.rate = 0.03f}, px::cosine{.steps = 60, .warm_up = 5}},
                          1.0f};
const px::clip_norm optimizer{px::averaged{plain.optimizer, 0.8f}, 1.0f};

const px::dataset data = support::largest_feature(96, 6, 4),
                  validation = support::largest_feature(60, 6, 4, 8);

template <class Network, class Optimizer>
void train(Network& net, const Optimizer& by, int epochs,
           std::function<bool(const px::epoch_record&)> watch = {}) {
  px::fit(net, data, px::softmax_cross_entropy{}, by, {.epochs = epochs, .batch = 16, .on_epoch = watch});
}

template <class Network>
auto average_of(Network& net) {
  const px::average_scope average(net);
  return support::parameter_values(net);
}

}  // namespace

TEMPLATE_TEST_CASE("Training is the same with an average, whoever looks at it between epochs", "[train]",
                   px::fp32, px::mixed<px::bf16>, px::mixed<px::fp16>) {
  using network = classifier<TestType>;
  network with{px::seed{1}}, without{px::seed{1}};
  std::vector<double> losses;
  train(with, optimizer, 5, [&](const px::epoch_record&) {
    const px::average_scope average(with);
    losses.push_back(px::evaluate(with, validation, px::softmax_cross_entropy{}).loss);
    return true;
  });
  train(without, plain, 5);
  CHECK(support::parameter_values(with) == support::parameter_values(without));
  CHECK(with.predict(data.inputs, 96) == without.predict(data.inputs, 96));

  // What the scope shows is a network that has the average for weights, in 16 bits too.
  const auto average = average_of(with);
  CHECK(average != support::parameter_values(with));
  network copy{px::seed{2}};
  for (std::size_t i = 0; i < average.size(); ++i) support::set_parameter(copy, i, average[i]);
  CHECK(px::evaluate(copy, validation, px::softmax_cross_entropy{}).loss == losses.back());
  {
    const px::average_scope scope(with);
    CHECK(with.predict(data.inputs, 96) == copy.predict(data.inputs, 96));
  }
  CHECK(with.predict(data.inputs, 96) == without.predict(data.inputs, 96));
}

TEST_CASE("The average follows the weights from the first update on", "[train]") {
  classifier<px::fp32> net{px::seed{1}};
  const px::averaged by{px::sgd{.rate = 0.5f}, 0.75f};
  std::vector<std::vector<double>> expected;
  for (int update = 0; update < 20; ++update) {
    net.step(std::span<const float>(data.inputs), std::span<const int>(data.labels),
             px::softmax_cross_entropy{}, by);
    const auto weights = support::parameter_values(net);
    expected.resize(weights.size());
    for (std::size_t i = 0; i < weights.size(); ++i) {
      expected[i].resize(weights[i].size());
      for (std::size_t j = 0; j < weights[i].size(); ++j)
        expected[i][j] = update == 0 ? weights[i][j] : 0.75 * expected[i][j] + 0.25 * weights[i][j];
    }
  }
  const auto average = average_of(net);
  for (std::size_t i = 0; i < average.size(); ++i) {
    for (std::size_t j = 0; j < average[i].size(); ++j)
      CHECK(average[i][j] == Approx(expected[i][j]).margin(1e-6));
  }
}

TEST_CASE("Training with an average goes on from a checkpoint in the same bits", "[train]") {
  const support::temporary_folder folder;
  using network = classifier<px::mixed<px::fp16>>;
  network whole{px::seed{2}}, first{px::seed{2}}, second{px::seed{3}};
  train(whole, optimizer, 4);
  train(first, optimizer, 2);
  px::save_checkpoint(first, folder / "checkpoint");
  px::load_checkpoint(second, folder / "checkpoint");
  CHECK(second.optimizer_name() == "averaged adamw");
  CHECK(average_of(second) == average_of(first));
  train(second, optimizer, 2);
  CHECK(support::parameter_values(second) == support::parameter_values(whole));
  CHECK(average_of(second) == average_of(whole));
}

TEST_CASE("In the scope of the average its weights are saved", "[train]") {
  const support::temporary_folder folder;
  classifier<px::fp32> net{px::seed{2}}, other{px::seed{3}};
  train(net, optimizer, 2);
  {
    const px::average_scope average(net);
    px::save(net, folder / "weights");
  }
  px::load(other, folder / "weights");
  CHECK(support::parameter_values(other) == average_of(net));
}

TEST_CASE("A network that begins anew in the scope of the average has its own weights", "[train]") {
  classifier<px::fp32> net{px::seed{2}}, fresh{px::seed{5}};
  train(net, optimizer, 1);
  {
    const px::average_scope average(net);
    net.initialize(px::seed{5});
  }
  CHECK(support::parameter_values(net) == support::parameter_values(fresh));
}

TEST_CASE("While the weights are their average nothing trains, loads or counts", "[train]") {
  const support::temporary_folder folder;
  classifier<px::fp32> net{px::seed{1}};
  train(net, optimizer, 1);
  px::save(net, folder / "net");
  const px::buffer<float> x = px::to_device(net.stream(), data.inputs);
  const px::buffer<int> y = px::to_device(net.stream(), data.labels);
  const auto step = [&] {
    net.step(px::matrix<const float>(x.data(), 96, 6), {y.data(), nullptr, 0}, px::softmax_cross_entropy{},
             optimizer);
  };
  px::recorded_step recorded(net, step);
  for (int i = 0; i < 3; ++i) recorded();
  const auto counted = net.training_state().step;
  net.reset_totals();
  {
    const px::average_scope average(net);
    const auto values = support::parameter_values(net);
    CHECK_THROWS_AS(step(), px::error);
    CHECK_THROWS_AS(recorded(), px::error);
    CHECK_THROWS_AS(train(net, optimizer, 1), px::error);
    CHECK_THROWS_AS(px::load(net, folder / "net"), px::error);
    CHECK_THROWS_AS(px::restore_best(net), px::error);
    CHECK(support::parameter_values(net) == values);
  }
  CHECK(net.training_state().step == counted);
  CHECK(net.totals().loss == 0);
}

TEST_CASE("What is around what makes no difference to schedules, averages and the norm", "[train]") {
  const px::adamw adamw{.rate = 0.03f};
  const px::cosine cosine{.steps = 60, .warm_up = 5};
  const auto trained = [](const auto& by) {
    classifier<px::fp32> net{px::seed{1}};
    train(net, by, 3);
    return std::pair(support::parameter_values(net), average_of(net));
  };
  const auto expected = trained(px::clip_norm{px::averaged{px::scheduled{adamw, cosine}, 0.8f}, 0.5f});
  CHECK(expected != trained(px::averaged{px::scheduled{adamw, cosine}, 0.8f}));  // the norm is cut
  CHECK(expected == trained(px::averaged{px::clip_norm{px::scheduled{adamw, cosine}, 0.5f}, 0.8f}));
  CHECK(expected == trained(px::averaged{px::scheduled{px::clip_norm{adamw, 0.5f}, cosine}, 0.8f}));
  CHECK(expected == trained(px::scheduled{px::averaged{px::clip_norm{adamw, 0.5f}, 0.8f}, cosine}));
}
