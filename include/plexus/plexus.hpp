// The one include: core, layers, losses, optimisers, network and training. It needs CUDA or hostcuda, and
// nothing else.
#pragma once

#include <plexus/inference.hpp>
#include <plexus/losses/binary_cross_entropy.hpp>
#include <plexus/losses/hinge.hpp>
#include <plexus/losses/huber.hpp>
#include <plexus/losses/kl_divergence.hpp>
#include <plexus/losses/mean_absolute.hpp>
#include <plexus/losses/mean_absolute_percentage.hpp>
#include <plexus/losses/mean_squared.hpp>
#include <plexus/losses/quadratic.hpp>
#include <plexus/losses/relative_squared.hpp>
#include <plexus/losses/smooth_l1.hpp>
#include <plexus/losses/softmax_cross_entropy.hpp>
#include <plexus/losses/summed.hpp>
#include <plexus/optimizers/adagrad.hpp>
#include <plexus/optimizers/adam.hpp>
#include <plexus/optimizers/averaged.hpp>
#include <plexus/optimizers/clip.hpp>
#include <plexus/optimizers/lion.hpp>
#include <plexus/optimizers/plateau.hpp>
#include <plexus/optimizers/rmsprop.hpp>
#include <plexus/optimizers/schedules.hpp>
#include <plexus/optimizers/sgd.hpp>
#include <plexus/train/evaluate.hpp>
#include <plexus/train/fit.hpp>
