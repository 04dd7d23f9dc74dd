// Dense networks against PyTorch's float64: outputs, loss, every gradient, and ten steps of each form of SGD.
#include <plexus/plexus.hpp>

#include "training.hpp"

namespace px = plexus;

namespace {

constexpr std::size_t batch = 32;

const golden::file& networks() {
  static const golden::file file(golden::folder() / "networks.safetensors");
  return file;
}

const px::sgd plain = golden::every_optimizer[0].optimizer;

}  // namespace

TEST_CASE("784-300-10 with sigmoids and the quadratic cost trains as in PyTorch", "[golden][slow]") {
  using net = px::network<px::input<784>, px::dense<300, px::sigmoid>, px::dense<10, px::sigmoid>>;
  for (const auto policy : golden::policies) {
    golden::check_network<net>(networks(), "sigmoid_quadratic/plain", policy, {1.0f / 16, 1.0f / 8},
                               golden::unit(1, batch * 784), golden::unit(2, batch * 10), px::quadratic{},
                               plain);
  }
}

TEST_CASE("784-300-10 with ReLU and softmax cross-entropy trains as in PyTorch", "[golden][slow]") {
  using net = px::network<px::input<784>, px::dense<300, px::relu>, px::dense<10>>;
  for (const auto policy : golden::policies) {
    golden::check_network<net>(networks(), "relu_cross_entropy/plain", policy, {1.0f / 16, 1.0f / 8},
                               golden::unit(100, batch * 784), golden::labels(3, batch, 10),
                               px::softmax_cross_entropy{}, plain);
  }
}

TEST_CASE("Every form of SGD takes PyTorch's ten steps on the quadratic cost", "[golden]") {
  using net = px::network<px::input<5>, px::dense<7, px::tanh>, px::dense<6, px::leaky_relu>, px::dense<3>>;
  for (const auto& [name, optimizer] : golden::every_optimizer) {
    for (const auto policy : golden::policies) {
      golden::check_network<net>(networks(), "small_quadratic/" + name, policy, {1, 1, 1},
                                 golden::unit(1, batch * 5), golden::unit(2, batch * 3), px::quadratic{},
                                 optimizer);
    }
  }
}

TEST_CASE("Every form of SGD takes PyTorch's ten steps on softmax cross-entropy", "[golden]") {
  using net = px::network<px::input<5>, px::dense<7, px::softplus>, px::dense<6, px::relu>, px::dense<4>>;
  for (const auto& [name, optimizer] : golden::every_optimizer) {
    for (const auto policy : golden::policies) {
      golden::check_network<net>(networks(), "small_cross_entropy/" + name, policy, {1, 1, 1},
                                 golden::unit(1, batch * 5), golden::labels(3, batch, 4),
                                 px::softmax_cross_entropy{}, optimizer);
    }
  }
}
