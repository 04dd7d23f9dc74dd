// Every activation, inside a network and at its end, under every loss.
#pragma once

#include "combinations.hpp"

namespace combinations {

using bounded = list<plexus::hard_sigmoid, plexus::sigmoid, plexus::sine, plexus::softsign, plexus::tanh>;
using rectifiers =
    list<plexus::elu, plexus::leaky_relu, plexus::relu, plexus::selu, plexus::softplus, plexus::squareplus>;
using unbounded = list<plexus::exponential, plexus::gelu, plexus::gelu_tanh, plexus::identity, plexus::mish,
                       plexus::silu, support::swish>;

// What plexus::relative_squared says the slope of: the denominators, here those of one sample, are held
// constant.
struct relative_squared {
  float denominators[3];

  template <class Group, class Target, class Gradient>
  PLEXUS_FN float operator()(Group group, const float* a, Target y, int width, Gradient gradient) const {
    float sum = 0;
    for (int j = group.rank(); j < width; j += group.size()) {
      sum += (a[j] - y(j)) * (a[j] - y(j)) / denominators[j];
      gradient(j, plexus::relative_squared{}(a[j], y(j)).slope / static_cast<float>(width));
    }
    return group.sum(sum) / static_cast<float>(width);
  }
};

template <class Visit>
void for_each_other_loss(const Visit& visit) {
  using enum targets;
  visit(plexus::quadratic{}, values);
  visit(plexus::mean_squared{}, values);
  visit(plexus::mean_absolute{}, values);
  visit(plexus::mean_absolute_percentage{.epsilon = 0.25f}, values);
  visit(plexus::huber{.delta = 0.5f}, values);
  visit(plexus::smooth_l1{.beta = 0.5f}, values);
  visit(plexus::summed{plexus::mean_squared{}}, values);
  visit(plexus::hinge{}, sides);
  visit(plexus::binary_cross_entropy{.positive_weight = 1.5f}, values);
  visit(plexus::kl_divergence{}, masses);
  visit(plexus::softmax_cross_entropy{.label_smoothing = 0.25f}, labels);
}

// Of weights with which no kink, of an activation or a loss, is near.
constexpr std::uint64_t seed = 32;

template <class Activation>
void check_losses() {
  using network =
      plexus::network<plexus::input<4>, plexus::dense<4, Activation>,
                      plexus::dense<3, Activation, plexus::no_bias>, plexus::dense<3, Activation>>;
  network net{plexus::seed{seed}};
  for_each_other_loss(
      [&](const auto& loss, targets kind) { check_gradients(net, loss, samples(kind, 5, 4, 3)); });

  const plexus::dataset one = samples(targets::values, 1, 4, 3);
  relative_squared loss{};
  for (std::size_t j = 0; const float a : net.predict(one.inputs, 1))
    loss.denominators[j++] = a * a + plexus::relative_squared{}.epsilon;
  check_gradients(net, loss, one);
}

template <class Activations>
void check_activations() {
  for_each_type(Activations{},
                []<class Activation>(std::type_identity<Activation>) { check_losses<Activation>(); });
}

}  // namespace combinations
