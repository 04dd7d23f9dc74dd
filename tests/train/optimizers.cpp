// What optimisers do in a network; their steps themselves are held against PyTorch's in
// golden/optimizers.cpp.
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"

namespace px = plexus;

namespace {

template <class Precision>
using classifier = px::network<Precision, px::input<6>, px::dense<16, px::relu>, px::dense<4>>;

const px::clip_norm optimizer{px::scheduled{px::adamw{.rate = 0.03f}, px::cosine{.steps = 60, .warm_up = 9}},
                              0.4f};

template <class Network>
void set_gradients(Network& net, float value) {
  for (const auto& tensor : net.gradients()) {
    const std::vector<float> values(tensor.values.size, value);
    px::copy_to_device<float>(net.stream(), tensor.values.data, values);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("A recorded step counts its updates as single ones do", "[train]", px::fp32,
                   px::mixed<px::bf16>, px::mixed<px::fp16>) {
  using network = classifier<TestType>;
  const px::dataset data = support::largest_feature(96, 6, 4);
  network recorded{px::seed{1}}, single{px::seed{1}};
  px::fit(recorded, data, px::softmax_cross_entropy{}, optimizer,
          {.epochs = 3, .batch = 16, .shuffle = false});
  for (int epoch = 0; epoch < 3; ++epoch) {
    for (int first = 0; first < 96; first += 16) {
      single.step(std::span(data.inputs).subspan(static_cast<std::size_t>(first) * 6, 16 * 6),
                  std::span(data.labels).subspan(static_cast<std::size_t>(first), 16),
                  px::softmax_cross_entropy{}, optimizer);
    }
  }
  CHECK(support::parameter_values(recorded) == support::parameter_values(single));
  CHECK(recorded.optimizer_updates() == single.optimizer_updates());
  std::uint64_t skipped = 0;
  if constexpr (network::scales_loss) skipped = recorded.loss_scale().skipped;
  CHECK(recorded.optimizer_updates() + skipped == 18);
}

TEST_CASE("An update that is skipped does not count, and the next is as if it had not been", "[train]") {
  classifier<px::mixed<px::fp16>> net{px::seed{1}}, other{px::seed{1}};
  const px::dataset data = support::largest_feature(16, 6, 4);
  const auto step = [&](auto& of) {
    of.step(std::span<const float>(data.inputs), std::span<const int>(data.labels),
            px::softmax_cross_entropy{}, optimizer);
  };
  net.set_loss_scaling({.initial = 0x1p40f, .backoff = 0x1p-30f});
  step(net);
  CHECK(net.loss_scale().skipped == 1);
  CHECK(net.optimizer_updates() == 0);
  CHECK(support::parameter_values(net) == support::parameter_values(other));
  other.set_loss_scaling({.initial = 0x1p10f});
  step(net);
  step(other);
  CHECK(net.optimizer_updates() == 1);
  CHECK(support::parameter_values(net) == support::parameter_values(other));
}

TEST_CASE("An optimiser that comes after another one begins anew", "[train]") {
  classifier<px::fp32> net{px::seed{1}}, other{px::seed{1}};
  const px::sgd sgd{.rate = 0.1f, .momentum = 0.9f};
  const px::adam adam{.rate = 0.01f};
  for (int i = 0; i < 3; ++i) {
    set_gradients(net, 0.5f);
    net.update(adam);
  }
  CHECK(net.optimizer_updates() == 3);
  CHECK(net.optimizer_state().size() == 8);
  set_gradients(net, -0.25f);
  net.update(sgd);
  CHECK(net.optimizer_state().size() == 4);
  net.update(adam);
  net.update(px::clip_norm{px::scheduled{adam, px::cosine{}}, 1.0f});  // is the same one
  CHECK(net.optimizer_updates() == 2);
  const auto before = support::parameter_values(net);
  net.update(sgd);  // its velocity is zero again
  const auto after = support::parameter_values(net);
  for (std::size_t i = 0; i < after.size(); ++i) {
    for (std::size_t j = 0; j < after[i].size(); ++j)
      CHECK(after[i][j] == Approx(before[i][j] + 0.025).margin(1e-6));
  }
  net.initialize(px::seed{1});
  CHECK(net.optimizer_state().empty());
  for (auto* const of : {&net, &other}) {
    set_gradients(*of, 0.5f);
    of->update(adam);
  }
  CHECK(support::parameter_values(net) == support::parameter_values(other));
}

TEST_CASE("A momentum that comes back begins at zero", "[train]") {
  classifier<px::fp32> net{px::seed{1}};
  set_gradients(net, 1);
  net.update(px::sgd{.momentum = 0.9f});
  net.update(px::sgd{});
  const auto before = support::parameter_values(net);
  set_gradients(net, 0);
  net.update(px::sgd{.momentum = 0.9f});
  CHECK(support::parameter_values(net) == before);
}

TEST_CASE("Clipping hides no NaN", "[train]") {
  classifier<px::fp32> net{px::seed{1}};
  const auto weights = net.gradients()[0].values;
  std::vector<float> gradients(weights.size, 1e6f);
  gradients[3] = NAN;
  const auto all_after = [&](const auto& clipped) {
    net.initialize(px::seed{1});
    px::copy_to_device<float>(net.stream(), weights.data, gradients);
    net.update(clipped);
    return support::parameter_values(net)[0];
  };
  for (const float w : all_after(px::clip_norm{px::sgd{.rate = 1}, 1.0f})) CHECK(std::isnan(w));
  const auto by_value = all_after(px::clip_value{px::sgd{.rate = 1}, 1.0f});
  CHECK(std::isnan(by_value[3]));
  CHECK(std::isfinite(by_value[2]));
}

TEST_CASE("Clipping by the norm holds where squares leave FP32's range, and leaves a small gradient as it is",
          "[train]") {
  classifier<px::fp32> net{px::seed{1}}, before{px::seed{1}};
  const px::clip_norm clipped{px::sgd{.rate = 1}, 2.0f};
  const std::size_t count = decltype(net)::parameter_count;
  const auto worst_step = [&](float gradient, double expected) {
    net.initialize(px::seed{1});
    set_gradients(net, gradient);
    net.update(clipped);
    const auto now = support::parameter_values(net), then = support::parameter_values(before);
    double worst = 0;
    for (std::size_t i = 0; i < now.size(); ++i) {
      for (std::size_t j = 0; j < now[i].size(); ++j) {
        worst = std::max(worst, std::abs(static_cast<double>(then[i][j]) - now[i][j] - expected));
      }
    }
    return worst;
  };
  const double share = 2 / std::sqrt(static_cast<double>(count));  // of each of the equal gradients
  CHECK(worst_step(1e30f, share) < 1e-6);
  CHECK(worst_step(-1e30f, -share) < 1e-6);
  CHECK(worst_step(0.01f, 0.01) < 1e-7);
  CHECK(worst_step(1e-30f, 0) < 1e-12);
}
