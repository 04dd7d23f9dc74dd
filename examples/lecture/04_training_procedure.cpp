// Slide 4, "Training procedure": infer on the training set, calculate the error, find each neuron's
// contribution, change the weights.
#include "slide.hpp"
#include "three_three_two.hpp"

namespace px = plexus;

int main() {
  lecture::slide slide("Slide 4: Training procedure");
  const px::dataset data = lecture::training_set(4);
  const lecture::by_hand hand;

  // The slide's network with biases that are zero: a bias's gradient is its neuron's contribution.
  px::network<px::input<3>, px::dense<3, px::sigmoid>, px::dense<2, px::sigmoid>> net;
  lecture::set_weights(net, 0, lecture::hidden_weights);
  lecture::set_weights(net, 2, lecture::output_weights);
  const auto x = px::to_device(net.stream(), data.inputs), y = px::to_device(net.stream(), data.targets);

  slide.say("1. Infer on the training set (four samples):");
  slide.columns("by hand");
  const auto outputs = net.predict(data.inputs, data.size());
  for (int i = 0; i < data.size(); ++i) {
    const auto expected = hand.forward(data.inputs.data() + 3 * i).outputs;
    for (std::size_t o = 0; o < 2; ++o) {
      slide.exact("sample " + std::to_string(i + 1) + ", O" + std::to_string(o + 1), expected[o],
                  static_cast<double>(outputs[2 * static_cast<std::size_t>(i) + o]));
    }
  }

  slide.say("2. Calculate the error, C = 1/(2n) sum |y - a|^2:");
  slide.columns("by hand");
  net.reset_totals();
  net.backward(px::matrix<const float>(x.data(), data.size(), 3), {nullptr, y.data(), 2}, px::quadratic{});
  const double error = lecture::quadratic_cost(hand, data);
  slide.exact("error", error, net.totals().loss / data.size());

  slide.say("3. Find each neuron's contribution (mean over the samples):");
  slide.columns("by hand");
  std::array<double, 5> contribution{};
  for (int i = 0; i < data.size(); ++i) {
    const lecture::contributions delta(hand, hand.forward(data.inputs.data() + 3 * i),
                                       data.targets.data() + 2 * i);
    for (std::size_t h = 0; h < 3; ++h) contribution[h] += delta.hidden[h] / data.size();
    for (std::size_t o = 0; o < 2; ++o) contribution[3 + o] += delta.outputs[o] / data.size();
  }
  const auto hidden = px::to_host(net.stream(), net.gradients()[1].values);
  const auto output = px::to_host(net.stream(), net.gradients()[3].values);
  for (std::size_t h = 0; h < 3; ++h) {
    slide.exact("contribution of H" + std::to_string(h + 1), contribution[h], static_cast<double>(hidden[h]));
  }
  for (std::size_t o = 0; o < 2; ++o) {
    slide.exact("contribution of O" + std::to_string(o + 1), contribution[3 + o],
                static_cast<double>(output[o]));
  }

  slide.say("4. Change the weights (rate 1):");
  slide.columns("by hand");
  net.update(px::sgd{.rate = 1});
  const auto gradient = lecture::cost_gradient(hand, data, 0, data.size());
  const auto changed = px::to_host(net.stream(), net.parameters()[2].values);
  for (std::size_t i = 0; i < 6; ++i) {
    slide.exact("weight H" + std::to_string(i % 3 + 1) + " to O" + std::to_string(i / 3 + 1),
                hand.output[i] - gradient.output[i], static_cast<double>(changed[i]));
  }
  const double after = px::evaluate(net, data, px::quadratic{}).loss;
  slide.statement("the error is smaller than before", "yes", after < error ? "yes" : "no");
  return slide.result();
}
