#include "network.hpp"

#include <plexus/io/safetensors.hpp>
#include <plexus/plexus.hpp>

namespace px = plexus;

std::array<float, 2> lecture_outputs(const std::array<float, 3>& inputs) {
  px::network<px::input<3>, px::dense<3, px::sigmoid, px::no_bias>, px::dense<2, px::sigmoid, px::no_bias>>
      net;
  const std::array<float, 9> hidden{1, -2, 2, 2, 1, -4, 1, -1, 0};
  const std::array<float, 6> output{-3, 1, -3, 0, 1, 2};
  const auto parameters = net.parameters();
  px::copy_to_device(net.stream(), parameters[0].values.data, std::span<const float>(hidden));
  px::copy_to_device(net.stream(), parameters[1].values.data, std::span<const float>(output));
  return net.predict(inputs);
}
