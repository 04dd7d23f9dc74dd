// What a layer is to the network that holds it.
//
// An entry of the list, such as dense<300, relu>, is a specification; its member template layer<InputShape>
// is the layer, once its input is known. A layer has no data. It says which parameters it needs, and computes
// on memory that the network gives it:
//
//   forward(context&, w, x, memory)                 x (n, in) → memory.a (n, out), memory.z if it is kept,
//                                                   and what memory.pass keeps
//   backward(context&, w, dw, x, delta, pass, dx)   delta = ∂C/∂z (n, out) → dw unless that is null, and dx
//                                                   unless it is nothing; in training dw is not null
//   update_statistics(context&, statistics, pass, n, skip)
//                                                   of a layer that has any: by what forward has kept of n
//                                                   samples, unless *skip, in device memory, is not 0; skip
//                                                   may be null
//
// It derives from basic_layer, which gives its types and all that it need not say of itself.
//
// forward and backward are templates over the network's precision: x and delta have elements of
// Precision::storage, and so have the weights that w is made of.
//
// A specification that takes only certain inputs says so with `template <class InputShape> accepts` and names
// them with the type `expected`.
#pragma once

#include <plexus/activations/activation.hpp>
#include <plexus/activations/identity.hpp>
#include <plexus/core/context.hpp>
#include <plexus/core/initializers.hpp>
#include <plexus/core/precision.hpp>
#include <plexus/kernels/epilogue.hpp>
#include <plexus/layers/shape.hpp>

#include <array>
#include <cstddef>
#include <type_traits>

namespace plexus::inline PLEXUS_ABI {

// One tensor of a layer. Row-major; unused extents are 0.
struct parameter_spec {
  const char* name = "";
  std::array<int, 4> extents{};
  plexus::fan fan{};
  bool is_weight = true;  // weights begin random, and products read them in 16 bits
  float initial = 0;      // what the others begin as

  constexpr std::size_t size() const {
    std::size_t product = 1;
    for (const int extent : extents) product *= extent > 0 ? static_cast<std::size_t>(extent) : 1;
    return product;
  }
  // As a matrix of weights: one row for each output.
  constexpr int rows() const { return extents[0]; }
  constexpr int cols() const { return static_cast<int>(size()) / extents[0]; }
};

// What a layer is, as far as it does not say otherwise: one or two modules of PyTorch's nn.Sequential, which
// learn nothing and keep nothing but a and z.
template <class InputShape, class OutputShape = InputShape, class Activation = identity>
struct basic_layer {
  using input_shape = InputShape;
  using output_shape = OutputShape;
  using activation = Activation;

  static constexpr const char* name = "layer";  // in a summary
  static constexpr bool is_dense = false;       // a dense one has evaluate() and differentiate() too

  static constexpr int modules = std::is_same_v<Activation, identity> ? 1 : 2;
  static constexpr int modules_before = 0;  // of these, the ones before that with the parameters

  static constexpr std::array<parameter_spec, 0> parameters{};
  static constexpr std::array<parameter_spec, 0>
      statistics{};  // what it learns of its inputs, without gradients

  // What it keeps for backward beside a and z: of each sample, and of a batch as a whole.
  static constexpr int kept_bytes = 0, kept_bytes_of_batch = 0;
  static constexpr bool draws_random_numbers = false;  // in training

  static constexpr std::size_t multiply_adds = 0;  // of its products, for one sample forward
};

// Tensors begin on 256-byte boundaries of the arena, which any vector access and any tensor-core load
// accepts.
template <class T = float>
constexpr std::size_t padded(std::size_t elements) {
  constexpr std::size_t boundary = 256 / sizeof(T);
  return (elements + boundary - 1) / boundary * boundary;
}

// A layer's parameters: its part of the arena, and its weights as products read them, which in 16 bits is its
// part of their copies.
template <precision_policy Precision>
struct layer_parameters {
  const float* arena;
  const typename Precision::storage* weights;
  const float* statistics = nullptr;  // its part of their arena

  // The weights at the beginning, as a matrix.
  matrix_view<const typename Precision::storage> matrix(int rows, int cols) const {
    return {weights, rows, cols, leading_dimension<typename Precision::storage>(cols)};
  }
};

// A layer of a network, seen from outside: its type, and its part of the arena of parameters, which holds as
// long as the network.
template <class Layer>
struct layer_view {
  using layer = Layer;
  cudaStream_t stream;
  const float* parameters;
};

// A pass through a layer, forward and back.
struct layer_pass {
  bool training = false;              // as in training, or as in use: dropout drops nothing then
  unsigned char* kept = nullptr;      // (n, kept_bytes), or null where nothing is kept
  unsigned char* of_batch = nullptr;  // kept_bytes_of_batch, until the update; null likewise
  random_step random{};               // in training, of a layer that draws random numbers
};

// What a forward pass leaves: the outputs a = σ(z) and, where σ' cannot be had from them, z; both (n, out).
template <class Output, class Storage>
struct basic_layer_memory {
  matrix_view<Output> a;
  matrix_view<Storage> z;  // data is null where z is not kept
  layer_pass pass{};
};
using layer_memory = basic_layer_memory<float, float>;

// Where backward puts ∂C/∂x · σ'(z of the layer before): the delta of that layer (BP2).
template <class Derivative, class T = float>
struct input_delta {
  matrix_view<T> delta;
  Derivative derivative;
};

// Backward of a layer whose input's gradient nobody wants.
struct no_input_delta {};

// compute(epilogue) of a layer's forward pass, the epilogue being a = σ(sum + bias), which keeps z as well
// where it is to be kept. The bias is one a column, or no_bias_term.
template <class Activation, class Bias, class Output, class Storage, class Compute>
void compute_activated(const basic_layer_memory<Output, Storage>& out, Bias bias, const Compute& compute) {
  if constexpr (!output_differentiable<Activation>) {
    if (out.z.data != nullptr) return compute(bias_activation_keep{out.a, bias, Activation{}, out.z});
  }
  compute(bias_activation{out.a, bias, Activation{}});
}

// compute(epilogue) of a layer's backward pass, the epilogue being δ of the layer before = ∂C/∂x ⊙ σ';
// nothing where nobody wants it.
template <class Derivative, class T, class Compute>
void compute_input_delta(const input_delta<Derivative, T>& dx, const Compute& compute) {
  compute(times_derivative{dx.delta, dx.derivative});
}
template <class Compute>
void compute_input_delta(no_input_delta, const Compute&) {}

}  // namespace plexus::inline PLEXUS_ABI
