// Backward of dense layers against the lecture's four equations in double, at a size where tiles and edges
// matter.
#include <plexus/plexus.hpp>

#include "support/activations.hpp"
#include "support/catch.hpp"
#include "support/worst.hpp"

namespace px = plexus;
using support::swish;

namespace {

template <class Activation>
void check_against_equations() {
  const reference::activation sigma = reference::in_double(Activation{});
  using network = px::network<px::input<37>, px::dense<45, Activation>,
                              px::dense<33, Activation, px::no_bias>, px::dense<7, Activation>>;
  for (const auto policy : {px::gemm_policy::native, px::default_gemm_policy}) {
    network net{px::seed{2}, policy};
    const int n = 19;
    const px::dataset data = support::random_targets(n, 37, 7);
    const px::buffer<float> x = px::to_device(net.stream(), data.inputs);
    const px::buffer<float> y = px::to_device(net.stream(), data.targets);
    const px::buffer<float> dx(data.inputs.size());
    net.backward(px::matrix<const float>(x.data(), n, 37), {nullptr, y.data(), 7}, px::quadratic{},
                 px::matrix(dx.data(), n, 37));

    const reference::network truth = reference::copy_of(net, net.parameters(), {sigma, sigma, sigma});
    reference::network sums = truth.zero();
    const std::vector<float> input_gradient = px::to_host(net.stream(), dx.view());
    double worst = 0;
    for (std::size_t row = 0; row < static_cast<std::size_t>(n); ++row) {
      const reference::vector sample(data.inputs.begin() + static_cast<std::ptrdiff_t>(row) * 37,
                                     data.inputs.begin() + static_cast<std::ptrdiff_t>(row + 1) * 37);
      const auto gradient = [&](const reference::vector& a) {
        reference::vector difference(a.size());
        for (std::size_t j = 0; j < a.size(); ++j) difference[j] = (a[j] - data.targets[row * 7 + j]) / n;
        return difference;
      };
      const reference::vector below = truth.backward(sample, gradient, sums);
      for (std::size_t k = 0; k < 37; ++k)
        worst = support::worse(worst, std::abs(below[k] - input_gradient[row * 37 + k]));
    }
    const reference::network computed = reference::copy_of(net, net.gradients(), {sigma, sigma, sigma});
    for (std::size_t l = 0; l < 3; ++l) {
      for (std::size_t i = 0; i < computed.layers[l].w.size(); ++i) {
        worst = support::worse(worst, std::abs(computed.layers[l].w[i] - sums.layers[l].w[i]));
      }
      if (l == 1) continue;  // without bias
      for (std::size_t i = 0; i < computed.layers[l].b.size(); ++i) {
        worst = support::worse(worst, std::abs(computed.layers[l].b[i] - sums.layers[l].b[i]));
      }
    }
    CHECK(worst < 2e-6);
  }
}

}  // namespace

TEST_CASE("Backward follows BP1 to BP4 in double", "[gradient]") {
  check_against_equations<px::relu>();
  check_against_equations<px::leaky_relu>();
  check_against_equations<px::elu>();
  check_against_equations<px::selu>();
  check_against_equations<px::hard_sigmoid>();
  check_against_equations<px::softsign>();
  check_against_equations<px::sigmoid>();
  check_against_equations<swish>();
}
