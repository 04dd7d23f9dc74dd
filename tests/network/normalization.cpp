// Running means and variances: what moves them, and what does not.
#include <plexus/plexus.hpp>
#include <plexus/train/recorded_step.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/worst.hpp"

namespace px = plexus;

namespace {

constexpr px::sgd slow{.rate = 1e-3f};

template <class Network>
std::vector<std::vector<float>> statistics(Network& net) {
  std::vector<std::vector<float>> all;
  for (const auto& tensor : net.statistics()) all.push_back(px::to_host(net.stream(), tensor.values));
  return all;
}

template <class Network, class Function>
void with_batch(Network& net, int n, const Function& function) {
  const px::dataset data = support::largest_feature(n, Network::input_size, Network::output_size);
  const px::buffer<float> x = px::to_device(net.stream(), data.inputs);
  const px::buffer<int> y = px::to_device(net.stream(), data.labels);
  function(px::matrix<const float>(x.data(), n, Network::input_size), px::target_view{y.data(), nullptr, 0});
  net.reset_totals();  // the network's stream has done with the batch
  px::to_host(net.stream(), net.parameters().front().values);
}

using vectors = px::network<px::input<5>, px::dense<4>, px::batch_norm<px::relu>, px::dense<3>>;
using images = px::network<px::image<2, 5, 4>, px::conv2d<3, 3, px::identity, px::no_bias>,
                           px::batch_norm<px::softplus>, px::dense<3>>;

const std::vector<std::vector<float>> as_new{{0, 0, 0, 0}, {1, 1, 1, 1}};

}  // namespace

TEST_CASE("Statistics begin as mean 0 and variance 1, weights as 1 and biases as 0",
          "[network][normalization]") {
  vectors net{px::seed{2}};
  CHECK(statistics(net) == as_new);
  CHECK(net.statistics()[0].name == "1.running_mean");
  CHECK(net.statistics()[1].name == "1.running_var");
  CHECK(px::to_host(net.stream(), net.parameters()[2].values) == std::vector<float>(4, 1));
  CHECK(px::to_host(net.stream(), net.parameters()[3].values) == std::vector<float>(4, 0));
  CHECK(net.tensors().size() == net.parameters().size() + 2);
}

TEST_CASE("Statistics follow a batch once, with the update", "[network][normalization]") {
  vectors net{px::seed{2}};
  with_batch(net, 12, [&](const auto& x, const auto& y) {
    net.update(slow);
    CHECK(statistics(net) == as_new);
    net.backward(x, y, px::softmax_cross_entropy{});
    net.judge(x, y, px::softmax_cross_entropy{});
    net.forward(x);
    CHECK(statistics(net) == as_new);
    net.update(slow);
    const auto moved = statistics(net);
    CHECK(moved != as_new);
    net.update(slow);
    CHECK(statistics(net) == moved);
    const px::buffer<float> dz(12 * 3), dx(12 * 5);
    px::constant{1}(net.stream(), dz.view());
    net.input_gradient(x, px::matrix<const float>(dz.data(), 12, 3), px::matrix(dx.data(), 12, 5));
    net.update(slow);
    CHECK(statistics(net) == moved);
    net.initialize(px::seed{2});
    CHECK(statistics(net) == as_new);
  });
}

TEST_CASE("A batch of one value a channel teaches no statistics; one of many pixels does",
          "[network][normalization]") {
  vectors of_values{px::seed{2}};
  with_batch(of_values, 1, [&](const auto& x, const auto& y) {
    of_values.step(x, y, px::softmax_cross_entropy{}, slow);
    CHECK(statistics(of_values) == as_new);
    CHECK(std::isfinite(of_values.totals().loss));
  });
  images of_images{px::seed{2}};
  with_batch(of_images, 1, [&](const auto& x, const auto& y) {
    const auto before = statistics(of_images);
    of_images.step(x, y, px::softmax_cross_entropy{}, slow);
    CHECK(statistics(of_images) != before);
  });
}

TEMPLATE_TEST_CASE("Recorded steps and steps one by one end in the same bits", "[network][normalization]",
                   vectors, images) {
  TestType one_by_one{px::seed{4}}, recorded{px::seed{4}};
  const auto train = [](TestType& net, bool as_recorded) {
    with_batch(net, 10, [&](const auto& x, const auto& y) {
      px::recorded_step step(net, [&] { net.step(x, y, px::softmax_cross_entropy{}, px::adam{}); });
      for (int i = 0; i < 5; ++i) {
        if (as_recorded) {
          step();
        } else {
          net.step(x, y, px::softmax_cross_entropy{}, px::adam{});
        }
      }
    });
  };
  train(one_by_one, false);
  train(recorded, true);
  CHECK(statistics(one_by_one) == statistics(recorded));
  CHECK(support::parameter_values(one_by_one) == support::parameter_values(recorded));
}

TEST_CASE("A step that FP16 skips leaves statistics as they are", "[network][normalization]") {
  px::network<px::mixed<px::fp16>, px::input<5>, px::dense<4>, px::batch_norm<px::relu>, px::dense<3>> net{
      px::seed{2}};
  net.set_loss_scaling({.initial = 0x1p60f});  // beyond FP16
  with_batch(net, 12, [&](const auto& x, const auto& y) {
    net.step(x, y, px::softmax_cross_entropy{}, slow);
    CHECK(net.loss_scale().skipped == 1);
    CHECK(statistics(net) == as_new);
    net.set_loss_scaling({.initial = 16});
    net.step(x, y, px::softmax_cross_entropy{}, slow);
    CHECK(statistics(net) != as_new);
  });
}

