// How good a network is on a data set.
#pragma once

#include <plexus/network.hpp>
#include <plexus/train/device_dataset.hpp>
#include <plexus/train/prefetcher.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

struct evaluation {
  double loss = 0;      // mean over the samples, or the sum where the loss is a summed one
  double accuracy = 0;  // fraction in [0, 1]; NaN where neither outputs nor loss tell classes apart
};

// Throws unless `data` is valid and has the network's widths; returns its shape.
template <class Network>
source_shape require_fit(const char* doing, const Network&, const source_shape& data) {
  validate(data);
  if (data.features == Network::input_size && data.outputs == Network::output_size) return data;
  throw error(doing,
              "the data have " + std::to_string(data.features) + " features and " +
                  std::to_string(data.outputs) + " outputs, the network takes " +
                  std::to_string(Network::input_size) + " and gives " + std::to_string(Network::output_size),
              "change the network's first or last layer, or the data");
}
template <class Network>
source_shape require_fit(const char* doing, const Network& net, const dataset& data) {
  data.validate();
  return require_fit(doing, net, shape_of(data));
}
template <class Network>
source_shape require_fit(const char* doing, const Network& net, const batch_source& data) {
  return require_fit(doing, net, data.shape());
}

// The means of what `samples` samples add up to.
template <class Network, class Loss>
evaluation mean_of(const batch_totals& totals, double samples) {
  constexpr bool has_classes = Network::output_size > 1 || binary_loss<Loss>;
  return {totals.loss / divisor_of<Loss>(samples),
          has_classes ? totals.correct / samples : std::numeric_limits<double>::quiet_NaN()};
}

namespace detail {

inline constexpr int rows_judged_at_once = 256;

// judge(first, rows) judges those of the samples.
template <class Network, class Loss, class Judge>
evaluation evaluate_all(Network& net, int samples, const Loss& loss, Judge judge) {
  validate_loss(loss, Network::output_size);
  const batch_totals under_way = net.totals();  // of an epoch, where a progress callback evaluates
  net.reset_totals();
  for (int first = 0; first < samples; first += rows_judged_at_once) {
    judge(first, std::min(rows_judged_at_once, samples - first));
  }
  const evaluation result = mean_of<Network, Loss>(net.totals(), samples);
  net.restore_totals(under_way);
  return result;
}

}  // namespace detail

template <class Network, class Loss>
evaluation evaluate(Network& net, const device_dataset& data, const Loss& loss) {
  return detail::evaluate_all(net, data.size(), loss, [&](int first, int rows) {
    auto x = data.inputs();
    x = {x.row(first), rows, x.cols, x.ld};
    net.judge(x, data.targets().from(first), loss);
  });
}

// Loss and accuracy of `net` over `data`.
template <class Network, class Loss>
evaluation evaluate(Network& net, const dataset& data, const Loss& loss) {
  require_fit("evaluating a network", net, data);
  return evaluate(net, device_dataset(net.stream(), data), loss);
}

// The same over the samples of a source, as they are in epoch 0.
template <class Network, class Loss>
evaluation evaluate(Network& net, const batch_source& data, const Loss& loss) {
  const int samples = require_fit("evaluating a network", net, data).samples;
  prefetcher batches(data, std::min(samples, detail::rows_judged_at_once));
  batches.begin(net.stream(), in_order(samples), 0);
  return detail::evaluate_all(net, samples, loss, [&](int, int rows) {
    batches.next(net.stream(), rows);
    net.judge(batches.inputs(rows), batches.targets(), loss);
  });
}

}  // namespace plexus::inline PLEXUS_ABI
