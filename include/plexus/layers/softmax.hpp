// Softmax as a layer: p(j) = exp z(j) / Σₖ exp z(k) over all values of a sample; (n, C) → (n, C). Nothing is
// learnt. A classifier trained by softmax_cross_entropy, which has the softmax in it, does without.
#pragma once

#include <plexus/kernels/softmax.hpp>
#include <plexus/layers/layer.hpp>

namespace plexus::inline PLEXUS_ABI {

// Of vectors, as torch.nn.Softmax(1) has it. Backward computes p anew from z.
struct softmax {
  struct vectors;
  using expected = vectors;
  template <class InputShape>
  static constexpr bool accepts = !image_traits<InputShape>::is_image;

  template <class InputShape>
  struct layer : basic_layer<InputShape> {
    static constexpr const char* name = "softmax";

    template <class Precision, class Output>
    static void forward(context& on, const layer_parameters<Precision>&,
                        matrix_view<const typename Precision::storage> x,
                        const basic_layer_memory<Output, typename Precision::storage>& out) {
      for_each_row(on.stream(), x.rows, kernels::softmax_row<typename Precision::storage, Output>{x, out.a});
    }

    template <class Precision, class InputDelta>
    static void backward(context& on, const layer_parameters<Precision>&, float*,
                         matrix_view<const typename Precision::storage> x,
                         matrix_view<const typename Precision::storage> delta, const layer_pass&,
                         const InputDelta& dx) {
      compute_input_delta(dx, [&]<class Epilogue>(const Epilogue& epilogue) {
        using back = kernels::softmax_row_backward<typename Precision::storage, Epilogue>;
        for_each_row(on.stream(), x.rows, back{x, delta, epilogue});
      });
    }
  };
};

}  // namespace plexus::inline PLEXUS_ABI
