#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/reference.hpp"

#include <map>

namespace px = plexus;

namespace {

using classifier = px::network<px::input<6>, px::dense<16, px::relu>, px::dense<4>>;
using linear_model = px::network<px::input<3>, px::dense<2>>;

template <class Network>
px::history train(Network& net, const px::dataset& data, px::sgd optimizer, const px::fit_options& options) {
  return px::fit(net, data, px::softmax_cross_entropy{}, optimizer, options);
}

}  // namespace

TEST_CASE("fit learns, and its history is what evaluate finds", "[train]") {
  const px::dataset data = support::largest_feature(200, 6, 4),
                    validation = support::largest_feature(90, 6, 4, 8);
  classifier net{px::seed{1}};
  const px::evaluation before = px::evaluate(net, data, px::softmax_cross_entropy{});
  const px::history history =
      train(net, data, {.rate = 0.3f}, {.epochs = 20, .batch = 16, .validation = &validation});
  REQUIRE(history.epochs.size() == 20);
  CHECK(history.reason == px::stop_reason::epochs_done);
  CHECK(history.steps == 20 * 13);
  CHECK(net.training_state().epoch == 20);
  CHECK(net.training_state().step == 20 * 13);

  const px::evaluation after = px::evaluate(net, data, px::softmax_cross_entropy{});
  CHECK(after.loss < before.loss / 3);
  CHECK(after.accuracy > 0.9);
  const px::evaluation judged = px::evaluate(net, validation, px::softmax_cross_entropy{});
  CHECK(*history.epochs.back().validation_loss == judged.loss);
  CHECK(*history.epochs.back().validation_accuracy == judged.accuracy);
  for (std::size_t i = 0; i < 20; ++i) CHECK(history.epochs[i].epoch == static_cast<int>(i) + 1);
}

TEST_CASE("evaluate is the mean over the samples, batch by batch", "[train]") {
  const px::dataset data = support::largest_feature(301, 6, 4);  // two batches of 256, the second short
  classifier net{px::seed{1}};
  const reference::network truth =
      reference::copy_of(net, net.parameters(), {reference::relu(), reference::identity()});
  double loss = 0;
  int correct = 0;
  for (std::size_t i = 0; i < 301; ++i) {
    const reference::vector p = reference::softmax(
        truth(reference::vector(data.inputs.begin() + static_cast<std::ptrdiff_t>(i) * 6,
                                data.inputs.begin() + static_cast<std::ptrdiff_t>(i + 1) * 6)));
    loss -= std::log(p[static_cast<std::size_t>(data.labels[i])]);
    correct += std::max_element(p.begin(), p.end()) - p.begin() == data.labels[i];
  }
  const px::evaluation judged = px::evaluate(net, data, px::softmax_cross_entropy{});
  CHECK(judged.loss == Approx(loss / 301).epsilon(1e-5));
  CHECK(judged.accuracy == Approx(correct / 301.0).epsilon(1e-12));
}

// 10 samples in batches of 4: the last batch has 2, and its gradient is the mean over 2. Every optimiser of
// the family is followed in double.
TEST_CASE("An epoch of SGD is the lecture's update, batch by batch, the short one included", "[train]") {
  const px::dataset data = support::random_targets(10, 3, 2);
  for (const px::sgd optimizer :
       {px::sgd{.rate = 0.2f}, px::sgd{.rate = 0.1f, .momentum = 0.9f},
        px::sgd{.rate = 0.1f, .momentum = 0.8f, .nesterov = true},
        px::sgd{.rate = 0.2f, .weight_decay = 0.1f},
        px::sgd{.rate = 0.1f, .momentum = 0.7f, .weight_decay = 0.05f, .nesterov = true}}) {
    CAPTURE(optimizer.momentum, optimizer.weight_decay, optimizer.nesterov);
    linear_model net{px::seed{3}};
    reference::network truth = reference::copy_of(net, net.parameters(), {reference::identity()});
    px::fit(net, data, px::quadratic{}, optimizer, {.epochs = 3, .batch = 4, .shuffle = false});

    reference::network velocity = truth.zero();
    const auto update = [&](reference::vector& w, const reference::vector& dw, reference::vector& v) {
      for (std::size_t i = 0; i < w.size(); ++i) {
        const double g = dw[i] + static_cast<double>(optimizer.weight_decay) * w[i];
        v[i] = static_cast<double>(optimizer.momentum) * v[i] + g;
        w[i] -= static_cast<double>(optimizer.rate) *
                (optimizer.nesterov ? g + static_cast<double>(optimizer.momentum) * v[i] : v[i]);
      }
    };
    for (int epoch = 0; epoch < 3; ++epoch) {
      for (std::size_t first = 0; first < 10; first += 4) {
        const std::size_t rows = std::min<std::size_t>(4, 10 - first);
        reference::network sums = truth.zero();
        for (std::size_t row = first; row < first + rows; ++row) {
          const auto begin = data.inputs.begin() + static_cast<std::ptrdiff_t>(row) * 3;
          truth.backward(
              reference::vector(begin, begin + 3),
              [&](const reference::vector& a) {
                reference::vector gradient(2);
                for (std::size_t j = 0; j < 2; ++j) {
                  gradient[j] = (a[j] - data.targets[row * 2 + j]) / static_cast<double>(rows);
                }
                return gradient;
              },
              sums);
        }
        update(truth.layers[0].w, sums.layers[0].w, velocity.layers[0].w);
        update(truth.layers[0].b, sums.layers[0].b, velocity.layers[0].b);
      }
    }
    const auto values = support::parameter_values(net);
    for (std::size_t i = 0; i < values[0].size(); ++i)
      CHECK(values[0][i] == Approx(truth.layers[0].w[i]).margin(2e-6));
    for (std::size_t i = 0; i < values[1].size(); ++i)
      CHECK(values[1][i] == Approx(truth.layers[0].b[i]).margin(2e-6));
  }
}

