// Networks that convolve and pool against PyTorch's float64, as networks.cpp has dense ones.
#include <plexus/plexus.hpp>

#include "training.hpp"

namespace px = plexus;

namespace {

const golden::file& image_networks() {
  static const golden::file file(golden::folder() / "image_networks.safetensors");
  return file;
}

}  // namespace

TEST_CASE("LeNet with ReLU, max pooling and softmax cross-entropy trains as in PyTorch", "[golden][slow]") {
  using lenet = px::network<px::image<1, 28, 28>, px::conv2d<6, 5, px::relu>, px::max_pool<2>,
                            px::conv2d<16, 5, px::relu>, px::max_pool<2>, px::dense<120, px::relu>,
                            px::dense<84, px::relu>, px::dense<10>>;
  for (const auto policy : golden::policies) {
    golden::check_network<lenet>(image_networks(), "lenet/plain", policy,
                                 {1.0f / 2, 1.0f / 8, 1.0f / 8, 1.0f / 8, 1.0f / 8},
                                 golden::between(152, 1, 8 * lenet::input_size), golden::labels(3, 8, 10),
                                 px::softmax_cross_entropy{}, px::sgd{.rate = 1.0f / 32});
  }
}

TEST_CASE("Groups, strides, padding and average pooling train as in PyTorch", "[golden]") {
  using net = px::network<
      px::image<4, 9, 8>, px::conv2d<6, 3, px::tanh, px::stride<2>, px::padding<1>, px::groups<2>>,
      px::average_pool<2, px::stride<1>, px::padding<1>>,
      px::conv2d<8, px::extent2d{3, 2}, px::sigmoid, px::same>, px::average_pool<2>, px::dense<3>>;
  for (const auto& [name, optimizer] : golden::every_optimizer) {
    for (const auto policy : golden::policies) {
      golden::check_network<net>(image_networks(), "smooth/" + name, policy, {1.0f / 2, 1.0f / 2, 1.0f / 4},
                                 golden::between(1, 1, 5 * net::input_size), golden::unit(2, 5 * 3),
                                 px::quadratic{}, optimizer);
    }
  }
}
