#include <plexus/inspect/activation_maximization.hpp>
#include <plexus/inspect/check_gradients.hpp>
#include <plexus/inspect/filters.hpp>
#include <plexus/inspect/summary.hpp>
#include <plexus/plexus.hpp>

#include "support/bad_input.hpp"

#include <limits>

namespace px = plexus;

namespace {

using network = px::network<px::image<1, 4, 4>, px::conv2d<2, 3, px::relu>, px::dense<3>>;

template <class Target>
support::folder_action exciting(const Target& target, const px::inspect::maximization& how = {}) {
  return [=](const auto&) {
    network net;
    px::inspect::maximize_activation<0>(net, target, how);
  };
}

support::folder_action exciting_with(const px::inspect::image_prior& prior) {
  return exciting(px::inspect::unit{0}, {.prior = prior});
}

support::folder_action drawing(const px::inspect::images& all, const px::inspect::grid_options& how = {}) {
  return [=](const auto&) { px::inspect::draw_grid(all, px::inspect::shading::around_zero, how); };
}

// input_gradient() of layer 1, of one sample, with matrices of these widths.
support::folder_action gradient_of(int x_width, int dz_width, int dx_width) {
  return [=](const auto&) {
    network net;
    const px::buffer<float> memory(64);
    net.input_gradient<1>(px::matrix<const float>(memory.data(), 1, x_width),
                          px::matrix<const float>(memory.data(), 1, dz_width),
                          px::matrix(memory.data(), 1, dx_width));
  };
}

// check_gradients() of samples and labels, or targets.
template <class Target>
support::folder_action checking(const std::vector<float>& x, const std::vector<Target>& y) {
  return [=](const auto&) {
    network net;
    px::inspect::check_gradients(net, px::quadratic{}, x, y);
  };
}

constexpr float infinite = std::numeric_limits<float>::infinity();
const std::vector<float> five(5, 1.0f), sixteen(16, 1.0f);

}  // namespace