TEST_CASE("The same seed gives the same bits, another order others", "[train]") {
  const px::dataset data = support::largest_feature(150, 6, 4);
  const auto weights = [&](px::seed order) {
    classifier net{px::seed{7}};
    train(net, data, {.rate = 0.1f, .momentum = 0.9f}, {.epochs = 2, .batch = 32, .order = order});
    return support::parameter_values(net);
  };
  CHECK(weights({1}) == weights({1}));
  CHECK(weights({1}) != weights({2}));
}

TEST_CASE("Three epochs and then two are five epochs, bit for bit", "[train]") {
  const px::dataset data = support::largest_feature(150, 6, 4);
  const px::sgd optimizer{.rate = 0.1f, .momentum = 0.9f};
  classifier whole{px::seed{7}}, parts{px::seed{7}};
  train(whole, data, optimizer, {.epochs = 5, .batch = 32});
  train(parts, data, optimizer, {.epochs = 3, .batch = 32});
  train(parts, data, optimizer, {.epochs = 2, .batch = 32});
  CHECK(support::parameter_values(whole) == support::parameter_values(parts));
}

// Judging a validation set between epochs takes larger batches, moves memory and makes recorded steps anew.
TEST_CASE("A validation set changes nothing of the training", "[train]") {
  const px::dataset data = support::largest_feature(150, 6, 4),
                    validation = support::largest_feature(300, 6, 4, 8);
  classifier with{px::seed{7}}, without{px::seed{7}};
  train(with, data, {.rate = 0.1f, .momentum = 0.9f}, {.epochs = 3, .batch = 32, .validation = &validation});
  train(without, data, {.rate = 0.1f, .momentum = 0.9f}, {.epochs = 3, .batch = 32});
  CHECK(support::parameter_values(with) == support::parameter_values(without));
}

TEST_CASE("A network that begins anew trains as a new one does", "[train]") {
  const px::dataset data = support::largest_feature(100, 6, 4);
  const auto train_on = [&](classifier& net) {
    train(net, data, {.rate = 0.1f, .momentum = 0.9f}, {.epochs = 2, .batch = 10});
  };
  classifier used{px::seed{1}}, fresh{px::seed{7}};
  train_on(used);
  used.initialize(px::seed{7});
  CHECK(used.training_state().step == 0);
  train_on(used);
  train_on(fresh);
  CHECK(support::parameter_values(used) == support::parameter_values(fresh));
}

