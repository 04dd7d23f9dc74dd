// The fully connected layer: Z = X Wᵀ + b, A = σ(Z), with X (n, in), W (out, in), b (out).
#pragma once

#include <plexus/layers/bias.hpp>
#include <plexus/layers/layer.hpp>
#include <plexus/linalg/multiply.hpp>

#include <type_traits>

namespace plexus::inline PLEXUS_ABI {

// A dense layer of Out units. Its input, whatever its shape, is taken as one vector.
template <int Out, class Activation = identity, class Bias = with_bias>
struct dense {
  static_assert(Out > 0, "plexus::dense: a layer has at least one unit");
  static_assert(
      activation<Activation>,
      "plexus::dense: an activation has float operator()(float) const and float derivative(float) const");
  static_assert(std::is_same_v<Bias, with_bias> || std::is_same_v<Bias, no_bias>,
                "plexus::dense: the last argument is with_bias or no_bias");

  template <class InputShape>
  struct layer : basic_layer<InputShape, shape<Out>, Activation> {
    static constexpr const char* name = "dense";
    static constexpr bool is_dense = true;
    static constexpr bool has_bias = std::is_same_v<Bias, with_bias>;
    static constexpr int in = InputShape::size;
    static constexpr std::size_t multiply_adds = std::size_t{Out} * in;
    // An image is flattened first: nn.Flatten.
    static constexpr int modules_before = image_traits<InputShape>::is_image ? 1 : 0;
    static constexpr int modules = basic_layer<InputShape, shape<Out>, Activation>::modules + modules_before;
    static constexpr auto parameters = [] {
      std::array<parameter_spec, has_bias ? 2 : 1> specs{};
      specs[0] = {"weight", {Out, in}, {in, Out}, true};
      if constexpr (has_bias) specs[1] = {"bias", {Out}, {in, Out}, false};
      return specs;
    }();

    template <class Precision, class Output>
    static void forward(context& on, const layer_parameters<Precision>& w,
                        matrix_view<const typename Precision::storage> x,
                        const basic_layer_memory<Output, typename Precision::storage>& out) {
      const auto product = [&](const auto& epilogue) {
        multiply<Precision, layout::nt, z_product>(on, x, w.matrix(Out, in), epilogue);
      };
      if constexpr (has_bias) {
        compute_activated<Activation>(out, w.arena + bias_offset, product);
      } else {
        compute_activated<Activation>(out, no_bias_term{}, product);
      }
    }

    // BP4 dW = δᵀ X, BP3 db = column sums of δ, BP2 δ of the layer before = (δ W) ⊙ σ'.
    template <class Precision, class InputDelta>
    static void backward(context& on, const layer_parameters<Precision>& w, float* dw,
                         matrix_view<const typename Precision::storage> x,
                         matrix_view<const typename Precision::storage> delta, const layer_pass&,
                         const InputDelta& dx) {
      if (dw != nullptr) {
        multiply<Precision, layout::tn, dw_product>(on, delta, x, store{matrix(dw, Out, in)});
        if constexpr (has_bias) column_sums(on, delta, dw + bias_offset);
      }
      compute_input_delta(dx, [&](const auto& epilogue) {
        multiply<Precision, layout::nn, dx_product>(on, delta, w.matrix(Out, in), epilogue);
      });
    }

    // z = W x + b of one sample, by one thread.
    PLEXUS_FN static void evaluate(const float* w, const float (&x)[in], float (&z)[Out]) {
      PLEXUS_UNROLL
      for (int j = 0; j < Out; ++j) {
        z[j] = 0;
        if constexpr (has_bias) z[j] = w[bias_offset + static_cast<std::size_t>(j)];
        PLEXUS_UNROLL
        for (int k = 0; k < in; ++k) z[j] += w[j * in + k] * x[k];
      }
    }

    // dx = Wᵀ δ of one sample, by one thread; add(i, ∂C/∂w_i) for each weight after its last use.
    template <class AddGradient>
    PLEXUS_FN static void differentiate(const float* w, const float (&x)[in], const float (&delta)[Out],
                                        float (&dx)[in], const AddGradient& add) {
      PLEXUS_UNROLL
      for (int k = 0; k < in; ++k) dx[k] = 0;
      PLEXUS_UNROLL
      for (int j = 0; j < Out; ++j) {
        PLEXUS_UNROLL
        for (int k = 0; k < in; ++k) {
          const int i = j * in + k;
          dx[k] += delta[j] * w[i];
          add(static_cast<std::size_t>(i), delta[j] * x[k]);
        }
        if constexpr (has_bias) add(bias_offset + static_cast<std::size_t>(j), delta[j]);
      }
    }

   private:
    static constexpr std::size_t bias_offset = padded(static_cast<std::size_t>(Out) * in);

    // What is known of the three products; the batch is not.
    static constexpr gemm_shape z_product{any_extent, Out, in}, dx_product{any_extent, in, Out},
        dw_product{Out, in, any_extent};
  };
};

// A dense layer that states its input's width as well, as PyTorch's nn.Linear(in, out) does. It does not
// compile after a layer of another width.
template <int In, int Out, class Activation = identity, class Bias = with_bias>
struct linear : dense<Out, Activation, Bias> {
  using expected = shape<In>;
  template <class InputShape>
  static constexpr bool accepts = InputShape::size == In;
};

}  // namespace plexus::inline PLEXUS_ABI
