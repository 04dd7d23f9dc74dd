// A dense network in double, written straight from the lecture's equations: what tests compare with.
#pragma once

#include <plexus/network.hpp>

#include <cmath>
#include <functional>
#include <vector>

namespace reference {

using vector = std::vector<double>;

struct activation {
  std::function<double(double)> f;
  std::function<double(double)> derivative;
};

inline double logistic(double z) { return 1 / (1 + std::exp(-z)); }

inline activation sigmoid() {
  return {logistic, [](double z) { return logistic(z) * (1 - logistic(z)); }};
}
inline activation tanh() {
  return {[](double z) { return std::tanh(z); }, [](double z) { return 1 - std::tanh(z) * std::tanh(z); }};
}
inline activation relu() {
  return {[](double z) { return z > 0 ? z : 0; }, [](double z) { return z > 0 ? 1.0 : 0.0; }};
}
inline activation leaky_relu() {
  return {[](double z) { return z > 0 ? z : 0.01 * z; }, [](double z) { return z > 0 ? 1.0 : 0.01; }};
}
inline activation softplus() {
  return {[](double z) { return std::log1p(std::exp(z)); }, logistic};
}
inline activation identity() {
  return {[](double z) { return z; }, [](double) { return 1.0; }};
}
inline activation swish() {
  return {[](double z) { return z * logistic(z); },
          [](double z) { return logistic(z) + z * logistic(z) * (1 - logistic(z)); }};
}

struct layer {
  int in, out;
  activation sigma;
  vector w, b;  // (out, in), (out)
};

struct network {
  std::vector<layer> layers;

  // a^l = σ(W a^(l−1) + b) for one sample; all activations and all z are kept.
  void forward(const vector& x, std::vector<vector>& a, std::vector<vector>& z) const {
    a = {x};
    z.clear();
    for (const layer& l : layers) {
      vector sums(static_cast<std::size_t>(l.out));
      for (std::size_t j = 0; j < sums.size(); ++j) {
        sums[j] = l.b[j];
        for (std::size_t k = 0; k < static_cast<std::size_t>(l.in); ++k) {
          sums[j] += l.w[j * static_cast<std::size_t>(l.in) + k] * a.back()[k];
        }
      }
      vector outputs(sums.size());
      for (std::size_t j = 0; j < sums.size(); ++j) outputs[j] = l.sigma.f(sums[j]);
      z.push_back(sums);
      a.push_back(outputs);
    }
  }

  vector operator()(const vector& x) const {
    std::vector<vector> a, z;
    forward(x, a, z);
    return a.back();
  }

  // BP1 to BP4 for one sample whose ∂C/∂a is `gradient(a)`: adds to dw and db of a network of the same shape,
  // and returns ∂C/∂x.
  vector backward(const vector& x, const std::function<vector(const vector&)>& gradient,
                  network& sums) const {
    std::vector<vector> a, z;
    forward(x, a, z);
    vector above = gradient(a.back());  // ∂C/∂a of the layer at hand
    for (std::size_t l = layers.size(); l-- > 0;) {
      const layer& at = layers[l];
      const auto in = static_cast<std::size_t>(at.in);
      vector below(in, 0.0);
      for (std::size_t j = 0; j < z[l].size(); ++j) {
        const double delta = above[j] * at.sigma.derivative(z[l][j]);
        sums.layers[l].b[j] += delta;
        for (std::size_t k = 0; k < in; ++k) {
          sums.layers[l].w[j * in + k] += delta * a[l][k];
          below[k] += delta * at.w[j * in + k];
        }
      }
      above = below;
    }
    return above;
  }

  network zero() const {
    network same = *this;
    for (layer& l : same.layers) {
      std::fill(l.w.begin(), l.w.end(), 0.0);
      std::fill(l.b.begin(), l.b.end(), 0.0);
    }
    return same;
  }
};

inline vector softmax(const vector& a) {
  double largest = a[0], sum = 0;
  for (const double v : a) largest = std::max(largest, v);
  vector p(a.size());
  for (std::size_t j = 0; j < a.size(); ++j) sum += p[j] = std::exp(a[j] - largest);
  for (double& v : p) v /= sum;
  return p;
}

// The network's parameters (or gradients, in the same form) as a reference network with the given
// activations.
template <class Network>
network copy_of(Network& net, std::vector<plexus::named_parameter> tensors,
                const std::vector<activation>& sigma) {
  network result;
  for (const plexus::named_parameter& tensor : tensors) {
    const std::vector<float> values = plexus::to_host(net.stream(), tensor.values);
    const vector numbers(values.begin(), values.end());
    if (tensor.shape.size() == 2) {
      const int out = static_cast<int>(tensor.shape[0]), in = static_cast<int>(tensor.shape[1]);
      result.layers.push_back({in, out, sigma[result.layers.size()], numbers, vector(tensor.shape[0], 0.0)});
    } else {
      result.layers.back().b = numbers;
    }
  }
  return result;
}

}  // namespace reference
