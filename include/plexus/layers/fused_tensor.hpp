// The steps of a chain of dense layers in 16 bits: see fused.hpp. Matrices of 16-bit elements begin at
// multiples of 16 bytes and have rows of a multiple of 8 elements, zeros behind their columns.
#pragma once

#include <plexus/kernels/fused_tensor_chain.hpp>
#include <plexus/layers/chain.hpp>

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
  int columns = Extent;

  __device__ fused_tensor_activation from(int row, int col) const {
    return {part_from(a, row, col), part_from(z, row, col), Extent - col};
  }

  __device__ octet operator()(int row, int col, const float (&pre_activations)[8]) const {
    float values[8];
    PLEXUS_UNROLL
    for (int i = 0; i < 8; ++i) values[i] = inside(col + i) ? pre_activations[i] : 0;
    if constexpr (!output_differentiable<Activation>) store_octet<Extent>(z, row, col, to_octet<T>(values));
    PLEXUS_UNROLL
    for (int i = 0; i < 8; ++i) values[i] = inside(col + i) ? Activation{}(values[i]) : 0;
    const octet activated = to_octet<T>(values);
    if constexpr (std::is_same_v<Out, T>) {
      store_octet<Extent>(a, row, col, activated);
    } else if (row < a.rows) {
      PLEXUS_UNROLL
      for (int i = 0; i < 8; ++i) {
        if (inside(col + i)) a.data[row * a.ld + col + i] = values[i];
      }
    }
    return activated;
  }

 private:
  __device__ bool inside(int col) const { return is_column<Extent>(col, columns); }
};

// BP2: δ of the layer before = sum ⊙ σ', from its a, or its z where σ' needs it.
template <class T, int Extent, class Activation>
struct fused_tensor_derivative {
  matrix_view<const T> kept;
  matrix_view<T> delta;

  __device__ fused_tensor_derivative from(int row, int col) const {
    return {part_from(kept, row, col), part_from(delta, row, col)};
  }

  __device__ octet operator()(int row, int col, const float (&sums)[8]) const {
    const octet from = load_octet<Extent>(kept, row, col);
    octet result;
    PLEXUS_UNROLL
    for (int p = 0; p < 4; ++p) {
      const float2 values = from_pair<T>(from.pairs[p]);
      result.pairs[p] = to_pair<T>(times_slope(sums[2 * p], values.x, col + 2 * p),
                                   times_slope(sums[2 * p + 1], values.y, col + 2 * p + 1));
    }
    store_octet<Extent>(delta, row, col, result);
    return result;
  }

 private:
  __device__ float times_slope(float sum, float value, int col) const {
    if (!is_column<Extent>(col, delta.cols)) return 0;
    if constexpr (output_differentiable<Activation>) {
      return sum * Activation{}.derivative_from_output(value);
    } else {
      return sum * Activation{}.derivative(value);
    }
  }
};

}  // namespace plexus::inline PLEXUS_ABI::kernels

namespace plexus::inline PLEXUS_ABI {

// What a layer leaves in 16 bits. data is null where it is not kept.
template <class T>
struct fused_tensor_memory {
  matrix_view<T> a, z, delta;
};

// The passes of a chain in which T is the type of weights, activations and deltas.
template <class Layers, class T>
struct fused_tensor_layers;

template <class... Layers, class T>
struct fused_tensor_layers<std::tuple<Layers...>, T> {
  static constexpr std::size_t count = sizeof...(Layers);

  // One layer's parameters: W (out, in) in 16 bits, and the bias in FP32, null where there is none.
  struct parameters {
    matrix_view<const T> w;
    const float* bias;
  };
  using all_parameters = std::array<parameters, count>;
  using memory = std::array<fused_tensor_memory<T>, count>;

  // The last layer's outputs y (n, out), and of the layers what `keep` has a place for.
  template <class Out>
  static void forward(cudaStream_t stream, const all_parameters& from, matrix_view<const T> x,
                      const memory& keep, matrix_view<Out> y) {
    [&]<std::size_t... L>(std::index_sequence<L...>) {
      kernels::fused_tensor_chain(stream, x, forward_step<L>(from[L], keep[L].a, keep[L].z)...,
                                  forward_step<count - 1>(from[count - 1], y, keep[count - 1].z));
    }
    (std::make_index_sequence<count - 1>{});
  }

  // The deltas of all layers before the last, whose own is given.
  static void backward(cudaStream_t stream, const all_parameters& from, const memory& kept) {
    if constexpr (count > 1) {
      const matrix_view<const T> delta = kept[count - 1].delta;
      [&]<std::size_t... I>(std::index_sequence<I...>) {
        kernels::fused_tensor_chain(
            stream, delta, backward_step<count - 1 - I>(from[count - 1 - I], kept[count - 2 - I])...);
      }
      (std::make_index_sequence<count - 1>{});
    }
  }

 private:
  template <std::size_t L>
  using layer = std::tuple_element_t<L, std::tuple<Layers...>>;

  template <std::size_t L, class Out>
  static auto forward_step(const parameters& from, matrix_view<Out> a, matrix_view<T> z) {
    constexpr int in = layer<L>::in, out = layer<L>::output_shape::size;
    using epilogue = kernels::fused_tensor_activation<T, Out, out, typename layer<L>::activation>;
    return kernels::fused_tensor_step<kernels::fused_weights::transposed, T, in, out, epilogue>{
        from.w.data, from.w.ld, from.bias, {a, z}};
  }

  template <std::size_t L>
  static auto backward_step(const parameters& from, const fused_tensor_memory<T>& before) {
    using activation = typename layer<L - 1>::activation;
    constexpr int in = layer<L>::in, out = layer<L>::output_shape::size;
    using epilogue = kernels::fused_tensor_derivative<T, in, activation>;
    return kernels::fused_tensor_step<kernels::fused_weights::plain, T, out, in, epilogue>{
        from.w.data,
        from.w.ld,
        nullptr,
        {output_differentiable<activation> ? before.a : before.z, before.delta}};
  }
};

}  // namespace plexus::inline PLEXUS_ABI
