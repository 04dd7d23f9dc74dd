// Every gradient against central differences of the loss, and against the lecture's four equations in double.
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/reference.hpp"
#include "support/worst.hpp"

namespace px = plexus;
using support::swish;

namespace {

px::target_view targets_of(const px::dataset& data, const px::buffer<int>& labels,
                           const px::buffer<float>& values) {
  return data.labels.empty() ? px::target_view{nullptr, values.data(), data.outputs}
                             : px::target_view{labels.data(), nullptr, 0};
}

// ∂f/∂v by the five-point stencil: the error is of the order h⁴, so that h may be large beside FP32's
// rounding.
template <class Function>
double central_difference(const Function& f, float v) {
  const float h = 0.02f;
  return (8 * (f(v + h) - f(v - h)) - (f(v + 2 * h) - f(v - 2 * h))) / (12.0 * h);
}

// Compares every gradient of `net`, and that of the input, with central differences of the mean loss.
template <class Network, class Loss>
void check_gradients(const px::dataset& data, const Loss& loss, px::gemm_policy policy) {
  Network net{px::seed{21}, policy};
  const int n = data.size();
  const px::buffer<float> x = px::to_device(net.stream(), data.inputs);
  const px::buffer<int> labels = px::to_device(net.stream(), data.labels);
  const px::buffer<float> values = px::to_device(net.stream(), data.targets);
  const px::target_view y = targets_of(data, labels, values);
  const auto inputs = px::matrix<const float>(x.data(), n, data.features);
  const px::buffer<float> dx(data.inputs.size());

  const auto mean_loss = [&] {
    net.reset_totals();
    net.judge(inputs, y, loss);
    return net.totals().loss / n;
  };
  net.backward(inputs, y, loss, px::matrix(dx.data(), n, data.features));

  double worst = 0;
  const auto check_tensor = [&](px::view<float> at, px::view<float> gradient) {
    std::vector<float> w = px::to_host(net.stream(), at);
    const std::vector<float> dw = px::to_host(net.stream(), gradient);
    for (std::size_t i = 0; i < w.size(); ++i) {
      const float kept = w[i];
      const double numeric = central_difference(
          [&](float v) {
            w[i] = v;
            px::copy_to_device<float>(net.stream(), at.data, w);
            return mean_loss();
          },
          kept);
      w[i] = kept;
      worst = support::worse(worst, std::abs(numeric - static_cast<double>(dw[i])));
    }
    px::copy_to_device<float>(net.stream(), at.data, w);
  };
  const auto gradients = net.gradients();
  const auto parameters = net.parameters();
  for (std::size_t i = 0; i < gradients.size(); ++i) check_tensor(parameters[i].values, gradients[i].values);
  check_tensor(x.view(), dx.view());
  CHECK(worst < 1e-4);
}

template <class Activation>
using deep = px::network<px::input<5>, px::dense<4, Activation>, px::dense<3, Activation, px::no_bias>,
                         px::dense<3, Activation>>;
template <class Activation>
using logits = px::network<px::input<5>, px::dense<4, Activation>, px::dense<3>>;

template <class Activation>
void check_activation() {
  for (const auto policy : {px::gemm_policy::native, px::default_gemm_policy}) {
    for (const int n : {1, 6}) {
      CAPTURE(n);
      const px::dataset classes = support::largest_feature(n, 5, 3),
                        values = support::random_targets(n, 5, 3);
      check_gradients<deep<Activation>>(values, px::quadratic{}, policy);
      check_gradients<deep<Activation>>(classes, px::quadratic{}, policy);
      check_gradients<logits<Activation>>(classes, px::softmax_cross_entropy{}, policy);
      check_gradients<logits<Activation>>(values, px::softmax_cross_entropy{}, policy);
      check_gradients<deep<Activation>>(classes, px::softmax_cross_entropy{}, policy);
    }
  }
}

}  // namespace

TEST_CASE("Gradients through sigmoid", "[gradient][slow]") { check_activation<px::sigmoid>(); }
TEST_CASE("Gradients through tanh", "[gradient][slow]") { check_activation<px::tanh>(); }
TEST_CASE("Gradients through softplus", "[gradient][slow]") { check_activation<px::softplus>(); }
TEST_CASE("Gradients through identity", "[gradient][slow]") { check_activation<px::identity>(); }
TEST_CASE("Gradients through a user's activation", "[gradient][slow]") { check_activation<swish>(); }

// Every option of windows once, and sums over shared weights.
TEST_CASE("Gradients through convolutions and means", "[gradient][slow]") {
  using plain = px::network<px::image<2, 5, 6>, px::conv2d<3, 3, px::tanh>,
                            px::average_pool<2, px::stride<1>>, px::conv2d<2, 1, px::sigmoid>, px::dense<3>>;
  using options =
      px::network<px::image<4, 5, 4>, px::conv2d<4, 3, px::softplus, px::same, px::groups<2>>,
                  px::conv2d<3, px::extent2d{2, 1}, swish, px::stride<2, 1>, px::padding<1, 0>, px::no_bias>,
                  px::conv2d<4, 2, px::identity, px::dilation<1, 2>>, px::global_average_pool>;
  for (const auto policy : {px::gemm_policy::native, px::default_gemm_policy}) {
    check_gradients<plain>(support::random_targets(3, 60, 3), px::quadratic{}, policy);
    check_gradients<plain>(support::largest_feature(3, 60, 3), px::softmax_cross_entropy{}, policy);
    check_gradients<options>(support::random_targets(3, 80, 4), px::quadratic{}, policy);
  }
}

// A maximum has kinks where two pixels of a window are nearly equal: here all of them lie 0.1 apart, more
// than a difference moves one.
TEST_CASE("Gradients through max pooling", "[gradient][slow]") {
  using net = px::network<px::image<1, 5, 5>, px::max_pool<3, px::stride<2>, px::padding<1>>>;
  px::dataset data = support::random_targets(2, 25, 9);
  for (std::size_t i = 0; i < 50; ++i) data.inputs[i] = static_cast<float>(i * 7 % 25) * 0.1f - 1;
  check_gradients<net>(data, px::quadratic{}, px::default_gemm_policy);
}

// relu and leaky_relu have a kink that a difference may straddle, so they are held against the equations in
// double. The same test checks every other activation at a size where tiles and edges matter.
namespace {

template <class Activation>
void check_against_equations(const reference::activation& sigma) {
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
  check_against_equations<px::relu>(reference::relu());
  check_against_equations<px::leaky_relu>(reference::leaky_relu());
  check_against_equations<px::sigmoid>(reference::sigmoid());
  check_against_equations<swish>(reference::swish());
}
