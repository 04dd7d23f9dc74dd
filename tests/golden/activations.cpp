// Activations and their derivatives against PyTorch's, on the device.
#include <plexus/plexus.hpp>

#include "golden.hpp"

#include <limits>
#include <typeinfo>

namespace px = plexus;

namespace {

template <class Activation>
struct evaluate_activation {
  const float* points;
  float *values, *derivatives, *derivatives_from_kept;

  PLEXUS_FN void operator()(std::size_t i) const {
    const Activation f;
    values[i] = f(points[i]);
    derivatives[i] = f.derivative(points[i]);
    const float* const kept = px::output_differentiable<Activation> ? values : points;
    derivatives_from_kept[i] = px::activation_derivative<Activation>{{kept + i, 1, 1, 1}, f}(0, 0);
  }
};

// Values are right in relation to themselves, however small: this is the rounding error of PyTorch's 1 + erf.
constexpr double of_value = 1e-14;
// A derivative is of the order of 1, and what it is computed from, such as 1 − a, has the rounding error of
// 1: to 1e-5 relative comes 2⁻²² absolute, four times the rounding error of a number just below 1.
constexpr double of_derivative = 0x1p-22;

// To 1e-5 relative or `absolute`; infinite where FP32 overflows.
void check_activation(const std::vector<float>& computed, const std::vector<double>& expected,
                      const std::vector<float>& points, double absolute) {
  REQUIRE(computed.size() == expected.size());
  for (std::size_t i = 0; i < computed.size(); ++i) {
    INFO("at " << points[i]);
    if (expected[i] > static_cast<double>(std::numeric_limits<float>::max())) {
      CHECK(computed[i] == INFINITY);
    } else {
      CHECK(std::abs(static_cast<double>(computed[i]) - expected[i]) <=
            1e-5 * std::abs(expected[i]) + absolute);
    }
  }
}

template <class Activation>
void check_against_pytorch(const golden::file& file, const std::string& name) {
  const std::vector<double> stored = file["points"];
  const std::vector<float> points(stored.begin(), stored.end());
  const px::stream on;
  const px::buffer<float> at = px::to_device(on.get(), points);
  const std::vector<float> poison(points.size(), NAN);
  const px::buffer<float> values = px::to_device(on.get(), poison),
                          derivatives = px::to_device(on.get(), poison),
                          from_kept = px::to_device(on.get(), poison);
  px::for_each(
      on.get(), points.size(),
      evaluate_activation<Activation>{at.data(), values.data(), derivatives.data(), from_kept.data()});
  INFO(name);
  check_activation(px::to_host(on.get(), values.view()), file[name + "/value"], points, of_value);
  check_activation(px::to_host(on.get(), derivatives.view()), file[name + "/derivative"], points,
                   of_derivative);
  check_activation(px::to_host(on.get(), from_kept.view()), file[name + "/derivative"], points,
                   of_derivative);
}

template <class... Activations, class Stays>
void check_nan(const Stays& stays) {
  const auto check = [&](auto f) {
    INFO(typeid(f).name());
    CHECK(stays(f));
  };
  (check(Activations{}), ...);
}

}  // namespace

TEST_CASE("Activations and their derivatives are PyTorch's", "[golden]") {
  const golden::file file(golden::folder() / "activations.safetensors");
  check_against_pytorch<px::sigmoid>(file, "sigmoid");
  check_against_pytorch<px::tanh>(file, "tanh");
  check_against_pytorch<px::relu>(file, "relu");
  check_against_pytorch<px::leaky_relu>(file, "leaky_relu");
  check_against_pytorch<px::softplus>(file, "softplus");
  check_against_pytorch<px::identity>(file, "identity");
}

TEST_CASE("More activations and their derivatives are PyTorch's, far beyond where squares overflow",
          "[golden]") {
  const golden::file file(golden::folder() / "more_activations.safetensors");
  check_against_pytorch<px::elu>(file, "elu");
  check_against_pytorch<px::selu>(file, "selu");
  check_against_pytorch<px::gelu>(file, "gelu");
  check_against_pytorch<px::gelu_tanh>(file, "gelu_tanh");
  check_against_pytorch<px::silu>(file, "silu");
  check_against_pytorch<px::mish>(file, "mish");
  check_against_pytorch<px::hard_sigmoid>(file, "hard_sigmoid");
  check_against_pytorch<px::softsign>(file, "softsign");
  check_against_pytorch<px::sine>(file, "sine");
  check_against_pytorch<px::exponential>(file, "exponential");
  check_against_pytorch<px::squareplus>(file, "squareplus");
}

TEST_CASE("A NaN goes through every activation, and through every derivative but the constant ones",
          "[golden]") {
  check_nan<px::relu, px::leaky_relu, px::identity, px::hard_sigmoid>(
      [](auto f) { return std::isnan(f(NAN)); });
  check_nan<px::sigmoid, px::tanh, px::softplus, px::elu, px::selu, px::gelu, px::gelu_tanh, px::silu,
            px::mish, px::softsign, px::sine, px::exponential, px::squareplus>(
      [](auto f) { return std::isnan(f(NAN)) && std::isnan(f.derivative(NAN)); });
}
