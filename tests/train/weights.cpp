// What each sample's loss counts.
#include <plexus/data/dataset_source.hpp>
#include <plexus/data/split.hpp>
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"

#include <algorithm>

namespace px = plexus;

namespace {

using network = px::network<px::input<5>, px::dense<7, px::tanh>, px::dense<3>>;

const std::vector<float> weights{1, 0, 3, 2, 0, 1, 1, 2};

px::dataset weighted(px::dataset data) {
  data.weights = weights;
  return data;
}

// Each sample as often as its weight says.
px::dataset repeated(const px::dataset& data) {
  std::vector<int> rows;
  for (int i = 0; i < data.size(); ++i)
    rows.insert(rows.end(), static_cast<std::size_t>(weights[static_cast<std::size_t>(i)]), i);
  return px::select(data, rows);
}

template <class Loss>
px::history train(network& net, const px::dataset& data, const Loss& loss) {
  return px::fit(net, data, loss, px::sgd{.rate = 0.05f},
                 {.epochs = 4, .batch = data.size(), .shuffle = false});
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
  const px::history first = train(by_weights, weighted(data), loss),
                    second = train(by_number, repeated(data), loss);
  train(plain, data, loss);
  check_close(support::parameter_values(by_weights), support::parameter_values(by_number));
  CHECK(support::parameter_values(by_weights) != support::parameter_values(plain));
  CHECK(first.epochs.back().loss == Approx(second.epochs.back().loss).epsilon(1e-5));
  CHECK(px::evaluate(by_weights, weighted(data), loss).loss ==
        Approx(px::evaluate(by_weights, repeated(data), loss).loss).epsilon(1e-5));
}

}  // namespace

TEST_CASE("A sample of weight 2 counts as two", "[train]") {
  const px::dataset classes = support::largest_feature(8, 5, 3), values = support::random_targets(8, 5, 3);
  check(classes, px::summed{px::softmax_cross_entropy{}});
  check(values, px::summed{px::mean_squared{}});
  check(values, px::summed{px::quadratic{}});
}

TEST_CASE("A mean is over the samples, whatever their weights", "[train]") {
  const px::dataset data = support::random_targets(8, 5, 3);
  network net{px::seed{2}};
  const double mean = px::evaluate(net, weighted(data), px::mean_squared{}).loss,
               sum = px::evaluate(net, weighted(data), px::summed{px::quadratic{}}).loss;
  CHECK(mean == Approx(2 * sum / (8 * 3)).epsilon(1e-6));
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
