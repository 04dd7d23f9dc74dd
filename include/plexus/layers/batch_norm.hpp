// Batch normalisation: z = γ·(x − mean) / √(variance + ε) + β, a = σ(z), by each channel's mean and variance.
// In training they are those of the batch; in use the running ones, which follow the batches.
//
// S. Ioffe, C. Szegedy, "Batch normalization: accelerating deep network training by reducing internal
// covariate shift", ICML 2015.
#pragma once

#include <plexus/kernels/channel_sums.hpp>
#include <plexus/kernels/normalization.hpp>
#include <plexus/layers/layer.hpp>

#include <type_traits>

namespace plexus::inline PLEXUS_ABI {

// The defaults are PyTorch's.
struct batch_norm_constants {
  float epsilon = 1e-5f;
  float momentum = 0.1f;  // the share of a batch in the running mean and variance
};

// A channel of images, or each value of vectors: torch.nn.BatchNorm2d, or BatchNorm1d. The running variance
// is the unbiased one, Σ (x − mean)² / (values − 1). The layer before needs no bias: β is one.
template <class Activation = identity, batch_norm_constants Constants = batch_norm_constants{}>
struct batch_norm {
  static_assert(activation<Activation>,
                "plexus::batch_norm: an activation has float operator()(float) const and float "
                "derivative(float) const");
  static_assert(Constants.epsilon > 0 && Constants.momentum >= 0 && Constants.momentum <= 1,
                "plexus::batch_norm: epsilon is above 0, and momentum in [0, 1]");

  template <class InputShape>
  struct layer : basic_layer<InputShape, InputShape, Activation> {
    static constexpr bool of_images = image_traits<InputShape>::is_image;
    static constexpr int channels = of_images ? image_traits<InputShape>::channels : InputShape::size;
    static constexpr int pixels = InputShape::size / channels;

    static constexpr const char* name = "batch_norm";
    static constexpr std::array<parameter_spec, 2> parameters{
        {{"weight", {channels}, {}, false, 1}, {"bias", {channels}, {}, false, 0}}};
    static constexpr std::array<parameter_spec, 2> statistics{
        {{"running_mean", {channels}, {}, false, 0}, {"running_var", {channels}, {}, false, 1}}};
    static constexpr int kept_bytes_of_batch = 2 * channels * static_cast<int>(sizeof(float));

    template <class Precision, class Output>
    static void forward(context& on, const layer_parameters<Precision>& w,
                        matrix_view<const typename Precision::storage> x,
                        const basic_layer_memory<Output, typename Precision::storage>& out) {
      if (out.pass.training) find_moments(on, x, batch_moments(out.pass));
      compute_activated<Activation>(out, no_bias_term{}, [&](const auto& epilogue) {
        using function = kernels::normalize_channels<channels, pixels, typename Precision::storage,
                                                     std::remove_cvref_t<decltype(epilogue)>>;
        for_each_row(on.stream(), value_rows(x.rows),
                     function{x, moments_of(w.statistics, out.pass), w.arena, w.arena + beta, epilogue});
      });
    }

    template <class Precision, class InputDelta>
    static void backward(context& on, const layer_parameters<Precision>& w, float* dw,
                         matrix_view<const typename Precision::storage> x,
                         matrix_view<const typename Precision::storage> delta, const layer_pass& pass,
                         const InputDelta& dx) {
      const kernels::moments of = moments_of(w.statistics, pass);
      if (dw != nullptr) find_gradients(on, dw, x, delta, of);
      compute_input_delta(dx, [&]<class Epilogue>(const Epilogue& epilogue) {
        using T = typename Precision::storage;
        using through_batch = kernels::batch_normalized_backward<channels, pixels, T, Epilogue>;
        using through_constants = kernels::normalized_backward<channels, pixels, T, Epilogue>;
        const int rows = value_rows(x.rows);
        if (pass.training) {
          const float share = 1 / values(x.rows);
          for_each_row(on.stream(), rows,
                       through_batch{delta, x, of, w.arena, dw, dw + beta, share, epilogue});
        } else {
          for_each_row(on.stream(), rows, through_constants{delta, of, w.arena, epilogue});
        }
      });
    }

    // A single value has no variance, and no statistics are learnt of it. In training its channel is σ(β).
    static void update_statistics(context& on, float* running, const layer_pass& pass, int n,
                                  const int* skip) {
      const float count = values(n);
      if (count <= 1) return;
      const float* const batch = batch_moments(pass);
      for_each(on.stream(), channels,
               kernels::follow_moments{running, running + variance_place, batch, batch + channels,
                                       Constants.momentum, count / (count - 1), skip});
    }

   private:
    static constexpr std::size_t beta = padded(channels), variance_place = padded(channels);

    static float values(int n) { return static_cast<float>(n) * static_cast<float>(pixels); }
    static int value_rows(int n) { return kernels::rows_of_values<channels, pixels>(n); }

    // The batch's mean and variance of each channel.
    static float* batch_moments(const layer_pass& pass) { return reinterpret_cast<float*>(pass.of_batch); }

    static kernels::moments moments_of(const float* running, const layer_pass& pass) {
      if (!pass.training) return {running, running + variance_place, Constants.epsilon};
      const float* const batch = batch_moments(pass);
      return {batch, batch + channels, Constants.epsilon};
    }

    // In two passes over x, the second from caches: no digits are lost where the mean is large.
    template <class T>
    static void find_moments(context& on, matrix_view<const T> x, float* batch) {
      const float share = 1 / values(x.rows);
      sum_channels<channels, pixels>(on, x.rows, kernels::pixel_terms<T>{x},
                                     kernels::store_scaled{batch, share});
      sum_channels<channels, pixels>(on, x.rows, kernels::squared_deviations<T>{x, batch},
                                     kernels::store_scaled{batch + channels, share});
    }

    // dγ = Σ δ·x̂, dβ = Σ δ
    template <class T>
    static void find_gradients(context& on, float* dw, matrix_view<const T> x, matrix_view<const T> delta,
                               const kernels::moments& of) {
      sum_channels<channels, pixels>(on, x.rows, kernels::deviation_products<T>{delta, x, of.mean},
                                     kernels::store_divided_by_deviation{dw, of});
      sum_channels<channels, pixels>(on, x.rows, kernels::pixel_terms<T>{delta},
                                     kernels::store_scaled{dw + beta, 1});
    }
  };
};

}  // namespace plexus::inline PLEXUS_ABI
