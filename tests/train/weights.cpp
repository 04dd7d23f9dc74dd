// What each sample's loss counts.
#include <plexus/data/dataset_source.hpp>
#include <plexus/data/split.hpp>
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"

#include <algorithm>
#include <array>

namespace px = plexus;

namespace {

template <class Precision>
using network_in = px::network<Precision, px::input<5>, px::dense<7, px::tanh>, px::dense<3>>;
using network = network_in<px::fp32>;

// More than a block has threads, and than evaluate() judges at once.
constexpr int many = 600;

constexpr std::array<int, 7> weights{1, 0, 3, 2, 0, 1, 2};  // again and again, and 7 divides no block
constexpr int weight_of(int sample) { return weights[static_cast<std::size_t>(sample) % weights.size()]; }

px::dataset weighted(px::dataset data) {
  for (int i = 0; i < data.size(); ++i) data.weights.push_back(static_cast<float>(weight_of(i)));
  return data;
}

// Each sample as often as its weight says.
px::dataset repeated(const px::dataset& data) {
  std::vector<int> rows;
  for (int i = 0; i < data.size(); ++i) rows.insert(rows.end(), static_cast<std::size_t>(weight_of(i)), i);
  return px::select(data, rows);
}

// In batches of all samples.
template <class Network, class Loss>
px::history train(Network& net, const px::dataset& data, const Loss& loss, float rate) {
  return px::fit(net, data, loss, px::sgd{.rate = rate},
                 {.epochs = 4, .batch = data.size(), .shuffle = false});
}

// The gradients of the loss of all samples at once.
template <class Network, class Loss>
std::vector<std::vector<float>> gradients(Network& net, const px::dataset& data, const Loss& loss) {
  const px::device_dataset on_device(net.stream(), data);
  net.backward(on_device.inputs(), on_device.targets(), loss);
  return support::values_of(net, net.gradients());
}

void check_close(const std::vector<std::vector<float>>& computed,
                 const std::vector<std::vector<float>>& expected) {
  for (std::size_t t = 0; t < expected.size(); ++t) {
    for (std::size_t i = 0; i < expected[t].size(); ++i)
      CHECK(computed[t][i] == Approx(expected[t][i]).margin(1e-5));
  }
}

// The sum over weighted samples is the sum over samples that are there so many times.
template <class Loss>
void check(const px::dataset& data, const Loss& loss) {
  network by_weights{px::seed{2}}, by_number{px::seed{2}}, plain{px::seed{2}};
  const float rate = 0.4f / static_cast<float>(data.size());
  const px::history first = train(by_weights, weighted(data), loss, rate),
                    second = train(by_number, repeated(data), loss, rate);
  train(plain, data, loss, rate);
  check_close(support::parameter_values(by_weights), support::parameter_values(by_number));
  CHECK(support::parameter_values(by_weights) != support::parameter_values(plain));
  CHECK(first.epochs.back().loss == Approx(second.epochs.back().loss).epsilon(1e-5));
  CHECK(px::evaluate(by_weights, weighted(data), loss).loss ==
        Approx(px::evaluate(by_weights, repeated(data), loss).loss).epsilon(1e-5));
}

}  // namespace

TEST_CASE("A sample of weight 2 counts as two", "[train]") {
  for (const int size : {8, many}) {
    const px::dataset classes = support::largest_feature(size, 5, 3),
                      values = support::random_targets(size, 5, 3);
    check(classes, px::summed{px::softmax_cross_entropy{}});
    check(values, px::summed{px::mean_squared{}});
    check(values, px::summed{px::quadratic{}});
  }
}

TEST_CASE("Weights of samples multiply those of classes, labels smoothed or not", "[train]") {
  const px::stream stream;
  const px::buffer<float> of_classes = px::to_device(stream.get(), std::vector<float>{0.5f, 2, 3});
  stream.synchronize();  // the networks' streams do not wait for this one
  for (const float smoothing : {0.0f, 0.2f}) {
    check(support::largest_feature(40, 5, 3),
          px::summed{px::softmax_cross_entropy{smoothing, of_classes.view()}});
  }
}

TEST_CASE("A mean is over the samples, whatever their weights", "[train]") {
  const px::dataset data = support::random_targets(8, 5, 3);
  network net{px::seed{2}};
  const double mean = px::evaluate(net, weighted(data), px::mean_squared{}).loss,
               sum = px::evaluate(net, weighted(data), px::summed{px::quadratic{}}).loss;
  CHECK(mean == Approx(2 * sum / (8 * 3)).epsilon(1e-6));
}