TEST_CASE("Both of the lecture's stopping rules fire and say so", "[train]") {
  const px::dataset data = support::largest_feature(100, 6, 4);
  SECTION("the error is sufficiently small") {
    classifier net{px::seed{1}};
    const px::history history =
        train(net, data, {.rate = 0.3f}, {.epochs = 200, .batch = 10, .stop_below = 0.3});
    CHECK(history.reason == px::stop_reason::error_small_enough);
    CHECK(history.epochs.size() < 200);
    CHECK(history.epochs.back().loss < 0.3);
    CHECK(history.epochs[history.epochs.size() - 2].loss >= 0.3);
  }
  SECTION("the steps run out, in the middle of an epoch") {
    classifier net{px::seed{1}};
    const px::history history =
        train(net, data, {.rate = 0.3f}, {.epochs = 10, .batch = 10, .max_steps = 13});
    CHECK(history.reason == px::stop_reason::step_limit);
    CHECK(history.steps == 13);
    CHECK(net.training_state().step == 13);
    CHECK(net.training_state().epoch == 1);
    CHECK(history.epochs.size() == 2);
  }
  SECTION("the steps run out at the end of an epoch") {
    classifier net{px::seed{1}};
    const px::history history =
        train(net, data, {.rate = 0.3f}, {.epochs = 10, .batch = 10, .max_steps = 20});
    CHECK(history.reason == px::stop_reason::step_limit);
    CHECK(history.epochs.size() == 2);
  }
  SECTION("all epochs are done, with the last step allowed") {
    classifier net{px::seed{1}};
    const px::history history = train(net, data, {.rate = 0.3f}, {.epochs = 2, .batch = 10, .max_steps = 20});
    CHECK(history.reason == px::stop_reason::epochs_done);
  }
}

TEST_CASE("An epoch draws every sample once, in the order given", "[train]") {
  const px::dataset data = support::largest_feature(11, 3, 2);
  px::context on;
  const px::device_dataset device(on.stream(), data);
  px::batch_drawer drawer(device, 4);
  const std::vector<int> order{10, 0, 9, 1, 8, 2, 7, 3, 6, 4, 5};
  drawer.begin(on.stream(), order, 0);
  std::size_t place = 0;
  for (const int rows : {4, 4, 3}) {
    drawer.draw(on.stream(), rows);
    const auto count = static_cast<std::size_t>(rows);
    const auto x = px::to_host(on.stream(), px::view<float>{drawer.inputs(rows).data, count * 3});
    const auto labels = px::to_host(on.stream(), px::view<const int>{drawer.targets().labels, count});
    for (std::size_t row = 0; row < count; ++row, ++place) {
      const auto sample = static_cast<std::size_t>(order[place]);
      CHECK(labels[row] == data.labels[sample]);
      for (std::size_t j = 0; j < 3; ++j) CHECK(x[row * 3 + j] == data.inputs[sample * 3 + j]);
    }
  }
}

TEST_CASE("After its first steps training allocates nothing", "[train]") {
  const px::dataset data = support::largest_feature(64, 6, 4);
  classifier net{px::seed{1}};
  const std::span<const float> x(data.inputs);
  const std::span<const int> labels(data.labels);
  const px::sgd optimizer{.rate = 0.1f, .momentum = 0.9f};
  net.step(x, labels, px::softmax_cross_entropy{}, optimizer);
  const std::uint64_t version = net.memory_version();
  // Inside a capture an allocation is an error, so that a step which can be recorded makes none.
  const px::buffer<float> inputs = px::to_device(net.stream(), data.inputs);
  const px::buffer<int> targets = px::to_device(net.stream(), data.labels);
  const px::graph step = px::graph::capture(net.stream(), [&] {
    net.step(px::matrix<const float>(inputs.data(), 64, 6), {targets.data(), nullptr, 0},
             px::softmax_cross_entropy{}, optimizer);
  });
  for (int i = 0; i < 3; ++i) step.launch(net.stream());
  CHECK(net.memory_version() == version);

  classifier again{px::seed{1}};
  for (int i = 0; i < 4; ++i) again.step(x, labels, px::softmax_cross_entropy{}, optimizer);
  CHECK(support::parameter_values(net) == support::parameter_values(again));
}

TEST_CASE("A recorded step is the step, also where the network's memory moves in between", "[train]") {
  const px::dataset data = support::largest_feature(8, 6, 4);
  const px::sgd optimizer{.rate = 0.1f, .momentum = 0.9f};
  classifier recorded{px::seed{1}}, launched{px::seed{1}};
  const px::buffer<float> inputs = px::to_device(recorded.stream(), data.inputs);
  const px::buffer<int> labels = px::to_device(recorded.stream(), data.labels);
  int launches = 0;
  px::recorded_step step(recorded, [&] {
    ++launches;
    recorded.step(px::matrix<const float>(inputs.data(), 8, 6), {labels.data(), nullptr, 0},
                  px::softmax_cross_entropy{}, optimizer);
  });
  for (int i = 0; i < 10; ++i) {
    if (i == 6) recorded.reserve(100);
    step();
    launched.step(std::span<const float>(data.inputs), std::span<const int>(data.labels),
                  px::softmax_cross_entropy{}, optimizer);
  }
  CHECK(launches == 4);  // twice one by one, twice to record them
  CHECK(recorded.training_state().step == 10);
  CHECK(support::parameter_values(recorded) == support::parameter_values(launched));
  CHECK(recorded.totals().loss == launched.totals().loss);
}

