// From a list of specifications to layers with shapes, and to the layout of their parameters in an arena: all
// at compile time.
#pragma once

#include <plexus/layers/layer.hpp>

#include <tuple>
#include <utility>

namespace plexus::inline PLEXUS_ABI {

template <std::size_t Number>
struct layer_number;
template <class Shape>
struct expects;
template <class Shape>
struct receives;

// Never defined: the compiler's line about it names the layer, the shape it expects and the shape it
// receives.
template <class Number, class Specification, class Expected, class Received>
struct this_layer_does_not_accept_its_input;

namespace detail {

template <class Specification, class InputShape>
constexpr bool accepts_input() {
  if constexpr (requires { Specification::template accepts<InputShape>; }) {
    return Specification::template accepts<InputShape>;
  } else {
    return true;
  }
}

template <std::size_t Number, class Specification, class InputShape, bool Accepts>
struct bind {
  using type = typename Specification::template layer<InputShape>;
};

template <std::size_t Number, class Specification, class InputShape>
struct bind<Number, Specification, InputShape, false> : bind<Number, Specification, InputShape, true> {
  static_assert(sizeof(this_layer_does_not_accept_its_input<layer_number<Number>, Specification,
                                                            expects<typename Specification::expected>,
                                                            receives<InputShape>>) > 0);
};

// std::tuple of the layers that `Specifications` make of an input of InputShape; the first has the number
// Number.
template <std::size_t Number, class InputShape, class... Specifications>
struct chain {
  using layers = std::tuple<>;
};

template <std::size_t Number, class InputShape, class First, class... Rest>
struct chain<Number, InputShape, First, Rest...> {
  using first = typename bind<Number, First, InputShape, accepts_input<First, InputShape>()>::type;
  using rest = typename chain<Number + 1, typename first::output_shape, Rest...>::layers;
  using layers = decltype(std::tuple_cat(std::declval<std::tuple<first>>(), std::declval<rest>()));
};

// A tensor's place in the arena.
struct tensor_record {
  std::size_t layer = 0;
  int module_number = 0;  // the number of its module in PyTorch's nn.Sequential
  parameter_spec spec;
  std::size_t offset = 0;
};

// Which of a layer's tensors an arena holds.
struct parameter_tensors {
  template <class Layer>
  static constexpr auto of = Layer::parameters;
};
struct statistics_tensors {
  template <class Layer>
  static constexpr auto of = Layer::statistics;
};

template <class Layers, class Tensors = parameter_tensors>
struct arena_layout;

template <class... Layers, class Tensors>
struct arena_layout<std::tuple<Layers...>, Tensors> {
  static constexpr std::size_t tensor_count = (std::size_t{0} + ... + Tensors::template of<Layers>.size());

  // Every tensor begins at a padded offset, layer after layer.
  static constexpr std::array<tensor_record, tensor_count> tensors = [] {
    std::array<tensor_record, tensor_count> records{};
    std::size_t next = 0, layer = 0, offset = 0;
    int module_number = 0;
    const auto place = [&](const auto& specs, int modules, int before) {
      for (const parameter_spec& spec : specs) {
        records[next++] = {layer, module_number + before, spec, offset};
        offset += padded(spec.size());
      }
      ++layer;
      module_number += modules;
    };
    (place(Tensors::template of<Layers>, Layers::modules, Layers::modules_before), ...);
    return records;
  }();

  // Where layer L's parameters begin.
  static constexpr std::size_t layer_offset(std::size_t layer) {
    std::size_t offset = 0;
    for (const tensor_record& record : tensors)
      offset += record.layer < layer ? padded(record.spec.size()) : 0;
    return offset;
  }
  static constexpr std::size_t size = layer_offset(sizeof...(Layers));

  static constexpr std::size_t parameter_count = [] {
    std::size_t count = 0;
    for (const tensor_record& record : tensors) count += record.spec.size();
    return count;
  }();
};

}  // namespace detail

}  // namespace plexus::inline PLEXUS_ABI
