// Small data sets and networks that several tests use.
#pragma once

#include <plexus/core/buffer.hpp>
#include <plexus/core/random.hpp>
#include <plexus/data/dataset.hpp>

#include <algorithm>

namespace support {

inline std::vector<float> random_values(std::size_t size, std::uint64_t key = 5) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = plexus::random_stream{key, 77}.normal(i);
  return values;
}

// Points of `outputs` classes: the class is the place of the largest of the first `outputs` features.
inline plexus::dataset largest_feature(int size, int features, int outputs, std::uint64_t key = 5) {
  plexus::dataset data;
  data.features = features;
  data.outputs = outputs;
  data.inputs = random_values(static_cast<std::size_t>(size) * static_cast<std::size_t>(features), key);
  for (int i = 0; i < size; ++i) {
    const auto first = data.inputs.begin() + static_cast<std::ptrdiff_t>(i) * features;
    data.labels.push_back(static_cast<int>(std::max_element(first, first + outputs) - first));
  }
  return data;
}

// Random inputs with random targets in (0, 1).
inline plexus::dataset random_targets(int size, int features, int outputs, std::uint64_t key = 6) {
  plexus::dataset data;
  data.features = features;
  data.outputs = outputs;
  data.inputs = random_values(static_cast<std::size_t>(size) * static_cast<std::size_t>(features), key);
  for (int i = 0; i < size * outputs; ++i) {
    data.targets.push_back(plexus::random_stream{key, 78}.uniform(static_cast<std::uint64_t>(i)));
  }
  return data;
}

// A user's activation, with no derivative from its output: the network must keep z.
struct swish {
  PLEXUS_FN float operator()(float z) const { return z / (1 + expf(-z)); }
  PLEXUS_FN float derivative(float z) const {
    const float s = 1 / (1 + expf(-z));
    return s + z * s * (1 - s);
  }
};

template <class Network, class Tensors>
std::vector<std::vector<float>> values_of(Network& net, const Tensors& tensors) {
  std::vector<std::vector<float>> all;
  for (const auto& tensor : tensors) all.push_back(plexus::to_host(net.stream(), tensor.values));
  return all;
}

template <class Network>
std::vector<std::vector<float>> parameter_values(Network& net) {
  return values_of(net, net.parameters());
}

// Statistics too.
template <class Network>
std::vector<std::vector<float>> tensor_values(Network& net) {
  return values_of(net, net.tensors());
}

template <class Network>
void set_parameter(Network& net, std::size_t number, const std::vector<float>& values) {
  const auto tensor = net.parameters().at(number).values;
  if (tensor.size != values.size()) throw std::invalid_argument("set_parameter: wrong size");
  plexus::copy_to_device<float>(net.stream(), tensor.data, values);
}

}  // namespace support
