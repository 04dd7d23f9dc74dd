// The gradients of a network against central differences of its loss.
#pragma once

#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/worst.hpp"

namespace central_differences {

inline plexus::target_view targets_of(const plexus::dataset& data, const plexus::buffer<int>& labels,
                                      const plexus::buffer<float>& values) {
  return data.labels.empty() ? plexus::target_view{nullptr, values.data(), data.outputs}
                             : plexus::target_view{labels.data(), nullptr, 0};
}

// ∂f/∂v by the five-point stencil: the error is of the order h⁴, so that h may be large beside FP32's
// rounding.
template <class Function>
double central_difference(const Function& f, float v) {
  const float h = 0.02f;
  return (8 * (f(v + h) - f(v - h)) - (f(v + 2 * h) - f(v - 2 * h))) / (12.0 * h);
}

// Compares every gradient of `net`, and that of the input, with central differences of the mean loss.
template <class Network, class Loss>
void check_gradients(const plexus::dataset& data, const Loss& loss, plexus::gemm_policy policy) {
  Network net{plexus::seed{21}, policy};
  const int n = data.size();
  const plexus::buffer<float> x = plexus::to_device(net.stream(), data.inputs);
  const plexus::buffer<int> labels = plexus::to_device(net.stream(), data.labels);
  const plexus::buffer<float> values = plexus::to_device(net.stream(), data.targets);
  const plexus::target_view y = targets_of(data, labels, values);
  const auto inputs = plexus::matrix<const float>(x.data(), n, data.features);
  const plexus::buffer<float> dx(data.inputs.size());

  const auto mean_loss = [&] {
    net.reset_totals();
    net.judge(inputs, y, loss);
    return net.totals().loss / n;
  };
  net.backward(inputs, y, loss, plexus::matrix(dx.data(), n, data.features));

  double worst = 0;
  const auto check_tensor = [&](plexus::view<float> at, plexus::view<float> gradient) {
    std::vector<float> w = plexus::to_host(net.stream(), at);
    const std::vector<float> dw = plexus::to_host(net.stream(), gradient);
    for (std::size_t i = 0; i < w.size(); ++i) {
      const float kept = w[i];
      const double numeric = central_difference(
          [&](float v) {
            w[i] = v;
            plexus::copy_to_device<float>(net.stream(), at.data, w);
            return mean_loss();
          },
          kept);
      w[i] = kept;
      worst = support::worse(worst, std::abs(numeric - static_cast<double>(dw[i])));
    }
    plexus::copy_to_device<float>(net.stream(), at.data, w);
  };
  const auto gradients = net.gradients();
  const auto parameters = net.parameters();
  for (std::size_t i = 0; i < gradients.size(); ++i) check_tensor(parameters[i].values, gradients[i].values);
  check_tensor(x.view(), dx.view());
  CHECK(worst < 1e-4);
}

}  // namespace central_differences
