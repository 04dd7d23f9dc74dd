// A network as a function of one sample: a small trivially copyable object that one thread evaluates, on the
// host or inside a kernel of the user's own. Shapes are constants, loops are laid out flat, activations stay
// in registers.
#pragma once

#include <plexus/layers/chain.hpp>

#include <array>

namespace plexus::inline PLEXUS_ABI {

// N numbers by value, on host and device alike.
template <int N>
struct values {
  static constexpr int size = N;
  float at[N];

  PLEXUS_FN float& operator[](int i) { return at[i]; }
  PLEXUS_FN const float& operator[](int i) const { return at[i]; }

  static values from(const std::array<float, static_cast<std::size_t>(N)>& numbers) {
    values result;
    for (std::size_t i = 0; i < numbers.size(); ++i) result.at[i] = numbers[i];
    return result;
  }
  operator std::array<float, static_cast<std::size_t>(N)>() const {
    std::array<float, static_cast<std::size_t>(N)> numbers;
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = at[i];
    return numbers;
  }
};

// Where a function's weights are: somewhere else, in any memory that its caller can read …
struct weights_by_pointer {
  const float* data;
  PLEXUS_FN const float* get() const { return data; }
};

// … or in the object itself. As an argument of a kernel it then lies in constant memory.
template <std::size_t Size>
struct weights_by_value {
  float data[Size];
  PLEXUS_FN const float* get() const { return data; }
};

// Takes no gradient of the weights.
struct no_weight_gradient {
  PLEXUS_FN void operator()(std::size_t, float) const {}
};

// The layers of a chain over weights that lie as in the network's arena.
template <class Layers, class Weights>
class network_function {
  static constexpr std::size_t layer_count = std::tuple_size_v<Layers>;
  template <std::size_t L>
  using layer = std::tuple_element_t<L, Layers>;
  template <std::size_t L>
  static constexpr std::size_t weights_of = detail::arena_layout<Layers>::layer_offset(L);

  template <std::size_t... L>
  static constexpr bool all_dense(std::index_sequence<L...>) {
    return (layer<L>::is_dense && ...);
  }
  static_assert(all_dense(std::make_index_sequence<layer_count>{}),
                "plexus::network_function: one thread evaluates chains of dense layers; use predict()");

  template <std::size_t... L>
  static constexpr bool all_small(std::index_sequence<L...>) {
    return ((layer<L>::input_shape::size * layer<L>::output_shape::size <= 16384) && ...);
  }
  static_assert(
      all_small(std::make_index_sequence<layer_count>{}),
      "plexus::network_function: one thread evaluates layers of at most 16,384 weights; use predict()");

 public:
  using input = values<layer<0>::input_shape::size>;
  using output = values<layer<layer_count - 1>::output_shape::size>;

  PLEXUS_FN explicit network_function(const Weights& weights) : weights_(weights) {}

  // y = f(x)
  PLEXUS_FN output operator()(const input& x) const { return evaluate<0>(x); }

  // Forward and back: ∂C/∂x, where slope(y) is ∂C/∂y at y = f(x). add_weight_gradient(i, ∂C/∂w_i) is called
  // once for every weight, i being its place in the arena, after the weight was last read: it may update the
  // weight itself.
  template <class Slope, class AddWeightGradient>
  requires requires(const Slope slope, const output y) { output(slope(y)); }
  PLEXUS_FN input gradient(const input& x, const Slope& slope,
                           const AddWeightGradient& add_weight_gradient) const {
    return differentiate<0>(x, slope, add_weight_gradient);
  }

  // ∂C/∂x for ∂C/∂y = dy.
  PLEXUS_FN input gradient(const input& x, const output& dy) const {
    return differentiate<0>(x, constant_slope{dy}, no_weight_gradient{});
  }

 private:
  template <std::size_t L, class X>
  PLEXUS_FN output evaluate(const X& x) const {
    if constexpr (L == layer_count) {
      return x;
    } else {
      values<layer<L>::output_shape::size> z;
      layer<L>::evaluate(weights_.get() + weights_of<L>, x.at, z.at);
      return evaluate<L + 1>(activated<L>(z));
    }
  }

  template <std::size_t L, class Z>
  PLEXUS_FN static Z activated(const Z& z) {
    Z a;
    PLEXUS_UNROLL
    for (int j = 0; j < Z::size; ++j) a[j] = typename layer<L>::activation{}(z[j]);
    return a;
  }

  // ∂C/∂x of layer L's input x.
  PLEXUS_CALLS_A_PARAMETER
  template <std::size_t L, class X, class Slope, class AddWeightGradient>
  PLEXUS_FN X differentiate(const X& x, const Slope& slope,
                            const AddWeightGradient& add_weight_gradient) const {
    if constexpr (L == layer_count) {
      return slope(x);
    } else {
      using activation = typename layer<L>::activation;
      values<layer<L>::output_shape::size> z;
      layer<L>::evaluate(weights_.get() + weights_of<L>, x.at, z.at);
      const auto a = activated<L>(z);
      auto delta = differentiate<L + 1>(a, slope, add_weight_gradient);
      PLEXUS_UNROLL
      for (int j = 0; j < delta.size; ++j) {
        if constexpr (output_differentiable<activation>) {
          delta[j] *= activation{}.derivative_from_output(a[j]);
        } else {
          delta[j] *= activation{}.derivative(z[j]);
        }
      }
      X dx;
      platform::read_again();  // the weights: all layers' would not fit in registers from the way forward
      layer<L>::differentiate(weights_.get() + weights_of<L>, x.at, delta.at, dx.at,
                              offset_gradient<AddWeightGradient>{add_weight_gradient, weights_of<L>});
      return dx;
    }
  }

  struct constant_slope {
    output dy;
    PLEXUS_FN output operator()(const output&) const { return dy; }
  };

  template <class AddWeightGradient>
  struct offset_gradient {
    const AddWeightGradient& add;
    std::size_t offset;
    PLEXUS_CALLS_A_PARAMETER
    PLEXUS_FN void operator()(std::size_t i, float gradient) const { add(offset + i, gradient); }
  };

  Weights weights_;
};

}  // namespace plexus::inline PLEXUS_ABI
