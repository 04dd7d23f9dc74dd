// For a program that only runs trained networks: layers, activations and network, without a loss, an
// optimiser to train by, and fit(). A network is a template, whose functions for training are compiled where
// they are called.
#pragma once

#include <plexus/activations/elu.hpp>
#include <plexus/activations/exponential.hpp>
#include <plexus/activations/gelu.hpp>
#include <plexus/activations/gelu_tanh.hpp>
#include <plexus/activations/hard_sigmoid.hpp>
#include <plexus/activations/identity.hpp>
#include <plexus/activations/leaky_relu.hpp>
#include <plexus/activations/mish.hpp>
#include <plexus/activations/relu.hpp>
#include <plexus/activations/selu.hpp>
#include <plexus/activations/sigmoid.hpp>
#include <plexus/activations/silu.hpp>
#include <plexus/activations/sine.hpp>
#include <plexus/activations/softplus.hpp>
#include <plexus/activations/softsign.hpp>
#include <plexus/activations/squareplus.hpp>
#include <plexus/activations/tanh.hpp>
#include <plexus/layers/batch_norm.hpp>
#include <plexus/layers/conv2d.hpp>
#include <plexus/layers/dense.hpp>
#include <plexus/layers/dropout.hpp>
#include <plexus/layers/layer_norm.hpp>
#include <plexus/layers/local_response_norm.hpp>
#include <plexus/layers/pool.hpp>
#include <plexus/layers/softmax.hpp>
#include <plexus/network.hpp>
