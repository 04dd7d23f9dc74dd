// A chain of dense layers of at most 128 units: one kernel takes a batch forward through all of them, one
// takes the deltas back, and one finds the gradients of all weights. Here in FP32; see fused_tensor.hpp.
#pragma once

#include <plexus/core/context.hpp>
#include <plexus/core/precision.hpp>
#include <plexus/kernels/epilogue.hpp>
#include <plexus/kernels/fused_chain.hpp>
#include <plexus/kernels/weight_gradients.hpp>
#include <plexus/layers/chain.hpp>

#include <algorithm>

namespace plexus::inline PLEXUS_ABI {

// What a layer leaves: its outputs a = σ(z), z where σ' needs it, δ = ∂C/∂z; each (n, out). data is null
// where it is not kept.
template <class T>
struct fused_memory {
  matrix_view<T> a, z, delta;
};

namespace kernels {

// z = sum + b, a = σ(z)
template <class Activation, class Bias>
struct fused_activation {
  int rows;
  Bias bias;  // const float* or no_bias_term
  matrix_view<float> a, z;

  PLEXUS_FN float operator()(int row, int col, float sum) const {
    const float pre_activation = sum + bias[col];
    const float activated = Activation{}(pre_activation);
    if (row < rows && a.data != nullptr) a(row, col) = activated;
    if constexpr (!output_differentiable<Activation>) {
      if (row < rows && z.data != nullptr) z(row, col) = pre_activation;
    }
    return activated;
  }
};

// BP2: δ of the layer before = sum ⊙ σ'(its z)
template <class Derivative>
struct fused_derivative {
  input_delta<Derivative> before;

  PLEXUS_FN float operator()(int row, int col, float sum) const {
    if (row >= before.delta.rows) return 0;
    return before.delta(row, col) = sum * before.derivative(row, col);
  }
};

}  // namespace kernels

// Whether a network takes its chain of layers as one kernel.
enum class fusion_policy {
  automatic,  // where the chain fits and the network computes by kernels of this library
  never,      // layer by layer
};

// Whether a network of these layers is compiled with the choice. On a CPU the products of single layers by
// BLAS are quicker; a specialisation that is true compiles the fused kernels there too.
template <class Layers>
inline constexpr bool may_be_fused = !platform::on_cpu;

// What the passes are given and keep, and the gradients of the weights; T is the type of activations and
// deltas.
template <class Layers, class Precision, class T = typename Precision::storage>
struct fused_passes;

template <class... Layers, class Precision, class T>
struct fused_passes<std::tuple<Layers...>, Precision, T> {
  using layout = detail::arena_layout<std::tuple<Layers...>>;
  static constexpr std::size_t count = sizeof...(Layers);
  using parameters = std::array<layer_parameters<Precision>, count>;
  // Of every layer, but for the last one's outputs (n, out), which are in FP32.
  struct memory : std::array<fused_memory<T>, count> {
    matrix_view<float> outputs;
  };

  // Whether the layers are such a chain. A step's arguments are up to 96 bytes, and a kernel has 4 KB for
  // all.
  static constexpr bool fit =
      count <= 32 && ([] {
        if constexpr (Layers::is_dense) {
          return std::max(Layers::in, Layers::output_shape::size) <= kernels::most_fused_width;
        }
        return false;
      }() && ...);

  // The gradients of all weights, into the arena `gradients`, from x (n, in), the outputs and the deltas.
  // `parts` holds parts_size(n) floats, zero before their first use.
  static void find_gradients(cudaStream_t stream, matrix_view<const T> x, const memory& kept, float* parts,
                             float* gradients) {
    kernels::weight_gradients<T, count> all;
    for (std::size_t l = 0; l < count; ++l) {
      all.of[l] = {kept[l].delta, l == 0 ? x : matrix_view<const T>(kept[l - 1].a), offsets[l].weight,
                   offsets[l].bias};
    }
    kernels::find_weight_gradients(stream, all, parts, layout::size, gradients);
  }

  // Enough for all batches of up to `rows` samples.
  static std::size_t parts_size(int rows) {
    return static_cast<std::size_t>(kernels::batch_parts::most_of(rows)) * layout::size;
  }

 protected:
  template <std::size_t L>
  using layer = std::tuple_element_t<L, std::tuple<Layers...>>;
  template <std::size_t L>
  using activation = typename layer<L>::activation;

