// Slide 6, "Gradient descent": Δv = −η∇C; w ← w − (η/m) Σⱼ ∂C_Xj/∂w.
#include "slide.hpp"
#include "three_three_two.hpp"

namespace px = plexus;

namespace {

constexpr float rate = 0.5f;  // η
constexpr int samples = 8;    // m

void descend(lecture::by_hand& net, const px::dataset& data) {
  const auto gradient = lecture::cost_gradient(net, data, 0, samples);
  const auto eta = static_cast<double>(rate);
  for (std::size_t i = 0; i < net.hidden.size(); ++i) net.hidden[i] -= eta * gradient.hidden[i];
  for (std::size_t i = 0; i < net.output.size(); ++i) net.output[i] -= eta * gradient.output[i];
}

}  // namespace

int main() {
  lecture::slide slide("Slide 6: Gradient descent");
  const px::dataset data = lecture::training_set(samples);
  auto net = lecture::slide_network();
  lecture::by_hand hand;
  const auto step = [&] {
    net.step(std::span<const float>(data.inputs), std::span<const float>(data.targets), px::quadratic{},
             px::sgd{.rate = rate});
    descend(hand, data);
  };

  slide.say("One step w - (eta/m) sum of dC/dw over m = 8 samples, eta = 0.5:");
  slide.columns("by hand");
  step();
  const auto hidden = px::to_host(net.stream(), net.parameters()[0].values);
  const auto output = px::to_host(net.stream(), net.parameters()[1].values);
  for (std::size_t i = 0; i < 9; ++i) {
    slide.exact("weight I" + std::to_string(i % 3 + 1) + " to H" + std::to_string(i / 3 + 1), hand.hidden[i],
                static_cast<double>(hidden[i]));
  }
  for (std::size_t i = 0; i < 6; ++i) {
    slide.exact("weight H" + std::to_string(i % 3 + 1) + " to O" + std::to_string(i / 3 + 1), hand.output[i],
                static_cast<double>(output[i]));
  }

  slide.say("The cost on the way down:");
  slide.columns("by hand");
  bool falling = true;
  double before = px::evaluate(net, data, px::quadratic{}).loss;
  for (int steps = 1; steps <= 64; ++steps) {
    if ((steps & (steps - 1)) == 0) {
      const double cost = px::evaluate(net, data, px::quadratic{}).loss;
      slide.exact("cost after step " + std::to_string(steps), lecture::quadratic_cost(hand, data), cost);
      falling = falling && (steps == 1 || cost < before);
      before = cost;
    }
    step();
  }
  slide.statement("every cost is below the one before", "yes", falling ? "yes" : "no");
  return slide.result();
}
