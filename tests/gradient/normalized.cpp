// Gradients through layers that differ in training and in use, as in training; and through softmax.
#include "combinations.hpp"

#include <cmath>

namespace px = plexus;
using combinations::check_layers;

namespace {

template <class Activation>
using of_vectors =
    px::network<px::input<5>, px::dense<4, px::identity, px::no_bias>, px::batch_norm<Activation>,
                px::dense<4, Activation>, px::layer_norm<Activation>, px::dense<3>>;
template <class Activation>
using of_images =
    px::network<px::image<2, 4, 3>, px::conv2d<3, 2, px::identity, px::no_bias>, px::batch_norm<Activation>,
                px::conv2d<2, 2, Activation>, px::layer_norm<Activation>, px::dense<3>>;
template <class Activation>
using dropping =
    px::network<px::input<5>, px::dropout<0.25>, px::dense<8, Activation>, px::dropout<0.5>, px::dense<3>>;
template <class Activation>
using of_softmax =
    px::network<px::input<5>, px::dense<4, Activation>, px::softmax, px::dense<4, Activation>, px::softmax>;

}  // namespace

TEST_CASE("Gradients through normalisation of vectors", "[gradient]") { check_layers<of_vectors>(3); }
TEST_CASE("Gradients through normalisation of images", "[gradient]") { check_layers<of_images>(); }
TEST_CASE("Gradients through dropout, which drops the same until the next update", "[gradient]") {
  check_layers<dropping>();
}
TEST_CASE("Gradients through softmax as a layer", "[gradient]") { check_layers<of_softmax>(); }

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