  struct layer_offsets {
    std::size_t weight = 0, bias = kernels::weight_gradient<T>::none;
  };
  static constexpr std::array<layer_offsets, count> offsets = [] {
    std::array<layer_offsets, count> result{};
    for (const detail::tensor_record& tensor : layout::tensors) {
      (tensor.spec.is_weight ? result[tensor.layer].weight : result[tensor.layer].bias) = tensor.offset;
    }
    return result;
  }();

  // Of a layer that has one.
  template <std::size_t L>
  static const float* bias_of(const parameters& from) {
    return from[L].arena + (offsets[L].bias - offsets[L].weight);
  }

  // What σ' of layer L is computed from.
  template <std::size_t L>
  static const matrix_view<T>& differentiated(const memory& kept) {
    return output_differentiable<activation<L>> ? kept[L].a : kept[L].z;
  }
};

// The passes themselves:
//   runs_on(device)                       whether they are the quickest way there
//   forward(stream, from, x, keep)        keep.outputs for x (n, in), and of the layers what has a place
//   backward(stream, from, kept, dx)      the deltas of all layers before the last, whose own is given; and
//                                         dx unless it is nothing
template <class Layers, class Precision = fp32>
struct fused_layers {
  static constexpr bool fit = false;
};

template <class... Layers>
struct fused_layers<std::tuple<Layers...>, fp32> : fused_passes<std::tuple<Layers...>, fp32> {
  using passes = fused_passes<std::tuple<Layers...>, fp32>;
  using passes::count;
  using typename passes::memory;
  using typename passes::parameters;

  static bool runs_on(const device_traits&) { return true; }

  static void forward(cudaStream_t stream, const parameters& from, matrix_view<const float> x,
                      const memory& keep) {
    [&]<std::size_t... L>(std::index_sequence<L...>) {
      kernels::fused_chain(
          stream, x, forward_step<L>(from, x.rows, L + 1 < count ? keep[L].a : keep.outputs, keep[L].z)...);
    }
    (std::make_index_sequence<count>{});
  }

  template <class InputDelta>
  static void backward(cudaStream_t stream, const parameters& from, const memory& kept,
                       const InputDelta& dx) {
    const matrix_view<const float> delta = kept[count - 1].delta;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      if constexpr (!std::is_same_v<InputDelta, no_input_delta>) {
        kernels::fused_chain(stream, delta, hidden_step<count - 1 - I>(from, kept)...,
                             backward_step<0>(from, dx));
      } else if constexpr (count > 1) {
        kernels::fused_chain(stream, delta, hidden_step<count - 1 - I>(from, kept)...);
      }
    }
    (std::make_index_sequence<count - 1>{});
  }

 private:
  template <std::size_t L>
  using layer = typename passes::template layer<L>;
  template <std::size_t L>
  using activation = typename passes::template activation<L>;

  template <std::size_t L>
  static auto forward_step(const parameters& from, int rows, matrix_view<float> a, matrix_view<float> z) {
    const auto step = [&](auto bias) {
      using epilogue = kernels::fused_activation<activation<L>, decltype(bias)>;
      return kernels::fused_step<kernels::fused_weights::transposed, layer<L>::in,
                                 layer<L>::output_shape::size, epilogue>{from[L].weights, {rows, bias, a, z}};
    };
    if constexpr (layer<L>::has_bias) {
      return step(passes::template bias_of<L>(from));
    } else {
      return step(no_bias_term{});
    }
  }

  // From layer L's delta to that of what is before it.
  template <std::size_t L, class Derivative>
  static auto backward_step(const parameters& from, const input_delta<Derivative>& before) {
    return kernels::fused_step<kernels::fused_weights::plain, layer<L>::output_shape::size, layer<L>::in,
                               kernels::fused_derivative<Derivative>>{from[L].weights, {before}};
  }

  template <std::size_t L>
  static auto hidden_step(const parameters& from, const memory& kept) {
    using derivative = activation_derivative<activation<L - 1>>;
    return backward_step<L>(
        from, input_delta<derivative>{kept[L - 1].delta, {passes::template differentiated<L - 1>(kept), {}}});
  }
};

}  // namespace plexus::inline PLEXUS_ABI
