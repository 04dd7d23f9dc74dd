// Slide 8, "Backpropagation example": ∂E/∂w = I·(O − T)·O·(1 − O) for the weight from H1 to O1 and the target
// 0.9.
#include "slide.hpp"
#include "three_three_two.hpp"

namespace px = plexus;

namespace {

// The example's one neuron: input I, output O, target T. BP1 by the loss kernel, BP4 by the outer product.
float weight_gradient(float input, float output, float target) {
  px::context on;
  const auto i = px::to_device<float>(on.stream(), {input}), o = px::to_device<float>(on.stream(), {output}),
             t = px::to_device<float>(on.stream(), {target});
  const px::buffer<float> delta(1), dw(1), loss(1), correct(1);
  const auto outputs = px::matrix<const float>(o.data(), 1, 1);
  using slope = px::activation_derivative<px::sigmoid>;
  px::for_each_row(on.stream(), 1,
                   px::output_delta_rows<px::quadratic, slope>{.loss = {},
                                                               .a = outputs,
                                                               .y = {nullptr, t.data(), 1},
                                                               .results = {loss.data(), correct.data()},
                                                               .delta = px::matrix(delta.data(), 1, 1),
                                                               .derivative = {outputs, {}},
                                                               .scale = 1});
  px::gemm<px::layout::tn>(on, px::matrix<const float>(delta.data(), 1, 1),
                           px::matrix<const float>(i.data(), 1, 1), px::store{px::matrix(dw.data(), 1, 1)});
  return px::to_host(on.stream(), dw.view())[0];
}

}  // namespace

int main() {
  lecture::slide slide("Slide 8: Backpropagation example, dE/dw = I (O - T) O (1 - O)");

  slide.say("With the slide's rounded numbers, I = .13, O = .35, T = .9:");
  slide.columns();
  slide.exact(".13 (.35 - .9) .35 (1 - .35)", -0.01626625,
              static_cast<double>(weight_gradient(0.13f, 0.35f, 0.9f)));

  slide.say("In the network of slide 2, with numbers that are not rounded:");
  slide.columns();
  auto net = lecture::slide_network();
  const auto answer = net.predict(lecture::slide_input);
  const auto x = px::to_device<float>(net.stream(), {0.5f, 0.9f, -0.3f});
  const auto y = px::to_device<float>(net.stream(), {0.9f, answer[1]});  // O2 is taken to be right
  net.backward(px::matrix<const float>(x.data(), 1, 3), {nullptr, y.data(), 2}, px::quadratic{});
  const auto dw = px::to_host(net.stream(), net.gradients()[1].values);
  slide.exact("dE/dw of the weight from H1 to O1", -0.01631172, static_cast<double>(dw[0]));
  slide.exact("and of the one from H1 to O2", 0, static_cast<double>(dw[3]));
  return slide.result();
}
