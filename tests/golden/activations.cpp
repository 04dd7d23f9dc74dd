// Activations and their derivatives against PyTorch's, on the device.
#include <plexus/plexus.hpp>

#include "golden.hpp"

namespace px = plexus;

namespace {

template <class Activation>
struct evaluate_activation {
  const float* points;
  float *values, *derivatives, *derivatives_from_output;

  PLEXUS_FN void operator()(std::size_t i) const {
    const Activation f;
    values[i] = f(points[i]);
    derivatives[i] = f.derivative(points[i]);
    derivatives_from_output[i] = f.derivative_from_output(values[i]);
  }
};

// An activation's outputs are of the order of 1, so 1 − a has the rounding error of 1: to 1e-5 relative comes
// 2⁻²² absolute, four times the rounding error of a number just below 1.
void check_activation(const std::vector<float>& computed, const std::vector<double>& expected,
                      const std::vector<float>& points) {
  REQUIRE(computed.size() == expected.size());
  for (std::size_t i = 0; i < computed.size(); ++i) {
    INFO("at " << points[i]);
    CHECK(std::abs(static_cast<double>(computed[i]) - expected[i]) <= 1e-5 * std::abs(expected[i]) + 0x1p-22);
  }
}

template <class Activation>
void check_against_pytorch(const std::string& name) {
  const golden::file file(golden::folder() / "activations.safetensors");
  const std::vector<double> stored = file["points"];
  const std::vector<float> points(stored.begin(), stored.end());
  const px::stream on;
  const px::buffer<float> at = px::to_device(on.get(), points);
  const std::vector<float> poison(points.size(), NAN);
  const px::buffer<float> values = px::to_device(on.get(), poison),
                          derivatives = px::to_device(on.get(), poison),
                          from_output = px::to_device(on.get(), poison);
  px::for_each(
      on.get(), points.size(),
      evaluate_activation<Activation>{at.data(), values.data(), derivatives.data(), from_output.data()});
  INFO(name);
  check_activation(px::to_host(on.get(), values.view()), file[name + "/value"], points);
  check_activation(px::to_host(on.get(), derivatives.view()), file[name + "/derivative"], points);
  check_activation(px::to_host(on.get(), from_output.view()), file[name + "/derivative"], points);
}

}  // namespace

TEST_CASE("Activations and their derivatives are PyTorch's", "[golden]") {
  check_against_pytorch<px::sigmoid>("sigmoid");
  check_against_pytorch<px::tanh>("tanh");
  check_against_pytorch<px::relu>("relu");
  check_against_pytorch<px::leaky_relu>("leaky_relu");
  check_against_pytorch<px::softplus>("softplus");
  check_against_pytorch<px::identity>("identity");
}
