// Optimisers and schedules against PyTorch's, update by update, and lion against its paper.
#include "golden.hpp"

#include <optional>

namespace px = plexus;

namespace {

template <class Precision>
using layer = px::network<Precision, px::input<7>, px::dense<5>>;

template <class Network>
std::vector<float> flat(Network& net, const std::vector<px::named_parameter>& tensors) {
  std::vector<float> all;
  for (const auto& tensor : tensors) {
    const std::vector<float> values = px::to_host(net.stream(), tensor.values);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

// The gradients of update t, counted from 0.
template <class Network>
void set_gradients(Network& net, std::uint64_t t) {
  std::uint64_t seed = 1000 + 2 * t;
  for (const auto& tensor : net.gradients()) {
    std::vector<float> values = golden::between(seed++, 1, tensor.values.size);
    for (float& value : values) value /= static_cast<float>(1 + t % 7);
    px::copy_to_device<float>(net.stream(), tensor.values.data, values);
  }
}

constexpr std::uint64_t updates = 100;

// In FP32, and in BF16, whose update goes by rows of tensors and has the same master weights.
template <class Optimizer>
void check_optimizer(const golden::file& file, const std::string& name, const Optimizer& optimizer) {
  INFO(name);
  const auto check_in = [&]<class Precision>(Precision) {
    layer<Precision> net{px::seed{1}};
    golden::set_parameters(net, {1});
    for (std::uint64_t t = 0; t < updates; ++t) {
      set_gradients(net, t);
      net.update(optimizer);
      const std::string now = name + "/" + std::to_string(t + 1);
      if (!file.has(now)) continue;
      std::optional<px::average_scope<layer<Precision>>> average;
      if (name == "averaged") average.emplace(net);
      golden::check_close(flat(net, net.parameters()), file[now]);
    }
  };
  check_in(px::fp32{});
  check_in(px::mixed<px::bf16>{});
  CHECK(file.unread(name).empty());
}

template <class Schedule>
void check_schedule(const golden::file& file, const std::string& name, const Schedule& schedule) {
  INFO(name);
  std::vector<float> factors;
  for (std::uint64_t t = 0; t < 120; ++t) factors.push_back(schedule(t));
  golden::check_close(factors, file["schedule/" + name], 1e-3);
}

}  // namespace

TEST_CASE("Optimisers take PyTorch's steps", "[golden]") {
  using namespace px;
  const golden::file file(golden::folder() / "optimizers.safetensors");
  check_optimizer(file, "sgd", sgd{.rate = 0.05f, .momentum = 0.9f, .weight_decay = 0.02f, .nesterov = true});
  check_optimizer(file, "adam", adam{.rate = 0.02f});
  check_optimizer(file, "adam_decay",
                  adam{.rate = 0.02f, .beta1 = 0.8f, .beta2 = 0.99f, .epsilon = 1e-3f, .weight_decay = 0.1f});
  check_optimizer(
      file, "adamw",
      adamw{.rate = 0.02f, .beta1 = 0.85f, .beta2 = 0.98f, .epsilon = 1e-5f, .weight_decay = 0.1f});
  check_optimizer(file, "rmsprop", rmsprop{.rate = 0.02f, .weight_decay = 0.1f});
  check_optimizer(file, "rmsprop_momentum",
                  rmsprop{.rate = 0.002f, .alpha = 0.9f, .epsilon = 1e-3f, .momentum = 0.8f});
  check_optimizer(file, "adagrad", adagrad{.rate = 0.1f});
  check_optimizer(file, "adagrad_decay",
                  adagrad{.rate = 0.1f, .rate_decay = 0.05f, .epsilon = 1e-2f, .weight_decay = 0.1f});
  check_optimizer(file, "clip_norm", clip_norm{adam{.rate = 0.02f}, 1.0f});
  check_optimizer(file, "clip_value", clip_value{sgd{.rate = 0.05f, .momentum = 0.9f}, 0.25f});
  check_optimizer(file, "cosine", scheduled{adamw{.rate = 0.02f}, cosine{.steps = 120, .warm_up = 15}});
  check_optimizer(file, "averaged", averaged{adamw{.rate = 0.02f}, 0.9f});
}

TEST_CASE("Schedules are PyTorch's", "[golden]") {
  using namespace px;
  const golden::file file(golden::folder() / "optimizers.safetensors");
  check_schedule(file, "step_decay", step_decay{.every = 30, .factor = 0.3f});
  check_schedule(file, "exponential_decay", exponential_decay{.factor = 0.97f});
  check_schedule(file, "cosine", cosine{.steps = 119, .last = 0.1f});
  check_schedule(file, "warm_up", cosine{.steps = 120, .warm_up = 15});
  check_schedule(file, "one_cycle", one_cycle{.steps = 121});
  CHECK(file.unread("schedule").empty());
}

TEST_CASE("The rate falls on plateaus as PyTorch's does", "[golden]") {
  const golden::file file(golden::folder() / "optimizers.safetensors");
  const std::vector<double> losses = file["plateau/losses"];
  const auto check_rule = [&](const std::string& name, const px::reduce_on_plateau& rule) {
    INFO(name);
    px::plateau_state now;
    std::vector<double> rates;
    for (const double loss : losses) {
      now.see(loss, rule);
      rates.push_back(now.rate_factor);
    }
    golden::check_close(rates, file["plateau/" + name], 0);
    CHECK(rates.back() < 1);
  };
  check_rule("default", {});
  check_rule("all", {.factor = 0.5, .patience = 2, .threshold = 0.05, .cooldown = 3, .least = 0.01});
  check_rule("impatient", {.factor = 0.75, .patience = 0, .threshold = 0, .cooldown = 1});
  CHECK(file.unread("plateau").empty());
}

TEST_CASE("Lion takes the steps of its paper", "[golden]") {
  const px::lion lion{.rate = 0.02f, .beta1 = 0.8f, .beta2 = 0.95f, .weight_decay = 0.3f};
  layer<px::fp32> net{px::seed{1}};
  golden::set_parameters(net, {1});
  const std::vector<float> start = flat(net, net.parameters());
  std::vector<double> w(start.begin(), start.end()), m(w.size(), 0.0);
  for (std::uint64_t t = 0; t < updates; ++t) {
    set_gradients(net, t);
    const std::vector<float> g = flat(net, net.gradients());
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double mixed = 0.8 * m[i] + 0.2 * g[i];
      w[i] -= 0.02 * ((mixed > 0) - (mixed < 0) + 0.3 * w[i]);
      m[i] = 0.95 * m[i] + 0.05 * g[i];
    }
    net.update(lion);
  }
  golden::check_close(flat(net, net.parameters()), w);
}
