// The passes of a chain of dense layers in mixed precision: see fused.hpp. Matrices of 16-bit elements begin
// at multiples of 16 bytes and have rows leading_dimension<T>() apart, zeros behind their columns.
#pragma once

#include <plexus/kernels/fused_tensor_chain.hpp>
#include <plexus/kernels/tensor_weight_gradients.hpp>
#include <plexus/layers/fused.hpp>

namespace plexus::inline PLEXUS_ABI::kernels {

// Eight values as pairs.
template <class T>
__device__ octet to_octet(const float (&values)[8]) {
  octet result;
  PLEXUS_UNROLL
  for (int p = 0; p < 4; ++p) result.pairs[p] = to_pair<T>(values[2 * p], values[2 * p + 1]);
  return result;
}

// a = σ(z); each is kept where there is memory for it. Out is T, or float for a network's outputs.
template <class T, class Out, int Extent, class Activation>
struct fused_tensor_activation {
  matrix_view<Out> a;
  matrix_view<T> z;

  __device__ octet operator()(lane_place at, int row, int col, const float (&pre_activations)[8]) const {
    const auto inside = [&](int i) { return is_column<Extent>(at.col + col + i, Extent); };
    float values[8];
    PLEXUS_UNROLL
    for (int i = 0; i < 8; ++i) values[i] = inside(i) ? pre_activations[i] : 0;
    if constexpr (!output_differentiable<Activation>) {
      if (z.data != nullptr) lane_part<Extent, T>(z.data, at).store(row, col, to_octet<T>(values));
    }
    PLEXUS_UNROLL
    for (int i = 0; i < 8; ++i) values[i] = inside(i) ? Activation{}(values[i]) : 0;
    const octet activated = to_octet<T>(values);
    if constexpr (std::is_same_v<Out, T>) {
      if (a.data != nullptr) lane_part<Extent, T>(a.data, at).store(row, col, activated);
    } else if (row < at.rows) {
      PLEXUS_UNROLL
      for (int i = 0; i < 8; ++i) {
        if (inside(i)) a(at.row + row, at.col + col + i) = values[i];
      }
    }
    return activated;
  }
};

// BP2: δ of the layer before = sum ⊙ σ', from its a, or its z where σ' needs it.
template <class T, int Extent, class Activation>
struct fused_tensor_derivative {
  const T* kept;
  T* delta;

  __device__ octet operator()(lane_place at, int row, int col, const float (&sums)[8]) const {
    const octet from = lane_part<Extent, const T>(kept, at).load(row, col);
    octet result;
    PLEXUS_UNROLL
    for (int p = 0; p < 4; ++p) {
      if constexpr (gate<Activation>) {
        result.pairs[p] = pass_gate<T>(to_pair<T>(sums[2 * p], sums[2 * p + 1]), from.pairs[p]);
      } else {
        const float2 values = from_pair<T>(from.pairs[p]);
        const int first = at.col + col + 2 * p;
        result.pairs[p] = to_pair<T>(times_slope(sums[2 * p], values.x, first),
                                     times_slope(sums[2 * p + 1], values.y, first + 1));
      }
    }
    lane_part<Extent, T>(delta, at).store(row, col, result);
    return result;
  }

 private:
  __device__ static float times_slope(float sum, float value, int col) {
    if (!is_column<Extent>(col, Extent)) return 0;
    if constexpr (output_differentiable<Activation>) {
      return sum * Activation{}.derivative_from_output(value);
    } else {
      return sum * Activation{}.derivative(value);
    }
  }
};

// dx of a network, in FP32.
template <int Extent, class Derivative>
struct fused_tensor_input_gradient {
  input_delta<Derivative> input;

  __device__ octet operator()(lane_place at, int row, int col, const float (&sums)[8]) const {
    if (row < at.rows) {
      row += at.row;
      col += at.col;
      PLEXUS_UNROLL
      for (int i = 0; i < 8; ++i) {
        if (is_column<Extent>(col + i, Extent))
          input.delta(row, col + i) = sums[i] * input.derivative(row, col + i);
      }
    }
    return {};
  }
};

}  // namespace plexus::inline PLEXUS_ABI::kernels

namespace plexus::inline PLEXUS_ABI {

template <class... Layers, class Format>
struct fused_layers<std::tuple<Layers...>, mixed<Format>>
    : fused_passes<std::tuple<Layers...>, mixed<Format>> {
  using passes = fused_passes<std::tuple<Layers...>, mixed<Format>>;
  using T = typename Format::element;
  using passes::count;
  using typename passes::memory;
  using typename passes::parameters;

  // Tensor cores before sm_80 lack the instruction.
  static bool runs_on(const device_traits& device) { return platform::on_cpu || device.capability >= 80; }

  static void forward(cudaStream_t stream, const parameters& from, matrix_view<const T> x,
                      const memory& keep) {
    [&]<std::size_t... L>(std::index_sequence<L...>) {
      kernels::fused_tensor_chain(stream, x, forward_step<L>(from, keep[L].a, keep[L].z)...,
                                  forward_step<count - 1>(from, keep.outputs, keep[count - 1].z));
    }
    (std::make_index_sequence<count - 1>{});
  }

  template <class InputDelta>
  static void backward(cudaStream_t stream, const parameters& from, const memory& kept,
                       const InputDelta& dx) {
    const matrix_view<const T> delta = kept[count - 1].delta;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      if constexpr (!std::is_same_v<InputDelta, no_input_delta>) {
        kernels::fused_tensor_chain(stream, delta, hidden_step<count - 1 - I>(from, kept)...,
                                    input_step(from, dx));
      } else if constexpr (count > 1) {
        kernels::fused_tensor_chain(stream, delta, hidden_step<count - 1 - I>(from, kept)...);
      }
    }
    (std::make_index_sequence<count - 1>{});
  }

 private:
  template <std::size_t L>
  using layer = typename passes::template layer<L>;
  template <std::size_t L>
  using activation = typename passes::template activation<L>;

  template <std::size_t L, class Out>
  static auto forward_step(const parameters& from, matrix_view<Out> a, matrix_view<T> z) {
    constexpr int in = layer<L>::in, out = layer<L>::output_shape::size;
    using epilogue = kernels::fused_tensor_activation<T, Out, out, activation<L>>;
    const float* bias = nullptr;
    if constexpr (layer<L>::has_bias) bias = passes::template bias_of<L>(from);
    return kernels::fused_tensor_step<kernels::fused_weights::transposed, T, in, out, epilogue>{
        from[L].weights, bias, {a, z}};
  }

  // From layer L's delta to what is before it.
  template <std::size_t L, class Epilogue>
  static auto backward_step(const parameters& from, const Epilogue& epilogue) {
    constexpr int in = layer<L>::in, out = layer<L>::output_shape::size;
    return kernels::fused_tensor_step<kernels::fused_weights::plain, T, out, in, Epilogue>{from[L].weights,
                                                                                           nullptr, epilogue};
  }

  template <std::size_t L>
  static auto hidden_step(const parameters& from, const memory& kept) {
    return backward_step<L>(from,
                            kernels::fused_tensor_derivative<T, layer<L>::in, activation<L - 1>>{
                                passes::template differentiated<L - 1>(kept).data, kept[L - 1].delta.data});
  }

  template <class Derivative>
  static auto input_step(const parameters& from, const input_delta<Derivative>& dx) {
    return backward_step<0>(from, kernels::fused_tensor_input_gradient<layer<0>::in, Derivative>{dx});
  }
};

}  // namespace plexus::inline PLEXUS_ABI