TEMPLATE_TEST_CASE("Normalised networks in 16 bits are near those in 32", "[network][normalization]",
                   px::fp16, px::bf16) {
  constexpr int n = 24;
  const auto tensors = []<class Network>(Network net) {
    const px::dataset data = support::largest_feature(n, Network::input_size, 3);
    for (int step = 0; step < 8; ++step) {
      net.step(std::span<const float>(data.inputs), std::span<const int>(data.labels),
               px::softmax_cross_entropy{}, px::sgd{.rate = 0.05f});
    }
    std::vector<float> all = net.predict(data.inputs, n);
    for (const auto& values : statistics(net)) all.insert(all.end(), values.begin(), values.end());
    return all;
  };
  const auto check = [&](const std::vector<float>& computed, const std::vector<float>& expected) {
    REQUIRE(computed.size() == expected.size());
    double worst = 0;
    for (std::size_t i = 0; i < computed.size(); ++i)
      worst = support::worse(worst,
                             std::abs(static_cast<double>(computed[i]) - static_cast<double>(expected[i])));
    CHECK(worst < (std::is_same_v<TestType, px::fp16> ? 0.01 : 0.08));
  };
  using namespace px;
  check(tensors(network<mixed<TestType>, image<2, 6, 6>, conv2d<8, 3, identity, no_bias>, batch_norm<relu>,
                        max_pool<2>, layer_norm<>, dense<16>, batch_norm<softplus>, dense<3>>{px::seed{3}}),
        tensors(network<image<2, 6, 6>, conv2d<8, 3, identity, no_bias>, batch_norm<relu>, max_pool<2>,
                        layer_norm<>, dense<16>, batch_norm<softplus>, dense<3>>{px::seed{3}}));
}

TEST_CASE("Early stopping brings back the statistics too", "[network][normalization]") {
  const px::dataset data = support::largest_feature(40, 5, 3), other = support::largest_feature(30, 5, 3);
  vectors net{px::seed{1}};
  std::vector<std::vector<std::vector<float>>> of_epochs;
  const px::history past = px::fit(net, data, px::softmax_cross_entropy{}, px::sgd{.rate = 3},
                                   {.epochs = 40,
                                    .batch = 8,
                                    .validation = &other,
                                    .stop_early = {.patience = 3},
                                    .on_epoch = [&](const px::epoch_record&) {
                                      of_epochs.push_back(statistics(net));
                                      return true;
                                    }});
  REQUIRE(past.restored_epoch > 0);
  REQUIRE(static_cast<std::size_t>(past.restored_epoch) < of_epochs.size());
  CHECK(statistics(net) == of_epochs[static_cast<std::size_t>(past.restored_epoch) - 1]);
  CHECK(statistics(net) != of_epochs.back());
}

// What is kept of the batch lies at its place, whatever passes have made room for in between.
TEST_CASE("Statistics follow the last backward, whatever is computed before the update",
          "[network][normalization]") {
  using network = px::network<px::image<2, 6, 6>, px::max_pool<2>, px::layer_norm<>, px::batch_norm<px::relu>,
                              px::dense<3>>;
  network alone{px::seed{4}}, disturbed{px::seed{4}};
  const px::dataset many = support::largest_feature(90, network::input_size, 3);
  for (network* net : {&alone, &disturbed}) {
    with_batch(*net, 8, [&](const auto& x, const auto& y) {
      net->backward(x, y, px::softmax_cross_entropy{});
      if (net == &disturbed) {
        net->predict(many.inputs, 90);
        const px::buffer<float> inputs = px::to_device(net->stream(), many.inputs), dz(90 * 3),
                                dx(90 * network::input_size);
        px::constant{1}(net->stream(), dz.view());
        net->input_gradient(px::matrix<const float>(inputs.data(), 90, network::input_size),
                            px::matrix<const float>(dz.data(), 90, 3),
                            px::matrix(dx.data(), 90, network::input_size));
      }
      net->update(slow);
    });
  }
  CHECK(statistics(alone) == statistics(disturbed));
}

TEST_CASE("Statistics follow a replayed backward too", "[network][normalization]") {
  vectors one_by_one{px::seed{4}}, replayed{px::seed{4}};
  with_batch(one_by_one, 10, [&](const auto& x, const auto& y) {
    for (int i = 0; i < 5; ++i) one_by_one.step(x, y, px::softmax_cross_entropy{}, slow);
  });
  with_batch(replayed, 10, [&](const auto& x, const auto& y) {
    px::recorded_step back(replayed, [&] { replayed.backward(x, y, px::softmax_cross_entropy{}); });
    for (int i = 0; i < 5; ++i) {
      back();
      replayed.update(slow);
    }
  });
  CHECK(statistics(one_by_one) == statistics(replayed));
  CHECK(replayed.training_state().step == 5);
}

TEST_CASE("A state that is restored forgets the batch before it", "[network][normalization]") {
  vectors net{px::seed{2}};
  with_batch(net, 12, [&](const auto& x, const auto& y) {
    net.backward(x, y, px::softmax_cross_entropy{});
    net.restore_training_state(net.training_state());
    net.update(slow);
    CHECK(statistics(net) == as_new);
  });
}
