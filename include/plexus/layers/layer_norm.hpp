// Layer normalisation: z = γ·(x − mean) / √(variance + ε) + β, a = σ(z), by the mean and the variance of all
// values of a sample; γ and β one a value.
//
// J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization", arXiv 1607.06450, 2016.
#pragma once

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
  struct layer : basic_layer<InputShape, InputShape, Activation> {
    static constexpr int width = InputShape::size;
    static constexpr const char* name = "layer_norm";
    static constexpr std::array<parameter_spec, 2> parameters{
        {{"weight", InputShape::extents, {}, false, 1}, {"bias", InputShape::extents, {}, false, 0}}};
    static constexpr int kept_bytes = 2 * sizeof(float);

    template <class Precision, class Output>
    static void forward(context& on, const layer_parameters<Precision>& w,
                        matrix_view<const typename Precision::storage> x,
                        const basic_layer_memory<Output, typename Precision::storage>& out) {
      compute_activated<Activation>(out, no_bias_term{}, [&](const auto& epilogue) {
        for_each_sample(
            on, x.rows,
            kernels::normalize_sample<typename Precision::storage, std::remove_cvref_t<decltype(epilogue)>>{
                x, moments_in(out.pass, x.rows), Constants.epsilon, w.arena, w.arena + beta, epilogue});
      });
    }

    // dγ = Σ δ·x̂, dβ = Σ δ over the samples.
    template <class Precision, class InputDelta>
    static void backward(context& on, const layer_parameters<Precision>& w, float* dw,
                         matrix_view<const typename Precision::storage> x,
                         matrix_view<const typename Precision::storage> delta, const layer_pass& pass,
                         const InputDelta& dx) {
      using T = typename Precision::storage;
      const kernels::sample_moments of = moments_in(pass, x.rows);
      if (dw != nullptr) {
        sum_columns(on, kernels::normalized_products<T>{delta, x, of}, store{matrix(dw, 1, width)});
        column_sums(on, delta, dw + beta);
      }
      compute_input_delta(dx, [&]<class Epilogue>(const Epilogue& epilogue) {
        using back = kernels::normalized_sample_backward<T, Epilogue>;
        for_each_sample(on, x.rows, back{delta, x, of, w.arena, epilogue});
      });
    }

   private:
    static constexpr std::size_t beta = padded(width);

    static kernels::sample_moments moments_in(const layer_pass& pass, int samples) {
      auto* const kept = reinterpret_cast<float*>(pass.kept);
      return {kept, kept == nullptr ? nullptr : kept + samples};
    }

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
