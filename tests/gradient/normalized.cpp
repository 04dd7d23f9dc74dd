// Gradients through layers that differ in training and in use, as in training.
#include <plexus/plexus.hpp>

#include "central_differences.hpp"

#include <cmath>

namespace px = plexus;
using central_differences::check_gradients;

namespace {

template <class Network>
void check(int n) {
  for (const auto policy : {px::gemm_policy::native, px::default_gemm_policy}) {
    check_gradients<Network>(support::random_targets(n, Network::input_size, Network::output_size),
                             px::quadratic{}, policy);
  }
}

}  // namespace

TEST_CASE("Gradients through batch normalisation", "[gradient]") {
  using namespace px;
  check<network<input<5>, dense<4, identity, no_bias>, batch_norm<px::tanh>, dense<3>>>(6);
  check<
      network<image<2, 5, 4>, conv2d<3, 3, identity, no_bias>, batch_norm<softplus>, batch_norm<>, dense<3>>>(
      3);
}

TEST_CASE("Before batch normalisation the slopes of a bias are 0, but for rounding", "[gradient]") {
  px::network<px::input<5>, px::dense<4>, px::batch_norm<px::tanh>, px::dense<3>> net{px::seed{21}};
  const px::dataset data = support::random_targets(6, 5, 3);
  const auto found = px::inspect::check_gradients(net, px::quadratic{}, data.inputs, data.targets);
  INFO(to_string(found));
  for (const auto& tensor : found.tensors) {
    if (tensor.name == "0.bias") {
      CHECK(tensor.faint == 4);
      CHECK(std::abs(tensor.by_backward) < 1e-6);
    } else {
      CHECK(tensor.passed(1e-3));
    }
  }
}

TEST_CASE("Gradients through layer normalisation", "[gradient]") {
  using namespace px;
  check<network<input<5>, layer_norm<>, dense<6, px::tanh>, layer_norm<silu>, dense<3>>>(4);
  check<network<image<2, 3, 4>, conv2d<3, 2>, layer_norm<sigmoid>, dense<3>>>(2);
}

TEST_CASE("Gradients through dropout, which drops the same until the next update", "[gradient]") {
  using namespace px;
  check<network<input<5>, dropout<0.25>, dense<8, px::tanh>, dropout<0.5>, dense<3>>>(6);
}

TEST_CASE("Gradients through softmax as a layer", "[gradient]") {
  using namespace px;
  check<network<input<5>, dense<4>, px::softmax, dense<4>, px::softmax>>(6);
}
