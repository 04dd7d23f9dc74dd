// What the program that trains and the one that infers share: the network's type, and how its images are
// normalised.
#pragma once

#include "../support/fashion_mnist.hpp"

#include <plexus/inference.hpp>

#include <filesystem>

namespace inference_only {

// LeNet with a narrower head: 11,126 parameters.
using network = plexus::network<plexus::image<1, 28, 28>, plexus::conv2d<6, 5, plexus::relu>,
                                plexus::max_pool<2>, plexus::conv2d<16, 5, plexus::relu>, plexus::max_pool<2>,
                                plexus::dense<32, plexus::relu>, plexus::dense<10>>;

// The images of this part, pixels in [0, 1] as (p − mean) / deviation, with those of the training images:
// what was learnt from data belongs to the weights, and does not depend on the images that are looked at.
inline plexus::dataset load_images(const std::filesystem::path& folder, const std::string& part) {
  fashion_mnist::require_data(folder);
  plexus::dataset images = fashion_mnist::load(folder, part);
  for (float& pixel : images.inputs) pixel = (pixel - 0.2860f) / 0.3530f;
  return images;
}

}  // namespace inference_only
