// Losses in training: each of them learns, sums and means, what counts as correct, and when they are checked.
#include <plexus/plexus.hpp>

#include "support/bad_input.hpp"
#include "support/data.hpp"
#include "support/reference.hpp"

namespace px = plexus;

namespace {

using small = px::network<px::input<4>, px::dense<8, px::tanh>, px::dense<3>>;
using one_output = px::network<px::input<4>, px::dense<8, px::tanh>, px::dense<1>>;

// Trains for some epochs, after which the loss is below `part` of what it was.
template <class Network = small, class Loss>
px::evaluation check_learns(const px::dataset& data, const Loss& loss, float rate, double part = 0.6) {
  Network net{px::seed{1}};
  const double before = px::evaluate(net, data, loss).loss;
  px::fit(net, data, loss, px::sgd{.rate = rate, .momentum = 0.9f}, {.epochs = 20, .batch = 16});
  const px::evaluation after = px::evaluate(net, data, loss);
  CHECK(after.loss < part * before);
  return after;
}

// Targets of `inputs` that a small network can learn: their sines and products, 2 and more.
px::dataset smooth_values(int size) {
  px::dataset data;
  data.features = 4;
  data.outputs = 3;
  data.inputs = support::random_values(static_cast<std::size_t>(size) * 4, 9);
  for (std::size_t i = 0; i < data.inputs.size(); i += 4) {
    const float* x = data.inputs.data() + i;
    data.targets.insert(data.targets.end(), {3 + std::sin(x[0]), 4 - x[1] / 2, 3 + std::tanh(x[2] * x[3])});
  }
  return data;
}

// One target: whether the first feature exceeds the second, as `no` and `yes`.
px::dataset yes_or_no(int size, float no, float yes) {
  px::dataset data;
  data.features = 4;
  data.outputs = 1;
  data.inputs = support::random_values(static_cast<std::size_t>(size) * 4, 10);
  for (std::size_t i = 0; i < data.inputs.size(); i += 4)
    data.targets.push_back(data.inputs[i] > data.inputs[i + 1] ? yes : no);
  return data;
}

// All of them for the first n samples, in one vector.
template <class Network, class Loss>
std::vector<float> gradients_of(Network& net, const px::dataset& data, int n, const Loss& loss) {
  const px::buffer<float> x = px::to_device(net.stream(), data.inputs);
  const px::buffer<int> labels = px::to_device(net.stream(), data.labels);
  net.backward(px::matrix<const float>(x.data(), n, data.features), {labels.data(), nullptr, 0}, loss);
  std::vector<float> all;
  for (const px::named_parameter& gradient : net.gradients()) {
    const std::vector<float> values = px::to_host(net.stream(), gradient.values);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

// A loss that says whether it was validated, by throwing.
struct refused : px::mean_squared {
  void validate() const { throw px::error("configuring a loss", "it is refused", "take another"); }
};
struct refused_by_width : px::quadratic {
  void validate(int outputs) const {
    throw px::error("configuring a loss", "it is refused for " + std::to_string(outputs), "take another");
  }
};

}  // namespace

TEST_CASE("Every loss of values learns", "[train]") {
  const px::dataset data = smooth_values(64);
  check_learns(data, px::mean_squared{}, 0.05f);
  check_learns(data, px::mean_absolute{}, 0.05f);
  check_learns(data, px::huber{.delta = 0.5f}, 0.1f);
  check_learns(data, px::smooth_l1{.beta = 0.5f}, 0.05f);
  check_learns(data, px::mean_absolute_percentage{}, 0.002f);
  check_learns(data, px::relative_squared{}, 0.05f);
  check_learns(data, px::summed{px::mean_squared{}}, 0.001f);
}

TEST_CASE("Every loss of classes learns to tell them apart", "[train]") {
  const px::dataset data = support::largest_feature(96, 4, 3);
  CHECK(check_learns(data, px::hinge{}, 0.2f).accuracy > 0.85);
  CHECK(check_learns(data, px::binary_cross_entropy{}, 0.3f).accuracy > 0.85);
  CHECK(check_learns(data, px::kl_divergence{}, 0.2f).accuracy > 0.85);
  CHECK(check_learns(data, px::softmax_cross_entropy{.label_smoothing = 0.1f}, 0.2f).accuracy > 0.85);
  const px::stream on;
  const px::buffer<float> weights = px::to_device<float>(on.get(), {1, 2, 0.5f});
  on.synchronize();
  check_learns(data, px::softmax_cross_entropy{.class_weights = weights.view()}, 0.2f);
}

TEST_CASE("A single output tells two classes apart under a binary loss, and is judged", "[train]") {
  const px::dataset bits = yes_or_no(80, 0, 1), sides = yes_or_no(80, -1, 1);
  CHECK(check_learns<one_output>(bits, px::binary_cross_entropy{}, 0.5f).accuracy > 0.85);
  CHECK(check_learns<one_output>(sides, px::hinge{}, 0.2f).accuracy > 0.85);
  CHECK(check_learns<one_output>(bits, px::summed{px::hinge{}}, 0.01f).accuracy > 0.85);
  CHECK(std::isnan(check_learns<one_output>(bits, px::mean_squared{}, 0.1f, 1).accuracy));
}

TEST_CASE("The accuracy of a single output counts the logits above 0", "[train]") {
  const px::dataset bits = yes_or_no(61, 0, 1), sides = yes_or_no(61, -1, 1);
  one_output net{px::seed{4}};
  const std::vector<float> logits = net.predict(bits.inputs, 61);
  int correct = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) correct += (logits[i] > 0) == (bits.targets[i] == 1);
  REQUIRE(correct > 5);
  REQUIRE(correct < 56);
  CHECK(px::evaluate(net, bits, px::binary_cross_entropy{}).accuracy == correct / 61.0);
  CHECK(px::evaluate(net, sides, px::hinge{}).accuracy == correct / 61.0);
  CHECK(px::evaluate(net, bits, px::hinge{}).accuracy == correct / 61.0);
  const px::history history = px::fit(net, bits, px::binary_cross_entropy{}, px::sgd{.rate = 1e-6f},
                                      {.epochs = 1, .batch = 61, .validation = &bits});
  CHECK(history.epochs[0].accuracy == correct / 61.0);
  CHECK(*history.epochs[0].validation_accuracy == correct / 61.0);

  // Probabilities belong to the likelier class; of an output at 0 it is the negative one.
  using line = px::network<px::input<1>, px::dense<1>>;
  line straight{px::seed{1}};
  support::set_parameter(straight, 0, {1});
  const px::dataset likely{.features = 1,
                           .outputs = 1,
                           .inputs = {2, 2, -2, -2, 0},
                           .labels = {},
                           .targets = {0.75f, 0.5f, 0.25f, 0.25f, 0}};
  CHECK(px::evaluate(straight, likely, px::binary_cross_entropy{}).accuracy == 4 / 5.0);
  CHECK(px::evaluate(straight, likely, px::hinge{}).accuracy == 3 / 5.0);  // any target above 0 is positive
}

TEST_CASE("A binary loss of several outputs is judged by the largest", "[train]") {
  const px::dataset data = support::largest_feature(70, 4, 3);
  small net{px::seed{2}};
  const double expected = px::evaluate(net, data, px::softmax_cross_entropy{}).accuracy;
  CHECK(expected > 0.05);
  CHECK(expected < 0.95);
  CHECK(px::evaluate(net, data, px::binary_cross_entropy{}).accuracy == expected);
}

TEST_CASE("A summed loss is n times the mean one, in gradients, totals and reports", "[train]") {
  const px::dataset data = support::largest_feature(300, 4, 3);  // two batches of evaluate()
  small mean{px::seed{3}}, sum{px::seed{3}};
  const px::softmax_cross_entropy loss{.label_smoothing = 0.1f};
  const double average = px::evaluate(mean, data, loss).loss;
  CHECK(px::evaluate(sum, data, px::summed{loss}).loss == Approx(300 * average));
  CHECK(px::evaluate(sum, data, px::summed{loss}).accuracy == px::evaluate(mean, data, loss).accuracy);
  CHECK(px::evaluate(sum, data, px::summed{px::mean_squared{}}).loss ==
        Approx(300 * 3 * px::evaluate(mean, data, px::mean_squared{}).loss));

  const std::vector<float> expected = gradients_of(mean, data, 20, loss),
                           found = gradients_of(sum, data, 20, px::summed{loss});
  for (std::size_t i = 0; i < found.size(); ++i)
    CHECK(found[i] == Approx(20 * expected[i]).epsilon(1e-4).margin(1e-5));

  const px::fit_options options{.epochs = 2, .batch = 64, .validation = &data};
  const px::history averages = px::fit(mean, data, loss, px::sgd{.rate = 1e-9f}, options),
                    sums = px::fit(sum, data, px::summed{loss}, px::sgd{.rate = 1e-9f}, options);
  CHECK(sums.epochs[1].loss == Approx(300 * averages.epochs[1].loss));
  CHECK(*sums.epochs[1].validation_loss == Approx(300 * *averages.epochs[1].validation_loss));
}

TEST_CASE("In FP16 the losses are scaled as ever", "[train]") {
  using in_fp16 = px::network<px::mixed<px::fp16>, px::input<4>, px::dense<8, px::tanh>, px::dense<3>>;
  check_learns<in_fp16>(smooth_values(64), px::huber{}, 0.1f);
  check_learns<in_fp16>(support::largest_feature(96, 4, 3), px::binary_cross_entropy{}, 0.3f);
}

TEST_CASE("A loss is validated before anything is computed with it", "[train]") {
  const px::dataset data = smooth_values(8);
  small net{px::seed{1}};
  const auto before = support::parameter_values(net);
  const px::buffer<float> x = px::to_device(net.stream(), data.inputs);
  const px::buffer<float> y = px::to_device(net.stream(), data.targets);
  const auto inputs = px::matrix<const float>(x.data(), 8, 4);
  const px::target_view targets{nullptr, y.data(), 3};
  net.judge(inputs, targets, px::mean_squared{});
  const double total = net.totals().loss;
  REQUIRE(total > 0);
  const auto check = [&](const auto& loss, const std::string& message) {
    const auto refuses = [&](const auto& act) { CHECK(support::error_message(act) == message); };
    refuses([&] { net.backward(inputs, targets, loss); });
    refuses([&] { net.judge(inputs, targets, loss); });
    refuses([&] { net.step(inputs, targets, loss, px::sgd{}); });
    refuses([&] { px::evaluate(net, data, loss); });
    refuses([&] { px::fit(net, data, loss, px::sgd{}, {.epochs = 1, .batch = 4}); });
    CHECK(support::parameter_values(net) == before);
    CHECK(net.totals().loss == total);
  };
  check(refused{}, "configuring a loss: it is refused; take another");
  check(px::summed{refused{}}, "configuring a loss: it is refused; take another");
  check(refused_by_width{}, "configuring a loss: it is refused for 3; take another");
}
