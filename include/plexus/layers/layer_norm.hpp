// Layer normalisation: z = γ·(x − mean) / √(variance + ε) + β, a = σ(z), by the mean and the variance of all
// values of a sample; γ and β one a value.
//
// J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization", arXiv 1607.06450, 2016.
#pragma once

#include <plexus/activations/identity.hpp>
#include <plexus/kernels/normalization.hpp>
#include <plexus/kernels/reduction.hpp>
#include <plexus/layers/layer.hpp>

#include <type_traits>

namespace plexus::inline PLEXUS_ABI {

struct layer_norm_constants {
  float epsilon = 1e-5f;
};

// As torch.nn.LayerNorm has it, over a sample's whole shape.
template <class Activation = identity, layer_norm_constants Constants = layer_norm_constants{}>
struct layer_norm {
  static_assert(activation<Activation>,
                "plexus::layer_norm: an activation has float operator()(float) const and float "
                "derivative(float) const");
  static_assert(Constants.epsilon > 0, "plexus::layer_norm: epsilon is above 0");

  template <class InputShape>
  struct layer {
    using input_shape = InputShape;
    using output_shape = InputShape;
    using activation = Activation;

    static constexpr int width = InputShape::size;
    static constexpr const char* name = "layer_norm";
    static constexpr int modules = std::is_same_v<Activation, identity> ? 1 : 2;
    static constexpr std::array<parameter_spec, 2> parameters{
        {{"weight", InputShape::extents, {}, false, 1}, {"bias", InputShape::extents, {}, false, 0}}};
    static constexpr int kept_bytes = 2 * sizeof(float);

    template <class Precision, class Output>
    static void forward(context& on, const layer_parameters<Precision>& w,
                        matrix_view<const typename Precision::storage> x,
                        const basic_layer_memory<Output, typename Precision::storage>& out) {
      auto* const kept = reinterpret_cast<float*>(out.pass.kept);
      compute_activated<Activation>(out, no_bias_term{}, [&](const auto& epilogue) {
        for_each_sample(
            on, x.rows,
            kernels::normalize_sample<typename Precision::storage, std::remove_cvref_t<decltype(epilogue)>>{
                x, kept, kept == nullptr ? nullptr : kept + x.rows, Constants.epsilon, w.arena,
                w.arena + beta, epilogue});
      });
    }

    // dγ = Σ δ·x̂, dβ = Σ δ over the samples.
    template <class Precision, class InputDelta>
    static void backward(context& on, const layer_parameters<Precision>& w, float* dw,
                         matrix_view<const typename Precision::storage> x,
                         matrix_view<const typename Precision::storage> delta, const layer_pass& pass,
                         const InputDelta& dx) {
      using T = typename Precision::storage;
      const auto* const kept = reinterpret_cast<const float*>(pass.kept);
      const kernels::moments of{kept, kept + x.rows, Constants.epsilon};
      if (dw != nullptr) {
        sum_columns(on, kernels::normalized_products<T>{delta, x, of}, store{matrix(dw, 1, width)});
        column_sums(on, delta, dw + beta);
      }
      if constexpr (!std::is_same_v<InputDelta, no_input_delta>) {
        const times_derivative epilogue{dx.delta, dx.derivative};
        for_each_sample(on, x.rows,
                        kernels::normalized_sample_backward<T, std::remove_const_t<decltype(epilogue)>>{
                            delta, x, of, w.arena, epilogue});
      }
    }

   private:
    static constexpr std::size_t beta = padded(width);

    template <class Function>
    static void for_each_sample(context& on, int samples, const Function& function) {
      constexpr int long_for_a_warp = 1024;
      if constexpr (width > long_for_a_warp) {
        for_each_long_row(on.stream(), samples, function);
      } else {
        for_each_row(on.stream(), samples, function);
      }
    }
  };
};

}  // namespace plexus::inline PLEXUS_ABI
