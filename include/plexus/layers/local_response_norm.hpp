// Local response normalisation across channels: b(c) = a(c) / (k + α/size · Σ a(j)²)^β, the sum being over
// the `size` channels around c at the same pixel; (n, C, H, W) → (n, C, H, W). Nothing is learnt.
#pragma once

#include <plexus/core/for_each.hpp>
#include <plexus/kernels/epilogue.hpp>
#include <plexus/kernels/local_response_norm.hpp>
#include <plexus/layers/layer.hpp>

#include <algorithm>

namespace plexus::inline PLEXUS_ABI {

// The formula's constants; the defaults are PyTorch's.
struct lrn {
  float alpha = 1e-4f;
  float beta = 0.75f;
  float k = 1;
};

// As torch.nn.LocalResponseNorm(size, alpha, beta, k) has it: α is divided by the size, an even window has
// its odd channel before c, and channels that are not there count as zeros. Krizhevsky, Sutskever and Hinton
// ("ImageNet classification with deep convolutional neural networks", 2012, section 3.3) do not divide α:
// their n = 5, k = 2, α = 10⁻⁴, β = 0.75 is local_response_norm<5, lrn{.alpha = 5e-4f, .k = 2}>. Backward
// keeps nothing: it computes the sums of squares anew.
template <int Size, lrn Constants = lrn{}>
struct local_response_norm {
  static_assert(Size > 0, "plexus::local_response_norm: the window has at least one channel");
  static_assert(Constants.alpha >= 0 && Constants.k > 0,
                "plexus::local_response_norm: alpha is at least 0, and k above 0");

  using expected = images_at_least<1, 1, 1>;
  template <class InputShape>
  static constexpr bool accepts = image_traits<InputShape>::is_image;

  template <class InputShape>
  struct layer : basic_layer<InputShape> {
    using image = image_traits<InputShape>;

    static constexpr const char* name = "local_response_norm";

    template <class Precision, class Output>
    static void forward(context& on, const layer_parameters<Precision>&,
                        matrix_view<const typename Precision::storage> x,
                        const basic_layer_memory<Output, typename Precision::storage>& out) {
      for_each_tile(
          on, x.rows,
          kernels::response_norm_forward<before, after, typename Precision::storage, Output>{of, x, out.a});
    }

    template <class Precision, class InputDelta>
    static void backward(context& on, const layer_parameters<Precision>&, float*,
                         matrix_view<const typename Precision::storage> x,
                         matrix_view<const typename Precision::storage> delta, const layer_pass&,
                         const InputDelta& dx) {
      compute_input_delta(dx, [&]<class Epilogue>(const Epilogue& epilogue) {
        using back = kernels::response_norm_backward<before, after, typename Precision::storage, Epilogue>;
        for_each_tile(on, x.rows, back{of, x, delta, epilogue});
      });
    }

   private:
    // No channel has more neighbours than there are.
    static constexpr int before = std::min(Size / 2, image::channels - 1),
                         after = std::min((Size - 1) / 2, image::channels - 1);
    static constexpr kernels::response_norm of{image::channels, image::extent.area(),
                                               Constants.alpha / static_cast<float>(Size), Constants.beta,
                                               Constants.k};

    template <class Function>
    static void for_each_tile(context& on, int samples, const Function& function) {
      for_each_row(on.stream(), samples * of.tiles_of_sample(), function);
    }
  };
};

}  // namespace plexus::inline PLEXUS_ABI
