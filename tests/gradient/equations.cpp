// BP1 to BP4, each alone: what one kernel computes against central differences of what it differentiates.
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"

namespace px = plexus;

namespace {

constexpr int n = 4, in = 5, out = 3;

double logistic(double z) { return 1 / (1 + std::exp(-z)); }

// Values for one layer of sigmoids: z (n, out), y (n, out), x (n, in), w (out, in), and an upstream delta (n,
// out).
struct one_layer {
  std::vector<float> z = support::random_values(n * out, 1), y = support::random_values(n * out, 2),
                     x = support::random_values(n * in, 3), w = support::random_values(out * in, 4),
                     delta = support::random_values(n * out, 5);
};

// ∂f/∂v_i for each i, in double.
template <class Function>
std::vector<double> central_differences(std::vector<double> v, const Function& f) {
  std::vector<double> slopes;
  for (double& at : v) {
    const double kept = at, h = 1e-5;
    at = kept + h;
    const double above = f(v);
    at = kept - h;
    slopes.push_back((above - f(v)) / (2 * h));
    at = kept;
  }
  return slopes;
}

void check_equal(const std::vector<float>& computed, const std::vector<double>& expected) {
  REQUIRE(computed.size() == expected.size());
  for (std::size_t i = 0; i < computed.size(); ++i)
    CHECK(computed[i] == Approx(expected[i]).margin(2e-6).epsilon(1e-5));
}

std::vector<double> in_double(const std::vector<float>& v) { return {v.begin(), v.end()}; }

// Σ delta ⊙ (x wᵀ + b), whose derivative with respect to x, w or b is what backward computes of delta.
double weighted_sums(const std::vector<float>& delta, const std::vector<double>& x,
                     const std::vector<double>& w, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < out; ++j) {
      double z = b[j];
      for (std::size_t k = 0; k < in; ++k) z += x[i * in + k] * w[j * in + k];
      sum += static_cast<double>(delta[i * out + j]) * z;
    }
  }
  return sum;
}

const std::vector<double> zero_bias(out, 0.0);

}  // namespace

TEST_CASE("BP1: the delta of the output is the loss's slope along z", "[gradient]") {
  const one_layer v;
  px::context on;
  std::vector<float> a;
  for (const float z : v.z) a.push_back(px::sigmoid{}(z));
  const px::buffer<float> outputs = px::to_device(on.stream(), a), y = px::to_device(on.stream(), v.y);
  const px::buffer<float> delta(n * out), loss(n), correct(n);
  using derivative = px::activation_derivative<px::sigmoid>;
  const auto a_view = px::matrix<const float>(outputs.data(), n, out);
  px::for_each_row(on.stream(), n,
                   px::output_delta_rows<px::quadratic, derivative>{.loss = {},
                                                                    .a = a_view,
                                                                    .y = {nullptr, y.data(), out},
                                                                    .results = {loss.data(), correct.data()},
                                                                    .delta = px::matrix(delta.data(), n, out),
                                                                    .derivative = derivative{a_view, {}},
                                                                    .scale = 1.0f / n});
  check_equal(px::to_host(on.stream(), delta.view()), central_differences(in_double(v.z), [&](const auto& z) {
                double cost = 0;
                for (std::size_t i = 0; i < z.size(); ++i) {
                  const double difference = static_cast<double>(v.y[i]) - logistic(z[i]);
                  cost += difference * difference / (2 * n);
                }
                return cost;
              }));
}

TEST_CASE("BP2: delta passes through the transposed weights and the derivative", "[gradient]") {
  const one_layer v;
  for (const auto policy : {px::gemm_policy::native, px::default_gemm_policy}) {
    px::context on(policy);
    std::vector<float> a;  // the layer's inputs are the sigmoids of x, the sums of the layer before
    for (const float z : v.x) a.push_back(px::sigmoid{}(z));
    const px::buffer<float> inputs = px::to_device(on.stream(), a), w = px::to_device(on.stream(), v.w),
                            delta = px::to_device(on.stream(), v.delta);
    const px::buffer<float> below(n * in);
    const px::activation_derivative<px::sigmoid> derivative{px::matrix<const float>(inputs.data(), n, in),
                                                            {}};
    px::gemm<px::layout::nn>(on, px::matrix<const float>(delta.data(), n, out),
                             px::matrix<const float>(w.data(), out, in),
                             px::times_derivative{px::matrix(below.data(), n, in), derivative});
    check_equal(px::to_host(on.stream(), below.view()), central_differences(in_double(v.x), [&](auto z) {
                  for (double& value : z) value = logistic(value);
                  return weighted_sums(v.delta, z, in_double(v.w), zero_bias);
                }));
  }
}

TEST_CASE("BP3: the bias's gradient is the column sums of delta", "[gradient]") {
  const one_layer v;
  for (const auto policy : {px::gemm_policy::native, px::default_gemm_policy}) {
    px::context on(policy);
    const px::buffer<float> delta = px::to_device(on.stream(), v.delta);
    const px::buffer<float> db(out);
    px::column_sums(on, px::matrix<const float>(delta.data(), n, out), db.data());
    check_equal(px::to_host(on.stream(), db.view()), central_differences(zero_bias, [&](const auto& b) {
                  return weighted_sums(v.delta, in_double(v.x), in_double(v.w), b);
                }));
  }
}

TEST_CASE("BP4: the weights' gradient is delta transposed times the inputs", "[gradient]") {
  const one_layer v;
  for (const auto policy : {px::gemm_policy::native, px::default_gemm_policy}) {
    px::context on(policy);
    const px::buffer<float> delta = px::to_device(on.stream(), v.delta), x = px::to_device(on.stream(), v.x);
    const px::buffer<float> dw(out * in);
    px::gemm<px::layout::tn>(on, px::matrix<const float>(delta.data(), n, out),
                             px::matrix<const float>(x.data(), n, in),
                             px::store{px::matrix(dw.data(), out, in)});
    check_equal(px::to_host(on.stream(), dw.view()), central_differences(in_double(v.w), [&](const auto& w) {
                  return weighted_sums(v.delta, in_double(v.x), w, zero_bias);
                }));
  }
}

TEST_CASE("The lecture's backpropagation example comes out digit for digit", "[gradient]") {
  using lecture = px::network<px::input<3>, px::dense<3, px::sigmoid, px::no_bias>,
                              px::dense<2, px::sigmoid, px::no_bias>>;
  lecture net;
  support::set_parameter(net, 0, {1, -2, 2, 2, 1, -4, 1, -1, 0});
  support::set_parameter(net, 1, {-3, 1, -3, 0, 1, 2});
  const px::buffer<float> x = px::to_device<float>(net.stream(), {0.5f, 0.9f, -0.3f});
  const px::buffer<float> y = px::to_device<float>(net.stream(), {0.9f, 0.85314921f});
  net.backward(px::matrix<const float>(x.data(), 1, 3), {nullptr, y.data(), 2}, px::quadratic{});
  const std::vector<float> dw = px::to_host(net.stream(), net.gradients()[1].values);
  CHECK(std::abs(dw[0] - -0.01631172) < 1e-7);  // the weight from H1 to O1: I·(O − T)·O·(1 − O)
  CHECK(std::abs(dw[3]) < 1e-7);                // O2 is at its target
}
