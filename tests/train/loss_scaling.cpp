// The loss scale in FP16: what it is for, how it adjusts itself, and that nothing of it is lost.
#include <plexus/io/safetensors.hpp>
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/files.hpp"

namespace px = plexus;

namespace {

using in_fp16 = px::mixed<px::fp16>;
template <class Precision>
using regression = px::network<Precision, px::input<5>, px::dense<7, px::tanh>, px::dense<3>>;
using classifier = px::network<in_fp16, px::input<6>, px::dense<17, px::relu>, px::dense<4>>;

constexpr px::sgd optimizer{.rate = 0.1f, .momentum = 0.9f};

template <class Network>
concept has_loss_scale = requires(Network& net) {
  net.loss_scale();
};
static_assert(has_loss_scale<regression<in_fp16>>);
static_assert(!has_loss_scale<regression<px::mixed<px::bf16>>>);
static_assert(!has_loss_scale<regression<px::fp32>>);

template <class Network>
void step(Network& net, const px::dataset& data) {
  net.step(std::span<const float>(data.inputs), std::span<const float>(data.targets), px::quadratic{},
           optimizer);
}

template <class Network>
std::vector<std::vector<float>> state_of(Network& net) {
  std::vector<std::vector<float>> all = support::parameter_values(net);
  for (const auto& tensor : net.optimizer_state()) all.push_back(px::to_host(net.stream(), tensor.values));
  return all;
}

}  // namespace

// Outputs 10⁻⁶ away from their targets, on a batch of 64: deltas below 2⁻²⁵, which FP16 rounds to zero.
TEST_CASE("Gradients too small for FP16 survive by the loss scale alone", "[train]") {
  px::dataset data = support::random_targets(64, 5, 3);
  regression<in_fp16> net{px::seed{1}};
  data.targets = net.predict(data.inputs, 64);
  for (std::size_t i = 0; i < data.targets.size(); ++i) data.targets[i] += i % 2 == 0 ? 1e-6f : -5e-7f;
  const auto gradient_with = [&](float scale) {
    net.set_loss_scaling({.initial = scale});
    const px::buffer<float> x = px::to_device(net.stream(), data.inputs),
                            y = px::to_device(net.stream(), data.targets);
    net.backward(px::matrix<const float>(x.data(), 64, 5), {nullptr, y.data(), 3}, px::quadratic{});
    return px::to_host(net.stream(), net.gradients()[2].values);  // of the output layer's weights
  };
  CHECK(gradient_with(1) == std::vector<float>(3 * 7, 0.0f));
  const std::vector<float> at_65536 = gradient_with(65536), at_2_to_24 = gradient_with(0x1p24f);
  for (std::size_t i = 0; i < at_65536.size(); ++i) {
    CHECK(std::abs(at_65536[i]) > 1e-9f);
    CHECK(at_65536[i] == Approx(at_2_to_24[i]).epsilon(0.02).margin(1e-9));
  }
}

TEST_CASE("A step that overflows changes nothing but the scale, until one fits", "[train]") {
  const px::dataset data = support::random_targets(4, 5, 3);
  regression<in_fp16> net{px::seed{1}};
  net.set_loss_scaling({.initial = 0x1p22f, .backoff = 0.25f});
  net.restore_optimizer(px::sgd::name, 1, 0);
  const auto before = state_of(net);
  float expected = 0x1p22f;
  int skipped = 0;
  while (true) {
    step(net, data);
    if (net.loss_scale().scale == expected) break;  // it held
    ++skipped;
    expected /= 4;
    CHECK(state_of(net) == before);
    CHECK(net.loss_scale().scale == expected);
    CHECK(net.loss_scale().skipped == static_cast<std::uint64_t>(skipped));
    CHECK(net.loss_scale().good_steps == 0);
    REQUIRE(expected > 1);
  }
  // Deltas of about a tenth overflow from a scale of 2²⁰ on, and no scale below 2¹⁵ is to be blamed.
  CHECK(skipped >= 1);
  CHECK(expected >= 0x1p15f);
  CHECK(net.loss_scale().good_steps == 1);
  CHECK(state_of(net) != before);
  for (const auto& tensor : state_of(net)) {
    for (const float value : tensor) CHECK(std::isfinite(value));
  }
}

TEST_CASE("The scale grows after so many good steps in succession", "[train]") {
  const px::dataset data = support::random_targets(4, 5, 3);
  regression<in_fp16> net{px::seed{1}};
  net.set_loss_scaling({.initial = 8, .growth = 4, .growth_interval = 3});
  std::vector<float> scales;
  for (int i = 0; i < 7; ++i) {
    step(net, data);
    scales.push_back(net.loss_scale().scale);
  }
  CHECK(scales == std::vector<float>{8, 8, 32, 32, 32, 128, 128});
  CHECK(net.loss_scale().skipped == 0);
}

