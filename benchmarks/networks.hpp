// The networks that train on Fashion-MNIST, as types.
#pragma once

#include <plexus/plexus.hpp>

namespace workload {

using mlp_300_network =
    plexus::network<plexus::input<784>, plexus::dense<300, plexus::relu>, plexus::dense<10>>;
using lenet_network =
    plexus::network<plexus::image<1, 28, 28>, plexus::conv2d<6, 5, plexus::relu>, plexus::max_pool<2>,
                    plexus::conv2d<16, 5, plexus::relu>, plexus::max_pool<2>,
                    plexus::dense<120, plexus::relu>, plexus::dense<84, plexus::relu>, plexus::dense<10>>;

}  // namespace workload
