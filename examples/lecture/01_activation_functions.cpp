// Slide 1, "Activation functions": S(t) = 1/(1 + e^−t). Small changes in, small changes out.
#include <plexus/plexus.hpp>

#include "slide.hpp"

#include <functional>
#include <vector>

namespace px = plexus;

namespace {

template <class Activation>
struct evaluate {
  const float* t;
  float *value, *slope;
  PLEXUS_FN void operator()(std::size_t i) const {
    const Activation f;
    value[i] = f(t[i]);
    slope[i] = f.derivative(t[i]);
  }
};

struct curve {
  std::vector<float> value, slope;
};

// f and f' at the points, computed on the device.
template <class Activation>
curve evaluate_at(const std::vector<float>& points) {
  const px::stream on;
  const auto t = px::to_device(on.get(), points);
  const px::buffer<float> value(points.size()), slope(points.size());
  px::for_each(on.get(), points.size(), evaluate<Activation>{t.data(), value.data(), slope.data()});
  return {px::to_host(on.get(), value.view()), px::to_host(on.get(), slope.view())};
}

using function = std::function<double(double)>;

template <class Activation>
void show(lecture::slide& slide, const std::string& name, const function& f) {
  const std::vector<float> points{-2, -0.5, 0.5, 2};
  const curve computed = evaluate_at<Activation>(points);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const auto t = static_cast<double>(points[i]);
    const std::string at = "(" + std::to_string(t).substr(0, t < 0 ? 4 : 3) + ")";
    constexpr double h = 1e-5;
    slide.exact(name + at, f(t), static_cast<double>(computed.value[i]));
    slide.exact(name + "'" + at, (f(t + h) - f(t - h)) / (2 * h), static_cast<double>(computed.slope[i]));
  }
}

}  // namespace

int main() {
  lecture::slide slide("Slide 1: Activation functions");
  const function sigmoid = [](double t) { return 1 / (1 + std::exp(-t)); };

  slide.say("The sigmoid S(t) = 1/(1 + e^-t):");
  slide.columns();
  std::vector<float> points;
  for (float t = -6; t <= 6; t += 1) points.push_back(t);
  const curve s = evaluate_at<px::sigmoid>(points);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const auto t = static_cast<double>(points[i]);
    slide.exact("S(" + std::to_string(static_cast<int>(t)) + ")", sigmoid(t),
                static_cast<double>(s.value[i]));
  }

  slide.say("Small changes in, small changes out: S(t + 0.01) - S(t), at most 0.01/4:");
  slide.columns();
  std::vector<float> nudged = points;
  for (float& t : nudged) t += 0.01f;
  const curve after = evaluate_at<px::sigmoid>(nudged);
  double largest = 0;
  for (std::size_t i = 0; i < points.size(); i += 3) {
    const double t = static_cast<double>(points[i]), t_after = static_cast<double>(nudged[i]);
    slide.exact("change at t = " + std::to_string(static_cast<int>(t)), sigmoid(t_after) - sigmoid(t),
                static_cast<double>(after.value[i]) - static_cast<double>(s.value[i]));
  }
  for (std::size_t i = 0; i < points.size(); ++i) {
    largest = std::max(largest, static_cast<double>(after.value[i]) - static_cast<double>(s.value[i]));
  }
  slide.statement("the largest change is at most 0.0025", "yes", largest <= 0.0025 + 1e-6 ? "yes" : "no");

  slide.say("The other usual ones, with their derivatives (by central differences, h = 1e-5):");
  slide.columns("by hand");
  show<px::tanh>(slide, "tanh", [](double t) { return std::tanh(t); });
  show<px::relu>(slide, "relu", [](double t) { return std::max(t, 0.0); });
  show<px::leaky_relu>(slide, "leaky_relu", [](double t) { return t > 0 ? t : 0.01 * t; });
  show<px::softplus>(slide, "softplus", [](double t) { return std::log(1 + std::exp(t)); });
  show<px::elu>(slide, "elu", [](double t) { return t > 0 ? t : std::exp(t) - 1; });
  show<px::gelu>(slide, "gelu", [](double t) { return t * std::erfc(-t / std::sqrt(2.0)) / 2; });
  show<px::silu>(slide, "silu", [&](double t) { return t * sigmoid(t); });
  return slide.result();
}
