// What a network is made of, and what it takes: layers, shapes, parameters, multiply-adds, memory.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/core/text.hpp>
#include <plexus/inspect/text_table.hpp>
#include <plexus/layers/layer.hpp>
#include <plexus/network.hpp>
#include <plexus/optimizers/sgd.hpp>

#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace plexus::inline PLEXUS_ABI::inspect {

// One layer, counted from 0. Memory is in bytes for the summary's batch.
struct layer_summary {
  std::string name;                // such as "conv2d"; "layer" where the layer does not say
  std::vector<std::size_t> shape;  // of one sample's outputs
  std::size_t parameters = 0;
  std::size_t multiply_adds = 0;  // of one sample forward, in products; none where the layer does not say
  batch_bytes memory{};           // its outputs, and what training keeps of it
};

struct network_summary {
  int batch = 0;
  std::vector<std::size_t> input;  // one sample's shape
  std::vector<layer_summary> layers;

  // Of all layers.
  std::size_t parameters = 0, multiply_adds = 0;
  // In bytes. Scratch memory of products, the same for all networks, is not counted, nor what step() and
  // predict() copy from the host.
  batch_bytes beside_layers{}, memory{};  // what batches take beside the layers, and in all
  std::size_t parameter_bytes = 0;        // with what pads them, copies in 16 bits and statistics
  std::size_t gradient_bytes = 0, optimizer_bytes = 0;
};

namespace summing_up {

// 61,706
inline std::string counted(std::size_t number) { return grouped(std::to_string(number)); }

inline std::string bytes(std::size_t count) {
  if (count < 1024) return std::to_string(count) + " B";
  const char* const units[] = {"KiB", "MiB", "GiB", "TiB"};
  double size = static_cast<double>(count) / 1024;
  std::size_t unit = 0;
  for (; size >= 1023.95 && unit < 3; ++unit) size /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %s", size, units[unit]);
  return text;
}

template <class Network, std::size_t L>
layer_summary layer(int batch) {
  using type = typename Network::template layer_type<L>;
  layer_summary result{type::name, used_extents(type::output_shape::extents), 0, type::multiply_adds,
                       Network::template layer_memory<L>(batch)};
  for (const parameter_spec& spec : type::parameters) result.parameters += spec.size();
  return result;
}

}  // namespace summing_up

// summary<my_network>(64, adam{}): of a network trained by that optimiser in batches of up to 64 samples.
// Needs no network, and computes nothing.
template <class Network, class Optimizer = sgd>
network_summary summary(int batch, const Optimizer& optimizer = {}) {
  require(batch > 0, "summing up a network", "the batch has no samples",
          "use a batch of at least one sample");
  network_summary result;
  result.batch = batch;
  result.input = used_extents(Network::template layer_type<0>::input_shape::extents);
  detail::for_each_index<Network::layer_count>(
      [&]<std::size_t L>() { result.layers.push_back(summing_up::layer<Network, L>(batch)); });

  result.memory = result.beside_layers = Network::memory_beside_layers(batch);
  for (const layer_summary& layer : result.layers) {
    result.parameters += layer.parameters;
    result.multiply_adds += layer.multiply_adds;
    result.memory.inference += layer.memory.inference;
    result.memory.training += layer.memory.training;
  }
  result.gradient_bytes = Network::parameter_memory();
  result.parameter_bytes =
      Network::parameter_memory() + Network::copy_memory() + Network::statistics_memory();
  result.optimizer_bytes = Network::parameter_memory() * static_cast<std::size_t>(optimizer.state_count());
  return result;
}

// summary(net, 64, adam{}): the same of this network.
template <class Network, class Optimizer = sgd>
network_summary summary(const Network&, int batch, const Optimizer& optimizer = {}) {
  return summary<Network>(batch, optimizer);
}

// A table with a line for each layer, and the totals.
inline std::string to_string(const network_summary& all) {
  using summing_up::bytes, summing_up::counted;
  text_table table({"", "layer", "output", "parameters", "multiply-adds", "inference", "training"}, 3);
  const auto add = [&](const std::string& number, const std::string& name, const std::string& shape,
                       const std::string& parameters, const std::string& multiply_adds, batch_bytes memory) {
    table.add(
        {number, name, shape, parameters, multiply_adds, bytes(memory.inference), bytes(memory.training)});
  };
  add("", "input", extents_text(all.input), "", "", all.beside_layers);
  for (std::size_t l = 0; l < all.layers.size(); ++l) {
    const layer_summary& layer = all.layers[l];
    add(std::to_string(l), layer.name, extents_text(layer.shape), counted(layer.parameters),
        counted(layer.multiply_adds), layer.memory);
  }
  add("", "all", "", counted(all.parameters), counted(all.multiply_adds), all.memory);
  return table.text() + "multiply-adds of one sample forward; memory of a batch of " +
         counted(static_cast<std::size_t>(all.batch)) + ", and beside it\nparameters " +
         bytes(all.parameter_bytes) + ", gradients " + bytes(all.gradient_bytes) + ", optimiser " +
         bytes(all.optimizer_bytes) + "\n";
}

}  // namespace plexus::inline PLEXUS_ABI::inspect
