// Training against PyTorch's: outputs, losses, every gradient of the first step, and the parameters after
// ten.
#pragma once

#include "golden.hpp"

#include <span>

namespace golden {

constexpr int steps = 10;
constexpr std::size_t sample_stride = 61;

// PyTorch's five forms of SGD, as make_golden.py's OPTIMISERS.
struct named_optimizer {
  std::string name;
  plexus::sgd optimizer;
};
inline const std::vector<named_optimizer> every_optimizer{
    {"plain", {.rate = 0.125f}},
    {"momentum", {.rate = 0.125f, .momentum = 0.75f}},
    {"nesterov", {.rate = 0.125f, .momentum = 0.75f, .nesterov = true}},
    {"weight_decay", {.rate = 0.125f, .weight_decay = 0.0625f}},
    {"all", {.rate = 0.125f, .momentum = 0.75f, .weight_decay = 0.0625f, .nesterov = true}},
};

inline double sign(std::size_t i) { return i % 2 == 0 ? 1 : -1; }

// What make_golden.py's store() keeps of a tensor: all of it, or samples and sums.
inline void check_stored(const file& expected, const std::string& name, std::size_t rows,
                         const std::vector<float>& values) {
  INFO(name);
  if (expected.has(name)) {
    check_close(values, expected[name]);
    return;
  }
  std::vector<float> entries;
  for (std::size_t i = 0; i < values.size(); i += sample_stride) entries.push_back(values[i]);
  const std::vector<double> expected_entries = expected[name + "/entries"];
  const double scale = root_mean_square(expected_entries);
  check_close(entries, expected_entries);

  const std::size_t cols = values.size() / rows;
  std::vector<double> row_sums(rows), column_sums(cols);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) {
      const auto value = static_cast<double>(values[i * cols + j]);
      row_sums[i] += sign(j) * value;
      column_sums[j] += sign(i) * value;
    }
  }
  check_close(row_sums, expected[name + "/row_sums"], scale);
  check_close(column_sums, expected[name + "/column_sums"], scale);
}

template <class Network>
void check_stored(const file& expected, const std::string& folder, const Network& net,
                  const std::vector<plexus::named_parameter>& tensors) {
  for (const auto& tensor : tensors) {
    check_stored(expected, folder + tensor.name, tensor.shape[0],
                 plexus::to_host(net.stream(), tensor.values));
  }
}

// A case of make_golden.py with one optimiser. Targets are values or labels, as the loss wants them.
template <class Network, class Loss, class Target>
void check_network(const file& expected, const std::string& name, plexus::gemm_policy policy,
                   const std::vector<float>& scale, const std::vector<float>& x, const std::vector<Target>& y,
                   const Loss& loss, plexus::sgd optimizer) {
  INFO(name << (policy == plexus::gemm_policy::native ? ", native" : ", vendor"));
  const int batch = static_cast<int>(x.size()) / Network::input_size;
  Network net{plexus::seed{0}, policy};
  set_parameters(net, scale);
  const bool first_of_case = name.ends_with("plain");
  if (first_of_case) check_close(net.predict(x, batch), expected[name + "/output"]);

  std::vector<double> losses;
  for (int step = 0; step < steps; ++step) {
    net.reset_totals();
    net.step(std::span<const float>(x), std::span<const Target>(y), loss, optimizer);
    losses.push_back(net.totals().loss / batch);
    if (step == 0 && first_of_case) check_stored(expected, name + "/gradient/", net, net.gradients());
  }
  check_close(losses, expected[name + "/losses"]);
  check_stored(expected, name + "/final/", net, net.parameters());
}

}  // namespace golden
