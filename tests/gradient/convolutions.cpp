// Gradients through layers of images.
#include "combinations.hpp"

namespace px = plexus;
using combinations::check_layers;

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
// Same with an even kernel, a stride that leaves pixels out, and no dense layer.
template <class Activation>
using averaged = px::network<px::image<3, 5, 4>, px::conv2d<2, 4, Activation, px::same>,
                             px::conv2d<3, 2, Activation, px::stride<3>>, px::global_average_pool>;
// Windows of an odd and of an even number of channels.
template <class Activation>
using normalized =
    px::network<px::image<2, 4, 3>, px::conv2d<5, 2, Activation>,
                px::local_response_norm<3, px::lrn{.alpha = 1.5f}>, px::conv2d<3, 2, Activation>,
                px::local_response_norm<2, px::lrn{.alpha = 1, .beta = 0.6f, .k = 0.5f}>, px::dense<3>>;
template <class Activation>
using maxima =
    px::network<px::image<1, 5, 5>, px::conv2d<2, 2, Activation>,
                px::max_pool<3, px::stride<2>, px::padding<1>>, px::conv2d<3, 2, Activation>, px::dense<3>>;
// Pools as the first layer and as the last.
template <class Activation>
using pools = px::network<px::image<1, 4, 5>, px::average_pool<2, px::stride<1>>,
                          px::conv2d<3, 2, Activation>, px::max_pool<px::extent2d{2, 3}>>;

}  // namespace

TEST_CASE("Gradients through convolutions", "[gradient][slow]") {
  check_layers<strided>();
  check_layers<grouped>();
}
TEST_CASE("Gradients through an average of everything", "[gradient][slow]") { check_layers<averaged>(); }
TEST_CASE("Gradients through local response normalisation", "[gradient][slow]") {
  check_layers<normalized>();
}
TEST_CASE("Gradients through max pooling", "[gradient][slow]") { check_layers<maxima>(); }
TEST_CASE("Gradients through pools at both ends", "[gradient][slow]") { check_layers<pools>(); }
