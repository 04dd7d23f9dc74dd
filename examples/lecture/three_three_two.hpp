// The network of the slide "Inference", in plexus and by hand: 3 inputs, 3 hidden neurons, 2 outputs, no
// biases.
#pragma once

#include <plexus/plexus.hpp>

#include <array>
#include <cmath>
#include <vector>

namespace lecture {

namespace px = plexus;

using three_three_two =
    px::network<px::input<3>, px::dense<3, px::sigmoid, px::no_bias>, px::dense<2, px::sigmoid, px::no_bias>>;

inline const std::vector<float> hidden_weights{1, -2, 2,   // H1
                                               2, 1,  -4,  // H2
                                               1, -1, 0};  // H3
inline const std::vector<float> output_weights{-3, 1, -3,  // O1
                                               0,  1, 2};  // O2
inline const std::array slide_input{0.5f, 0.9f, -0.3f};

template <class Network>
void set_weights(Network& net, std::size_t number, const std::vector<float>& values) {
  px::copy_to_device<float>(net.stream(), net.parameters()[number].values.data, values);
}

inline three_three_two slide_network() {
  three_three_two net;
  set_weights(net, 0, hidden_weights);
  set_weights(net, 1, output_weights);
  return net;
}

// The same in double, every sum written out.
struct by_hand {
  std::array<double, 9> hidden{};
  std::array<double, 6> output{};

  by_hand() : by_hand(hidden_weights, output_weights) {}
  by_hand(const std::vector<float>& hidden_values, const std::vector<float>& output_values) {
    for (std::size_t i = 0; i < 9; ++i) hidden[i] = static_cast<double>(hidden_values[i]);
    for (std::size_t i = 0; i < 6; ++i) output[i] = static_cast<double>(output_values[i]);
  }

  struct pass {
    std::array<double, 3> x, hidden_sums, hidden;
    std::array<double, 2> output_sums, outputs;
  };

  static double sigmoid(double t) { return 1 / (1 + std::exp(-t)); }

  template <class Number>
  pass forward(const Number* x) const {
    pass p{};
    for (std::size_t i = 0; i < 3; ++i) p.x[i] = static_cast<double>(x[i]);
    for (std::size_t h = 0; h < 3; ++h) {
      for (std::size_t i = 0; i < 3; ++i) p.hidden_sums[h] += hidden[3 * h + i] * p.x[i];
      p.hidden[h] = sigmoid(p.hidden_sums[h]);
    }
    for (std::size_t o = 0; o < 2; ++o) {
      for (std::size_t h = 0; h < 3; ++h) p.output_sums[o] += output[3 * o + h] * p.hidden[h];
      p.outputs[o] = sigmoid(p.output_sums[o]);
    }
    return p;
  }
};

// Each neuron's contribution δ = ∂C/∂z to one sample's error ½‖y − a‖², by BP1 and BP2.
struct contributions {
  std::array<double, 3> hidden{};
  std::array<double, 2> outputs{};

  template <class Number>
  contributions(const by_hand& net, const by_hand::pass& p, const Number* y) {
    for (std::size_t o = 0; o < 2; ++o) {
      outputs[o] = (p.outputs[o] - static_cast<double>(y[o])) * p.outputs[o] * (1 - p.outputs[o]);
      for (std::size_t h = 0; h < 3; ++h) hidden[h] += net.output[3 * o + h] * outputs[o];
    }
    for (std::size_t h = 0; h < 3; ++h) hidden[h] *= p.hidden[h] * (1 - p.hidden[h]);
  }
};

// Weights of a network that others learn from.
inline const std::vector<float> teacher_hidden_weights{2, -1, 1, -2, 3, 1, 1, 2, -1};
inline const std::vector<float> teacher_output_weights{2, -3, 1, -1, 2, 2};

// A small training set: what the teacher says of fixed inputs.
inline px::dataset training_set(int size) {
  const by_hand teacher(teacher_hidden_weights, teacher_output_weights);
  px::dataset data{.features = 3, .outputs = 2};
  const px::random_stream random{2018, 11};
  for (int i = 0; i < 3 * size; ++i) {
    data.inputs.push_back(2 * random.uniform(static_cast<std::uint64_t>(i)) - 1);
  }
  for (int i = 0; i < size; ++i) {
    for (const double y : teacher.forward(data.inputs.data() + 3 * i).outputs) {
      data.targets.push_back(static_cast<float>(y));
    }
  }
  return data;
}

// The lecture's cost over a training set: C = 1/(2n) Σₓ ‖y(x) − a‖².
inline double quadratic_cost(const by_hand& net, const px::dataset& data) {
  double sum = 0;
  for (int i = 0; i < data.size(); ++i) {
    const auto a = net.forward(data.inputs.data() + 3 * i).outputs;
    const float* y = data.targets.data() + 2 * i;
    for (std::size_t o = 0; o < 2; ++o)
      sum += (static_cast<double>(y[o]) - a[o]) * (static_cast<double>(y[o]) - a[o]);
  }
  return sum / (2 * data.size());
}

// Its gradient: the mean of ∂C_X/∂w over samples first … first + count − 1.
inline by_hand cost_gradient(const by_hand& net, const px::dataset& data, int first, int count) {
  by_hand gradient;
  gradient.hidden = {};
  gradient.output = {};
  for (int i = first; i < first + count; ++i) {
    const auto p = net.forward(data.inputs.data() + 3 * i);
    const contributions delta(net, p, data.targets.data() + 2 * i);
    for (std::size_t h = 0; h < 3; ++h) {
      for (std::size_t k = 0; k < 3; ++k) gradient.hidden[3 * h + k] += delta.hidden[h] * p.x[k] / count;
    }
    for (std::size_t o = 0; o < 2; ++o) {
      for (std::size_t h = 0; h < 3; ++h)
        gradient.output[3 * o + h] += delta.outputs[o] * p.hidden[h] / count;
    }
  }
  return gradient;
}

}  // namespace lecture