TEST_CASE("fit launches a step one by one once, records it once, and replays it from then on", "[train]") {
  struct product_counter : px::gemm_measurement {
    int products = 0;
    void measure(const px::context& on, const px::gemm_product& product,
                 const px::gemm_runner& run) override {
      ++products;
      run(px::choice_for(on, product));
    }
  };
  const px::dataset data = support::largest_feature(64, 6, 4);
  const auto products_of = [&](int epochs) {
    classifier net{px::seed{1}, px::default_gemm_policy, px::fusion_policy::never};
    product_counter counter;
    net.measure_products(counter, [&] { train(net, data, {.rate = 0.1f}, {.epochs = epochs, .batch = 16}); });
    return counter.products;
  };
  constexpr int of_a_step = 2 + 2 + 1;  // forward, the weights' gradients, the hidden layer's delta
  CHECK(products_of(1) == 2 * of_a_step);
  CHECK(products_of(5) == 2 * of_a_step);
}

#if !defined(__CUDACC__)
TEST_CASE("fit allocates no device memory once its steps are recorded", "[train]") {
  const px::dataset data = support::largest_feature(100, 6, 4);
  classifier net{px::seed{1}};
  std::vector<std::size_t> allocations;
  train(net, data, {.rate = 0.1f, .momentum = 0.9f},
        {.epochs = 4, .batch = 16, .validation = &data, .progress = [&](const px::training_progress& now) {
           if (now.epoch_finished) allocations.push_back(hostcuda::allocation_count());
         }});
  REQUIRE(allocations.size() == 4);
  CHECK(allocations[2] == allocations[1]);  // in the second epoch the last, shorter step was recorded
  CHECK(allocations[3] == allocations[1]);
}
#endif

TEST_CASE("Progress ends each epoch with what the history says", "[train]") {
  const px::dataset data = support::largest_feature(100, 6, 4);
  classifier net{px::seed{1}};
  std::vector<px::training_progress> seen;
  const px::history history = train(
      net, data, {.rate = 0.3f},
      {.epochs = 3, .batch = 16, .validation = &data, .progress = [&](const px::training_progress& now) {
         seen.push_back(now);
       }});
  std::size_t epoch = 0;
  for (const auto& now : seen) {
    CHECK(now.samples_total == 100);
    if (!now.epoch_finished) continue;
    REQUIRE(epoch < 3);
    CHECK(now.epoch == static_cast<int>(epoch) + 1);
    CHECK(now.samples_done == 100);
    CHECK(now.loss == history.epochs[epoch].loss);
    CHECK(now.validation_accuracy == history.epochs[epoch].validation_accuracy);
    ++epoch;
  }
  CHECK(epoch == 3);
  CHECK(seen.back().seconds_left == 0);
}

TEST_CASE("Who evaluates in the middle of an epoch does not disturb its sums", "[train]") {
  const px::dataset data = support::largest_feature(100, 6, 4);
  classifier net{px::seed{1}}, undisturbed{px::seed{1}};
  const px::buffer<float> x = px::to_device(net.stream(), data.inputs);
  const px::buffer<int> labels = px::to_device(net.stream(), data.labels);
  const auto judge = [&](classifier& judged) {
    judged.judge(px::matrix<const float>(x.data(), 100, 6), {labels.data(), nullptr, 0},
                 px::softmax_cross_entropy{});
  };
  judge(undisturbed);
  judge(net);
  px::evaluate(net, support::largest_feature(37, 6, 4), px::softmax_cross_entropy{});
  CHECK(net.totals().loss == undisturbed.totals().loss);
  CHECK(net.totals().correct == undisturbed.totals().correct);
}

TEST_CASE("A step on host memory with values is a step with the same labels", "[train]") {
  const px::dataset data = support::largest_feature(9, 6, 4);
  std::vector<float> one_hot(9 * 4, 0.0f);
  for (std::size_t i = 0; i < 9; ++i) one_hot[i * 4 + static_cast<std::size_t>(data.labels[i])] = 1;
  classifier a{px::seed{2}}, b{px::seed{2}};
  for (int i = 0; i < 3; ++i) {
    a.step(std::span<const float>(data.inputs), std::span<const int>(data.labels),
           px::softmax_cross_entropy{}, px::sgd{});
    b.step(std::span<const float>(data.inputs), std::span<const float>(one_hot), px::softmax_cross_entropy{},
           px::sgd{});
  }
  CHECK(support::parameter_values(a) == support::parameter_values(b));
}
