// What a network's layers look for, and what they see: pictures of filters and of feature maps. Needs stb.
#pragma once

#include <plexus/core/buffer.hpp>
#include <plexus/core/error.hpp>
#include <plexus/inspect/image_grid.hpp>
#include <plexus/layers/layer.hpp>
#include <plexus/layers/shape.hpp>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>

namespace plexus::inline PLEXUS_ABI::inspect {

// The weights of a convolution (outputs, channels / groups, height, width), or of a dense layer over images,
// each of whose units has a weight for every value of the image. Waits for the layer's stream.
template <class Layer>
images filter_weights(const layer_view<Layer>& layer) {
  using input = image_traits<typename Layer::input_shape>;
  static_assert(input::is_image && !Layer::parameters.empty(),
                "plexus::inspect::filters: the layer has no filters over images");
  constexpr parameter_spec spec = Layer::parameters[0];
  constexpr bool is_dense = spec.extents[2] == 0;
  constexpr int channels = is_dense ? input::channels : spec.extents[1];
  constexpr extent2d extent = is_dense ? input::extent : extent2d(spec.extents[2], spec.extents[3]);
  return {channels, extent, to_host(layer.stream, view<const float>{layer.parameters, spec.size()})};
}

// filters(net.template layer<0>()): a picture of them, 0 in grey. In colour where a filter sees 3 channels,
// whatever these are; else a row of the grid is a filter, with a tile for each channel that it sees.
template <class Layer>
picture filters(const layer_view<Layer>& layer, const grid_options& how = {}) {
  return draw_grid(filter_weights(layer), shading::around_zero, how);
}

// The outputs of layer L for one image in host memory: a tile for each channel, all shaded alike.
template <std::size_t L, class Network>
picture feature_maps(Network& net, std::span<const float> image, const grid_options& how = {}) {
  using output = image_traits<typename Network::template layer_type<L>::output_shape>;
  static_assert(output::is_image, "plexus::inspect::feature_maps: the layer's outputs are no images");
  if (image.size() != Network::input_size) {
    throw error("drawing feature maps", "the image has " + std::to_string(image.size()) + " values",
                "give the network's " + std::to_string(Network::input_size));
  }
  require(std::all_of(image.begin(), image.end(), [](float value) { return std::isfinite(value); }),
          "drawing feature maps", "the image has a value that is not finite", "give finite values");
  return draw_grid({output::channels, output::extent, net.template activations<L>(image), false},
                   shading::least_to_most, how);
}

}  // namespace plexus::inline PLEXUS_ABI::inspect