TEST_CASE("Bad input to what looks inside a network", "[inspect][bad_input]") {
  const char* choosing = "choosing what to excite";
  const char* configuring = "configuring activation maximisation";
  const char* prior = "configuring an image prior";
  const char* drawing_grid = "drawing a grid of images";
  const char* gradient = "computing the gradient of a network's input";
  const char* checking_gradients = "checking gradients";
  const char* clip_remedy = "choose one such as 30, or 0 for none";
  support::check_bad_inputs(
      "looking inside a network",
      {
          {"a unit that is not there", exciting(px::inspect::unit{8}), choosing, "the layer has no unit 8",
           "choose one from 0 to 7"},
          {"a channel that is not there", exciting(px::inspect::channel{-1}), choosing,
           "the layer has no channel -1", "choose one from 0 to 1"},
          {"a row that is not there", exciting(px::inspect::position{1, 2, 0}), choosing,
           "the layer has no row 2", "choose one from 0 to 1"},
          {"a column that is not there", exciting(px::inspect::position{1, 0, 2}), choosing,
           "the layer has no column 2", "choose one from 0 to 1"},
          {"no start", exciting(px::inspect::unit{0}, {.starts = 0}), configuring,
           "the steps are negative or there is no start", "choose at least 0 steps and 1 start"},
          {"a rate of zero", exciting(px::inspect::unit{0}, {.rate = 0}), configuring,
           "the rate is not a positive number", "choose a rate such as 0.05"},
          {"a range without 0", exciting(px::inspect::unit{0}, {.lowest = 0.5f}), configuring,
           "the range of values does not include 0", "normalise the inputs, or choose a range that does"},
          {"starts that are not finite", exciting(px::inspect::unit{0}, {.start_mean = infinite}),
           configuring, "the starts' mean or deviation is not finite, or that is negative",
           "choose 0 and 0.1"},
          {"a decay of 1", exciting_with({.decay = 1}), prior, "the decay is not in [0, 1)",
           "choose one such as 1e-4"},
          {"a blur over the whole image", exciting_with({.blur = 6}), prior,
           "the blur is not in [0, 5] or not after a positive number of steps", "choose 0.5 every 4 steps"},
          {"all pixels of small norm clipped", exciting_with({.clip_norm = 100}), prior,
           "a share of clipped pixels is not in [0, 100) percent", clip_remedy},
          {"less than no pixel clipped", exciting_with({.clip_contribution = -1}), prior,
           "a share of clipped pixels is not in [0, 100) percent", clip_remedy},
          {"an ascent that leaves the numbers", exciting(px::inspect::unit{0}, {.steps = 2, .rate = 1e38f}),
           "maximising an activation", "an image or what it excites is no longer finite",
           "choose a lower rate, a range of values or a stronger decay, or look for weights that are not "
           "finite"},
          {"a grid of nothing", drawing({}), drawing_grid, "there is nothing to draw",
           "give at least one image with at least one value"},
          {"half an image", drawing({1, {2, 2}, five}), drawing_grid,
           "5 values are no whole number of images of 4", "give (count, channels, height, width) values"},
          {"colour of one channel", drawing({1, {1, 5}, five, true}), drawing_grid,
           "images in colour have not 3 channels", "give 3 channels, or in_color = false"},
          {"a grid without scale", drawing({1, {1, 5}, five}, {.scale = 0}), drawing_grid,
           "columns or gap are negative, or the scale is not positive", "choose larger ones"},
          {"a grid of too many pixels", drawing({1, {1, 5}, five}, {.scale = 1 << 30}), drawing_grid,
           "a side of it has more than 1,048,576 pixels",
           "choose a smaller scale, fewer columns or fewer images"},
          {"an infinite weight", drawing({1, {1, 2}, {1, 2, 3, infinite}}), drawing_grid,
           "image 1 has a value that is not finite", "look for where training diverged"},
          {"feature maps of half an image",
           [](const auto&) {
             network net;
             px::inspect::feature_maps<0>(net, five);
           },
           "drawing feature maps", "the image has 5 values", "give the network's 16"},
          {"feature maps of an image with an infinite value",
           [](const auto&) {
             network net;
             px::inspect::feature_maps<0>(net, std::vector<float>(16, infinite));
           },
           "drawing feature maps", "the image has a value that is not finite", "give finite values"},
          {"a layer's outputs for half a sample", [](const auto&) { network{}.activations<0>(five); },
           "computing a layer's outputs", "5 values are no whole number of samples of 16",
           "give n × 16 values"},
          {"the gradient of an input of another width", gradient_of(15, 3, 16), gradient,
           "the samples are a matrix (1, 15) with 15 values from row to row, the network takes 16 values a "
           "sample",
           "give a matrix (n, 16)"},
          {"a gradient by outputs that the layer has not", gradient_of(16, 4, 16), gradient,
           "dz has the shape (1, 4) with 4 values from row to row", "give a matrix (1, 3)"},
          {"a gradient without its room", gradient_of(16, 3, 15), gradient,
           "dx has the shape (1, 15) with 15 values from row to row", "give a matrix (1, 16)"},
          {"a gradient whose rows overlap",
           [](const auto&) {
             network net;
             const px::buffer<float> memory(64);
             net.input_gradient<1>(px::matrix<const float>(memory.data(), 2, 16), {memory.data(), 2, 3, 2},
                                   px::matrix(memory.data(), 2, 16));
           },
           gradient, "dz has the shape (2, 3) with 2 values from row to row", "give a matrix (2, 3)"},
          {"gradients by half a sample", checking(five, std::vector{1}), checking_gradients,
           "5 values are no whole number of samples of 16", "give n × 16 values"},
          {"gradients by no samples", checking({}, std::vector<int>{}), checking_gradients,
           "the batch is empty", "give at least one sample"},
          {"gradients by more labels than samples", checking(sixteen, std::vector{1, 2}), checking_gradients,
           "the data have size 2 and not 1 × 1", "give 1 values"},
          {"gradients by targets of another width", checking(sixteen, five), checking_gradients,
           "the data have size 5 and not 1 × 3", "give 3 values"},
          {"gradients by a class that is not there", checking(sixteen, std::vector{3}), checking_gradients,
           "sample 0 has label 3 of 3 classes",
           "labels count from 0: correct the label, or set the network's outputs to the number of classes"},
          {"gradients by an infinite input", checking(std::vector<float>(16, infinite), std::vector{1}),
           checking_gradients, "input 0 of sample 0 is infinite", "remove the sample or replace the value"},
          {"gradients by a target that is NaN", checking(sixteen, std::vector{0.0f, 1.0f, NAN}),
           checking_gradients, "target 2 of sample 0 is NaN", "remove the sample or replace the value"},
          {"gradients of a loss that is not finite", checking(sixteen, std::vector{0.0f, 1.0f, 1e30f}),
           checking_gradients, "the loss is not finite", "give a network and samples whose loss is a number"},
          {"a summary of a batch of no samples", [](const auto&) { px::inspect::summary<network>(0); },
           "summing up a network", "the batch has no samples", "use a batch of at least one sample"},
      });
}