// A power of two moves nothing but exponents, so that unless something under- or overflows the bits are those
// of any other scale.
TEST_CASE("The scale does not show in the result", "[train]") {
  const px::dataset data = support::random_targets(4, 5, 3);
  const auto trained = [&](float scale) {
    regression<in_fp16> net{px::seed{1}};
    net.set_loss_scaling({.initial = scale});
    for (int i = 0; i < 5; ++i) step(net, data);
    return support::parameter_values(net);
  };
  CHECK(trained(1024) == trained(8192));
}

// The steps of fit are replays of a recorded graph: the scale adjusts itself within.
TEST_CASE("fit skips the steps that overflow, and says how many", "[train]") {
  const px::dataset data = support::largest_feature(60, 6, 4);
  classifier net{px::seed{2}}, by_hand{px::seed{2}};
  const px::loss_scaling rules{.initial = 0x1p24f, .growth_interval = 4};
  net.set_loss_scaling(rules);
  by_hand.set_loss_scaling(rules);
  std::uint64_t shown = 0;
  const px::history history =
      px::fit(net, data, px::softmax_cross_entropy{}, optimizer,
              {.epochs = 2, .batch = 10, .shuffle = false, .progress = [&](const px::training_progress& now) {
                 if (now.epoch_finished) shown += now.skipped_steps;
               }});
  for (int i = 0; i < 12; ++i) {
    const auto first = static_cast<std::size_t>(i % 6) * 10;
    by_hand.step(std::span(data.inputs).subspan(first * 6, 60), std::span(data.labels).subspan(first, 10),
                 px::softmax_cross_entropy{}, optimizer);
  }
  CHECK(state_of(net) == state_of(by_hand));
  const px::loss_scale now = net.loss_scale();
  CHECK(now.scale == by_hand.loss_scale().scale);
  CHECK(now.good_steps == by_hand.loss_scale().good_steps);
  CHECK(now.skipped > 2);
  CHECK(history.epochs[0].skipped_steps > 2);
  CHECK(history.epochs[0].skipped_steps + history.epochs[1].skipped_steps == now.skipped);
  CHECK(shown == now.skipped);
  CHECK(history.epochs[1].loss < history.epochs[0].loss);
}

TEST_CASE("A checkpoint in FP16 goes on bit for bit, the scale included", "[train]") {
  const support::temporary_folder folder;
  const px::dataset data = support::largest_feature(60, 6, 4);
  const px::loss_scaling rules{.initial = 0x1p24f, .growth_interval = 5};
  const auto train = [&](classifier& net, int epochs) {
    px::fit(net, data, px::softmax_cross_entropy{}, optimizer, {.epochs = epochs, .batch = 10});
  };
  classifier whole{px::seed{2}}, first{px::seed{2}}, second{px::seed{3}};
  for (classifier* net : {&whole, &first, &second}) net->set_loss_scaling(rules);
  train(whole, 3);
  train(first, 1);
  px::save_checkpoint(first, folder / "checkpoint");
  px::load_checkpoint(second, folder / "checkpoint");
  CHECK(second.loss_scale().skipped == first.loss_scale().skipped);
  train(second, 2);
  CHECK(state_of(second) == state_of(whole));
  CHECK(second.loss_scale().scale == whole.loss_scale().scale);
  CHECK(second.loss_scale().good_steps == whole.loss_scale().good_steps);
  CHECK(second.loss_scale().skipped == whole.loss_scale().skipped);
}

TEST_CASE("Weights are exchanged between precisions", "[train]") {
  const support::temporary_folder folder;
  const std::vector<float> x = support::random_values(5 * 4);
  regression<px::fp32> exact{px::seed{1}};
  regression<in_fp16> net{px::seed{2}};
  net.predict(x, 4);  // its copies are made
  px::save(exact, folder / "weights");
  px::load(net, folder / "weights");
  CHECK(support::parameter_values(net) == support::parameter_values(exact));
  const auto found = net.predict(x, 4), expected = exact.predict(x, 4);
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == Approx(expected[i]).margin(5e-3));
}

TEST_CASE("A forward pass that overflows is an error, as in FP32", "[train]") {
  px::dataset data = support::random_targets(8, 5, 3);
  for (float& x : data.inputs) x *= 1e6f;  // infinite in FP16
  regression<in_fp16> net{px::seed{1}};
  CHECK_THROWS_WITH(px::fit(net, data, px::quadratic{}, optimizer, {.epochs = 1, .batch = 4}),
                    Catch::Matchers::ContainsSubstring("no longer finite"));
}
