// Slide 2, "Inference": a 3-3-2 network without biases; input (0.5, 0.9, −0.3).
#include "slide.hpp"
#include "three_three_two.hpp"

namespace px = plexus;

namespace {

// A layer's weighted sums: the same layer without its activation.
template <int In, int Out, class Input>
std::array<float, static_cast<std::size_t>(Out)> weighted_sums(const std::vector<float>& weights,
                                                               const Input& x) {
  px::network<px::input<In>, px::dense<Out, px::identity, px::no_bias>> layer;
  lecture::set_weights(layer, 0, weights);
  return layer.predict(x);
}

// A layer's outputs.
template <int In, int Out, class Input>
std::array<float, static_cast<std::size_t>(Out)> outputs(const std::vector<float>& weights, const Input& x) {
  px::network<px::input<In>, px::dense<Out, px::sigmoid, px::no_bias>> layer;
  lecture::set_weights(layer, 0, weights);
  return layer.predict(x);
}

template <std::size_t Size>
void show(lecture::slide& slide, const std::string& what, const std::array<double, Size>& expected,
          const std::array<float, Size>& computed) {
  for (std::size_t i = 0; i < Size; ++i) {
    slide.exact(what + std::to_string(i + 1), expected[i], static_cast<double>(computed[i]));
  }
}

}  // namespace

int main() {
  lecture::slide slide("Slide 2: Inference in a 3-3-2 network");
  const auto hidden_sums = weighted_sums<3, 3>(lecture::hidden_weights, lecture::slide_input);
  const auto hidden = outputs<3, 3>(lecture::hidden_weights, lecture::slide_input);
  const auto output_sums = weighted_sums<3, 2>(lecture::output_weights, hidden);
  auto net = lecture::slide_network();
  const auto answer = net.predict(lecture::slide_input);

  slide.say("As the slide prints it:");
  slide.columns();
  const std::array hidden_shown{".13", ".96", ".40"};
  for (std::size_t i = 0; i < 3; ++i) {
    slide.rounded("output of H" + std::to_string(i + 1), hidden_shown[i], static_cast<double>(hidden[i]));
  }
  slide.rounded("output of O1", ".35", static_cast<double>(answer[0]));
  slide.rounded("output of O2", ".85", static_cast<double>(answer[1]));

  slide.say("Without the slide's rounding:");
  slide.columns();
  show(slide, "sum of H", {-1.9, 3.1, -0.4}, hidden_sums);
  show(slide, "output of H", {0.13010847, 0.95689275, 0.40131234}, hidden);
  show(slide, "sum of O", {-0.63736970, 1.75951742}, output_sums);
  show(slide, "output of O", {0.34584136, 0.85314921}, answer);
  return slide.result();
}