TEST_CASE("The mean of a gradient is over the samples as well", "[train]") {
  const px::dataset data = weighted(support::random_targets(many, 5, 3));
  network net{px::seed{2}};
  auto mean = gradients(net, data, px::quadratic{});
  for (std::vector<float>& tensor : mean) {
    for (float& value : tensor) value *= many;
  }
  check_close(mean, gradients(net, data, px::summed{px::quadratic{}}));
}

TEST_CASE("Each sample's loss is judged by its own weight", "[train]") {
  const px::dataset data = weighted(support::largest_feature(many, 5, 3));
  const px::softmax_cross_entropy loss;
  network net{px::seed{2}};
  double sum = 0;
  for (int i = 0; i < many; ++i) {
    px::dataset one = px::select(data, std::vector<int>{i});
    one.weights.clear();
    sum += weight_of(i) * px::evaluate(net, one, loss).loss;
  }
  const px::evaluation judged = px::evaluate(net, data, loss);
  CHECK(judged.loss == Approx(sum / many).epsilon(1e-5));
  const px::evaluation from_source = px::evaluate(net, px::dataset_source(data), loss);
  CHECK(from_source.loss == judged.loss);
  CHECK(from_source.accuracy == judged.accuracy);
}

TEST_CASE("Accuracy counts samples, whatever their weights", "[train]") {
  const px::dataset data = support::largest_feature(many, 5, 3);
  network net{px::seed{2}};
  CHECK(px::evaluate(net, weighted(data), px::softmax_cross_entropy{}).accuracy ==
        px::evaluate(net, data, px::softmax_cross_entropy{}).accuracy);
}

// A power of two is a factor that rounds nothing.
TEMPLATE_TEST_CASE("Weights of two double the gradients in 16 bits too", "[train]", px::mixed<px::bf16>,
                   px::mixed<px::fp16>) {
  network_in<TestType> net{px::seed{2}};
  px::dataset data = support::largest_feature(many, 5, 3);
  auto expected = gradients(net, data, px::softmax_cross_entropy{});
  for (std::vector<float>& tensor : expected) {
    for (float& value : tensor) value *= 2;
  }
  data.weights.assign(many, 2);
  CHECK(gradients(net, data, px::softmax_cross_entropy{}) == expected);
}

TEST_CASE("A batch whose weights are all zero has no loss, and changes nothing", "[train]") {
  px::dataset data = support::largest_feature(40, 5, 3);
  data.weights.assign(40, 0);
  network net{px::seed{2}};
  const auto before = support::parameter_values(net);
  for (const double loss : {train(net, data, px::softmax_cross_entropy{}, 0.1f).epochs.back().loss,
                            px::evaluate(net, data, px::softmax_cross_entropy{}).loss})
    CHECK(loss == 0);
  CHECK(support::parameter_values(net) == before);
}

TEST_CASE("Weights of one change no bit", "[train]") {
  px::dataset data = support::largest_feature(24, 5, 3);
  network without{px::seed{2}}, with{px::seed{2}};
  const auto fit = [&](network& net) {
    px::fit(net, data, px::softmax_cross_entropy{}, px::adam{}, {.epochs = 3, .batch = 7});
  };
  fit(without);
  data.weights.assign(24, 1);
  fit(with);
  CHECK(support::parameter_values(with) == support::parameter_values(without));
}

TEST_CASE("Weights go with their samples: in batches, in parts, from a source", "[train]") {
  px::dataset data = support::random_targets(30, 5, 3);
  for (int i = 0; i < 30; ++i) data.weights.push_back(static_cast<float>(i % 4));
  const auto fit = [&](const auto& on) {
    network net{px::seed{2}};
    px::fit(net, on, px::quadratic{}, px::adam{}, {.epochs = 3, .batch = 8});
    return support::parameter_values(net);
  };
  CHECK(fit(px::dataset_source(data)) == fit(data));

  // Samples of weight 0 might as well be others.
  px::dataset others = data;
  for (std::size_t i = 0; i < 30; i += 4) others.targets[3 * i] += 5;
  CHECK(fit(others) == fit(data));
  const auto [first, second] = px::split(data, 10, px::seed{1});
  CHECK(first.weights.size() == 10);
  for (std::size_t i = 0; i < 10; ++i) {
    const auto sample = first.inputs.begin() + static_cast<std::ptrdiff_t>(5 * i);
    const auto at = std::search(data.inputs.begin(), data.inputs.end(), sample, sample + 5);
    CHECK(first.weights[i] == data.weights[static_cast<std::size_t>(at - data.inputs.begin()) / 5]);
  }
}
