// Dropout: in training each value is set to zero with probability p, the others are divided by 1 − p; in use
// every value passes. Nothing is learnt.
//
// N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014.
#pragma once

#include <plexus/kernels/dropout.hpp>
#include <plexus/layers/layer.hpp>
#include <plexus/linalg/epilogue_pass.hpp>

namespace plexus::inline PLEXUS_ABI {

// A number as a template's argument: dropout<0.5>.
struct probability {
  float value;
  constexpr probability(double p) : value(static_cast<float>(p)) {}
  constexpr probability(float p) : value(p) {}
  constexpr probability(int p) : value(static_cast<float>(p)) {}
};

// What is dropped is a function of the network's seed, the layer, the number of the step and the value's
// place: the same on every device, in a recorded step, and after a checkpoint; backward finds it without its
// being stored.
template <probability P>
struct dropout {
  static_assert(P.value >= 0 && P.value < 1, "plexus::dropout: the probability is in [0, 1)");

  template <class InputShape>
  struct layer : basic_layer<InputShape> {
    static constexpr const char* name = "dropout";
    static constexpr bool draws_random_numbers = true;

    template <class Precision, class Output>
    static void forward(context& on, const layer_parameters<Precision>&,
                        matrix_view<const typename Precision::storage> x,
                        const basic_layer_memory<Output, typename Precision::storage>& out) {
      take(on, x, out.pass, bias_activation{out.a, no_bias_term{}, identity{}});
    }

    template <class Precision, class InputDelta>
    static void backward(context& on, const layer_parameters<Precision>&, float*,
                         matrix_view<const typename Precision::storage>,
                         matrix_view<const typename Precision::storage> delta, const layer_pass& pass,
                         const InputDelta& dx) {
      compute_input_delta(dx, [&](const auto& epilogue) { take(on, delta, pass, epilogue); });
    }

   private:
    // Forward and back are the same: what a value is multiplied by depends on its place alone.
    template <class T, class Epilogue>
    static void take(context& on, matrix_view<const T> x, const layer_pass& pass, const Epilogue& to) {
      if (pass.training) {
        for_each_row(on.stream(), x.rows,
                     kernels::drop_out<T, Epilogue>{x, pass.random, least_kept, 1 / (1 - P.value), to});
      } else {
        for_each_row(on.stream(), x.rows, epilogue_pass_over<Epilogue, T>{x, to});
      }
    }

    static constexpr auto least_kept = static_cast<std::uint32_t>(static_cast<double>(P.value) * 0x1p32);
  };
};

}  // namespace plexus::inline PLEXUS_ABI
