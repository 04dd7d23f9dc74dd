// Networks of many types under many losses: their gradients, against central differences of the loss.
#pragma once

#include <plexus/inspect/check_gradients.hpp>
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"

#include <cxxabi.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <vector>

namespace combinations {

// As C++ writes it: plexus::network<…>.
template <class T>
std::string name_of() {
  char* const text = abi::__cxa_demangle(typeid(T).name(), nullptr, nullptr, nullptr);
  std::string name = text;
  std::free(text);
  return name;
}

template <class... Types>
struct list {};

template <class... Types, class Visit>
void for_each_type(list<Types...>, const Visit& visit) {
  (visit(std::type_identity<Types>{}), ...);
}

// What a loss wants to be compared with: values in (0, 1), such values whose sum is 1, −1 and 1, or classes.
enum class targets { values, masses, sides, labels };

inline plexus::dataset samples(targets kind, int n, int features, int outputs) {
  if (kind == targets::labels) return support::largest_feature(n, features, outputs);
  plexus::dataset data = support::random_targets(n, features, outputs);
  if (kind == targets::sides) {
    for (float& y : data.targets) y = y < 0.5f ? -1.0f : 1.0f;
  }
  if (kind == targets::masses) {
    for (auto row = data.targets.begin(); row != data.targets.end(); row += outputs) {
      float sum = 0;
      for (int j = 0; j < outputs; ++j) sum += row[j];
      for (int j = 0; j < outputs; ++j) row[j] /= sum;
    }
  }
  return data;
}

// Eight values of each tensor.
template <class Network, class Loss>
void check_gradients(Network& net, const Loss& loss, const plexus::dataset& data) {
  const plexus::inspect::gradient_options some{.values = 8};
  const plexus::inspect::gradient_check found =
      data.labels.empty() ? plexus::inspect::check_gradients(net, loss, data.inputs, data.targets, some)
                          : plexus::inspect::check_gradients(net, loss, data.inputs, data.labels, some);
  INFO(name_of<Network>() << "\nunder " << name_of<Loss>() << "\n" << to_string(found));
  CHECK(found.passed(1e-3));
}

// Activations of every nature: one bounded, one that backward finds from z, and one with a kink.
using natures = list<plexus::tanh, plexus::silu, plexus::relu>;

// Layers between two others, with each of these activations, under a loss of all outputs of a sample and one
// of each; of the fewest samples and of several, by plexus's own products and by the vendor's.
template <template <class> class Network>
void check_layers(int fewest = 1) {
  for_each_type(natures{}, [&]<class Activation>(std::type_identity<Activation>) {
    using network = Network<Activation>;
    const auto check = [&](const auto& loss, targets kind, int n, plexus::gemm_policy policy) {
      network net{plexus::seed{4}, policy};
      check_gradients(net, loss, samples(kind, n, network::input_size, network::output_size));
    };
    check(plexus::softmax_cross_entropy{}, targets::labels, 5, plexus::gemm_policy::native);
    check(plexus::huber{.delta = 0.5f}, targets::values, fewest, plexus::gemm_policy::native);
    check(plexus::huber{.delta = 0.5f}, targets::values, 5, plexus::default_gemm_policy);
  });
}

}  // namespace combinations
