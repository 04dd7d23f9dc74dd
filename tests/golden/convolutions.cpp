// Single layers that convolve or pool against PyTorch's float64: outputs and every gradient.
#include <plexus/plexus.hpp>

#include "layer_cases.hpp"

namespace px = plexus;

namespace {

std::vector<float> signed_values(std::size_t size) { return golden::between(1, 1, size); }
std::vector<float> unit_values(std::size_t size) { return golden::unit(1, size); }

// −4 to −1: windows are full of ties, and a padding that counted as zero would be the maximum.
std::vector<float> few_values(std::size_t size) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(golden::number(1, i) % 4 - 4);
  return values;
}

}  // namespace

TEST_CASE("A convolution's outputs and gradients are PyTorch's", "[golden]") {
  using namespace px;
  using none = identity;
  const golden::layer_cases cases("convolutions", "convolution", signed_values);
  cases.check<image<3, 8, 8>, conv2d<4, 3>>("plain");
  cases.check<image<2, 6, 6>, conv2d<3, 3, none, no_bias>>("no_bias");
  cases.check<image<1, 5, 5>, conv2d<1, 3>>("one_channel_one_filter");
  cases.check<image<1, 9, 9>, conv2d<6, 5>>("one_channel");
  cases.check<image<6, 7, 7>, conv2d<1, 3>>("one_filter");
  cases.check<image<20, 6, 6>, conv2d<20, 3, none, padding<1>>>("many_channels");
  cases.check<image<2, 10, 10>, conv2d<3, 3, none, padding<1>>>("larger_batch");
  cases.check<image<3, 1, 1>, conv2d<4, 1>>("one_pixel_image");
  cases.check<image<5, 6, 7>, conv2d<6, 1>>("pointwise");
  cases.check<image<4, 7, 7>, conv2d<3, 1, none, stride<2>>>("pointwise_stride_2");
  cases.check<image<3, 3, 4>, conv2d<4, 1, none, padding<1>>>("pointwise_padding");
  cases.check<image<2, 9, 9>, conv2d<4, 3, none, stride<2>>>("stride_2");
  cases.check<image<2, 8, 8>, conv2d<4, 3, none, stride<2>>>("stride_2_with_remainder");
  cases.check<image<3, 10, 11>, conv2d<4, 2, none, stride<3>>>("stride_beyond_kernel");
  cases.check<image<2, 7, 8>, conv2d<3, 3, none, stride<2, 1>>>("stride_by_axis");
  cases.check<image<2, 6, 11>, conv2d<3, extent2d{2, 3}, none, stride<1, 3>>>("stride_1_3");
  cases.check<image<3, 6, 6>, conv2d<4, 3, none, padding<1>>>("padding");
  cases.check<image<2, 5, 7>, conv2d<3, extent2d{4, 3}, none, padding<2, 0>>>("padding_by_axis");
  cases.check<image<2, 4, 4>, conv2d<3, 2, none, padding<3>>>("padding_beyond_kernel");
  cases.check<image<3, 7, 7>, conv2d<4, 3, none, stride<2>, padding<1>>>("padding_and_stride");
  cases.check<image<2, 6, 7>, conv2d<4, 3, none, same>>("same");
  cases.check<image<2, 6, 6>, conv2d<3, 4, none, same>>("same_even");
  cases.check<image<2, 7, 6>, conv2d<3, extent2d{2, 3}, none, same, dilation<3, 2>>>("same_dilated");
  cases.check<image<2, 8, 8>, conv2d<3, 3, none, dilation<2>>>("dilation");
  cases.check<image<3, 6, 9>, conv2d<3, 3, none, dilation<1, 3>>>("dilation_by_axis");
  cases.check<image<2, 9, 10>, conv2d<3, 3, none, stride<2, 3>, padding<2, 3>, dilation<2, 1>>>(
      "all_by_axis");
  cases.check<image<4, 6, 6>, conv2d<6, 3, none, groups<2>>>("groups");
  cases.check<image<6, 5, 6>, conv2d<9, extent2d{3, 2}, none, same, groups<3>, no_bias>>("groups_same");
  cases.check<image<5, 6, 6>, conv2d<5, 3, none, padding<1>, groups<5>>>("depthwise");
  cases.check<image<3, 6, 7>, conv2d<6, 3, none, stride<2>, groups<3>>>("depthwise_multiplied");
  cases.check<image<2, 3, 3>, conv2d<3, 5, none, padding<2>>>("kernel_beyond_image");
  cases.check<image<3, 4, 5>, conv2d<6, extent2d{4, 5}>>("kernel_is_image");
  cases.check<image<2, 1, 12>, conv2d<3, extent2d{1, 4}, none, stride<1, 2>>>("one_row");
  cases.check_complete();
}

TEST_CASE("A pool of maxima is PyTorch's: a tie's gradient goes to the first", "[golden]") {
  using namespace px;
  const golden::layer_cases cases("convolutions", "max_pool", few_values);
  cases.check<image<3, 6, 6>, max_pool<2>>("plain");
  cases.check<image<3, 7, 5>, max_pool<2>>("remainder");
  cases.check<image<3, 7, 7>, max_pool<3, stride<2>>>("overlapping");
  cases.check<image<3, 6, 7>, max_pool<3, stride<2>, padding<1>>>("padding");
  cases.check<image<3, 5, 8>, max_pool<extent2d{2, 3}, stride<1, 2>, padding<1, 0>>>("by_axis");
  cases.check<image<3, 5, 6>, max_pool<5, stride<1>, padding<2>>>("wide_window");
  cases.check<image<3, 8, 8>, max_pool<2, stride<3>>>("gaps");
  cases.check<image<3, 4, 5>, max_pool<extent2d{4, 5}>>("whole_image");
  cases.check_complete();
}

TEST_CASE("A pool of means is PyTorch's: padding counts", "[golden]") {
  using namespace px;
  const golden::layer_cases cases("convolutions", "average_pool", unit_values);
  cases.check<image<3, 6, 6>, average_pool<2>>("plain");
  cases.check<image<3, 7, 5>, average_pool<2>>("remainder");
  cases.check<image<3, 7, 7>, average_pool<3, stride<2>>>("overlapping");
  cases.check<image<3, 6, 7>, average_pool<3, stride<2>, padding<1>>>("padding");
  cases.check<image<3, 5, 8>, average_pool<extent2d{2, 3}, stride<1, 2>, padding<1, 0>>>("by_axis");
  cases.check<image<3, 5, 6>, average_pool<5, stride<1>, padding<2>>>("wide_window");
  cases.check<image<3, 8, 8>, average_pool<2, stride<3>>>("gaps");
  cases.check<image<3, 4, 7>, global_average_pool>("global");
  cases.check<image<3, 1, 1>, global_average_pool>("global_of_one_pixel");
  cases.check_complete();
}
