// Activations in double, by their types; and chains of layers that have them all.
#pragma once

#include "reference.hpp"
#include "support/data.hpp"

#include <plexus/plexus.hpp>

#include <numbers>

namespace reference {

inline activation in_double(plexus::identity) { return identity(); }
inline activation in_double(plexus::sigmoid) { return sigmoid(); }
inline activation in_double(plexus::tanh) { return tanh(); }
inline activation in_double(plexus::relu) { return relu(); }
inline activation in_double(plexus::leaky_relu) { return leaky_relu(); }
inline activation in_double(plexus::softplus) { return softplus(); }
inline activation in_double(support::swish) { return swish(); }
inline activation in_double(plexus::silu) { return swish(); }

inline activation in_double(plexus::elu) {
  return {[](double z) { return z > 0 ? z : std::exp(z) - 1; },
          [](double z) { return z > 0 ? 1 : std::exp(z); }};
}
inline activation in_double(plexus::selu) {
  constexpr double lambda = 1.0507009873554805, alpha = 1.6732632423543772;
  return {[=](double z) { return lambda * (z > 0 ? z : alpha * (std::exp(z) - 1)); },
          [=](double z) { return lambda * (z > 0 ? 1 : alpha * std::exp(z)); }};
}
inline activation in_double(plexus::gelu) {
  const auto cumulative = [](double z) { return (1 + std::erf(z / std::numbers::sqrt2)) / 2; };
  return {
      [=](double z) { return z * cumulative(z); },
      [=](double z) { return cumulative(z) + z * std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi); }};
}
inline activation in_double(plexus::gelu_tanh) {
  const double scale = std::sqrt(2 / std::numbers::pi);
  const auto tanh_u = [=](double z) { return std::tanh(scale * (z + 0.044715 * z * z * z)); };
  return {[=](double z) { return z / 2 * (1 + tanh_u(z)); },
          [=](double z) {
            const double t = tanh_u(z);
            return (1 + t) / 2 + z / 2 * (1 - t * t) * scale * (1 + 3 * 0.044715 * z * z);
          }};
}
inline activation in_double(plexus::mish) {
  return {[](double z) { return z * std::tanh(std::log1p(std::exp(z))); },
          [](double z) {
            const double t = std::tanh(std::log1p(std::exp(z)));
            return t + z * (1 - t * t) * logistic(z);
          }};
}
inline activation in_double(plexus::hard_sigmoid) {
  return {[](double z) { return std::min(std::max(z + 3, 0.0), 6.0) / 6; },
          [](double z) { return std::abs(z) < 3 ? 1.0 / 6 : 0; }};
}
inline activation in_double(plexus::softsign) {
  return {[](double z) { return z / (1 + std::abs(z)); },
          [](double z) { return std::pow(1 + std::abs(z), -2); }};
}
inline activation in_double(plexus::sine) {
  return {[](double z) { return std::sin(z); }, [](double z) { return std::cos(z); }};
}
inline activation in_double(plexus::exponential) {
  return {[](double z) { return std::exp(z); }, [](double z) { return std::exp(z); }};
}
inline activation in_double(plexus::squareplus) {
  return {[](double z) { return (z + std::sqrt(z * z + 4)) / 2; },
          [](double z) { return (1 + z / std::sqrt(z * z + 4)) / 2; }};
}

}  // namespace reference

namespace support {

// Each keeps z in some layers and not in others.
template <template <class...> class Chain>
using elu_gelu_softsign_exponential =
    Chain<plexus::input<13>, plexus::dense<17, plexus::elu>, plexus::dense<33, plexus::gelu, plexus::no_bias>,
          plexus::dense<9, plexus::softsign>, plexus::dense<4, plexus::exponential>, plexus::dense<3>>;
template <template <class...> class Chain>
using selu_silu_hard_sigmoid_sine =
    Chain<plexus::input<8>, plexus::dense<40, plexus::selu>, plexus::dense<7, plexus::silu>,
          plexus::dense<31, plexus::hard_sigmoid, plexus::no_bias>, plexus::dense<12, plexus::sine>,
          plexus::dense<5>>;
template <template <class...> class Chain>
using mish_squareplus_gelu_tanh =
    Chain<plexus::input<5>, plexus::dense<19, plexus::mish>, plexus::dense<11, plexus::squareplus>,
          plexus::dense<16, plexus::gelu_tanh, plexus::no_bias>, plexus::dense<2>>;

}  // namespace support
