// Gradients through convolutions, pools and normalisation against central differences of the loss.
#include <plexus/plexus.hpp>

#include "central_differences.hpp"

namespace px = plexus;
using central_differences::check_gradients;
using support::swish;

namespace {

template <class Activation>
using strided =
    px::network<px::image<2, 5, 4>,
                px::conv2d<3, px::extent2d{3, 2}, Activation, px::stride<2, 1>, px::padding<1, 0>>,
                px::conv2d<2, 2, Activation, px::no_bias>, px::dense<3, Activation>>;
template <class Activation>
using grouped = px::network<px::image<2, 5, 5>, px::conv2d<4, 3, Activation, px::same, px::groups<2>>,
                            px::average_pool<3, px::stride<2>, px::padding<1>>,
                            px::conv2d<4, 2, Activation, px::groups<4>, px::dilation<2>>, px::dense<3>>;
// Without a dense layer: same with an even kernel, and a stride that leaves pixels out.
template <class Activation>
using averaged = px::network<px::image<3, 5, 4>, px::conv2d<2, 4, Activation, px::same>,
                             px::conv2d<3, 2, Activation, px::stride<3>>, px::global_average_pool>;
// Windows of an odd and of an even number of channels.
template <class Activation>
using normalized =
    px::network<px::image<2, 4, 3>, px::conv2d<5, 2, Activation>,
                px::local_response_norm<3, px::lrn{.alpha = 1.5f}>, px::conv2d<3, 2, Activation>,
                px::local_response_norm<2, px::lrn{.alpha = 1, .beta = 0.6f, .k = 0.5f}>, px::dense<2>>;
// A pool as the first layer and as the last.
using pools = px::network<px::image<2, 5, 6>, px::average_pool<2, px::stride<1>>, px::conv2d<3, 3, px::tanh>,
                          px::average_pool<px::extent2d{2, 1}>>;

template <class Activation>
void check_activation() {
  for (const auto policy : {px::gemm_policy::native, px::default_gemm_policy}) {
    for (const int n : {1, 3}) {
      CAPTURE(n);
      check_gradients<strided<Activation>>(support::random_targets(n, 40, 3), px::quadratic{}, policy);
      check_gradients<grouped<Activation>>(support::largest_feature(n, 50, 3), px::softmax_cross_entropy{},
                                           policy);
      check_gradients<averaged<Activation>>(support::random_targets(n, 60, 3), px::quadratic{}, policy);
      check_gradients<normalized<Activation>>(support::random_targets(n, 24, 2), px::quadratic{}, policy);
    }
  }
}

// A maximum has a kink where two pixels of a window are nearly equal. These lie 0.1 apart, more than a
// difference moves one, and a convolution of one pixel and one channel with an activation that rises
// everywhere keeps or reverses their order.
template <class Network>
px::dataset without_kinks() {
  px::dataset data = support::random_targets(2, 25, Network::output_size);
  for (std::size_t i = 0; i < data.inputs.size(); ++i)
    data.inputs[i] = static_cast<float>(i * 7 % 25) * 0.1f - 1;
  return data;
}

template <class Network>
void check_maxima() {
  for (const auto policy : {px::gemm_policy::native, px::default_gemm_policy})
    check_gradients<Network>(without_kinks<Network>(), px::quadratic{}, policy);
}

template <class Activation>
using maxima =
    px::network<px::image<1, 5, 5>, px::conv2d<2, 1, Activation>,
                px::max_pool<3, px::stride<2>, px::padding<1>>, px::conv2d<3, 2, Activation>, px::dense<2>>;

// A user's softplus, with no derivative from its output: the network must keep z.
struct softplus_of_z {
  PLEXUS_FN float operator()(float z) const { return log1pf(expf(z)); }
  PLEXUS_FN float derivative(float z) const { return 1 / (1 + expf(-z)); }
};

}  // namespace

TEST_CASE("Gradients through convolutions and sigmoid", "[gradient][slow]") {
  check_activation<px::sigmoid>();
}
TEST_CASE("Gradients through convolutions and softplus", "[gradient][slow]") {
  check_activation<px::softplus>();
}
TEST_CASE("Gradients through convolutions alone", "[gradient][slow]") { check_activation<px::identity>(); }
TEST_CASE("Gradients through convolutions and a user's activation", "[gradient][slow]") {
  check_activation<swish>();
}

TEST_CASE("Gradients through pools at both ends", "[gradient][slow]") {
  check_gradients<pools>(support::random_targets(3, 60, pools::output_size), px::quadratic{},
                         px::default_gemm_policy);
}

TEST_CASE("Gradients through max pooling", "[gradient][slow]") {
  check_maxima<px::network<px::image<1, 5, 5>, px::max_pool<3, px::stride<2>, px::padding<1>>>>();
  check_maxima<maxima<px::tanh>>();
  check_maxima<maxima<softplus_of_z>>();
}
