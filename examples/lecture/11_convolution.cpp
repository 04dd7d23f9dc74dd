// Slide 11, "Convolutional networks": a 3×3 filter over a 4×4 input numbered row by row, the output of the
// same size: O6 = A1·I1 + A2·I2 + A3·I3 + A4·I5 + A5·I6 + A6·I7 + A7·I9 + A8·I10 + A9·I11.
#include "slide.hpp"

#include <plexus/plexus.hpp>

#include <array>
#include <string>
#include <vector>

namespace px = plexus;

namespace {

using convolution = px::network<px::image<1, 4, 4>, px::conv2d<1, 3, px::identity, px::same, px::no_bias>>;

constexpr std::array<int, 9> inputs_of_o6{1, 2, 3, 5, 6, 7, 9, 10, 11};
constexpr std::size_t o6 = 5;  // counted from 0

// Numbers of which each of the nine products, and each sum of such products, is another.
const std::vector<float> filter{1, 2, 3, 5, 7, 11, 13, 17, 19};
std::vector<float> input() {
  std::vector<float> values(16);
  for (std::size_t i = 0; i < 16; ++i) values[i] = static_cast<float>(1 << i) / 1024;
  return values;
}

void set_filter(convolution& net, const std::vector<float>& values) {
  px::copy_to_device<float>(net.stream(), net.parameters()[0].values.data, values);
}

std::string product(std::size_t a) {
  return "A" + std::to_string(a + 1) + " I" + std::to_string(inputs_of_o6[a]);
}

void show_products(lecture::slide& slide, convolution& net) {
  slide.say("Forward. O6 when all weights but one are zero, which leaves one product, and of all nine:");
  slide.columns();
  double sum = 0;
  for (std::size_t a = 0; a < 9; ++a) {
    std::vector<float> one(9);
    one[a] = filter[a];
    set_filter(net, one);
    const double expected = static_cast<double>(filter[a]) *
                            static_cast<double>(input()[static_cast<std::size_t>(inputs_of_o6[a] - 1)]);
    slide.exact(product(a), expected, static_cast<double>(net.predict(input())[o6]));
    sum += expected;
  }
  set_filter(net, filter);
  slide.exact("O6", sum, static_cast<double>(net.predict(input())[o6]));
}

// With targets that leave an error of 1 at O6 and of 0 elsewhere, ∂C/∂A is the input under the filter, and
// ∂C/∂I the filter.
void show_gradients(lecture::slide& slide, convolution& net) {
  const auto outputs = net.predict(input());
  std::vector<float> targets(outputs.begin(), outputs.end());
  targets[o6] -= 1;
  const auto x = px::to_device(net.stream(), input()), y = px::to_device(net.stream(), targets);
  const px::buffer<float> dx(16);
  net.backward(px::matrix<const float>(x.data(), 1, 16), {nullptr, y.data(), 16}, px::quadratic{},
               px::matrix(dx.data(), 1, 16));
  const auto da = px::to_host(net.stream(), net.gradients()[0].values);
  const auto di = px::to_host(net.stream(), dx.view());

  slide.say("Backward, from an error of 1 at O6 alone. The filter's gradient is the input under it:");
  slide.columns();
  for (std::size_t a = 0; a < 9; ++a) {
    const int place = inputs_of_o6[a];
    slide.exact("dC/dA" + std::to_string(a + 1) + " = I" + std::to_string(place),
                static_cast<double>(input()[static_cast<std::size_t>(place - 1)]),
                static_cast<double>(da[a]));
  }
  slide.say("The input's gradient is the filter, where it lies for O6, and 0 elsewhere:");
  slide.columns();
  std::array<double, 16> expected{};
  for (std::size_t a = 0; a < 9; ++a)
    expected[static_cast<std::size_t>(inputs_of_o6[a] - 1)] = static_cast<double>(filter[a]);
  for (std::size_t i = 0; i < 16; ++i)
    slide.exact("dC/dI" + std::to_string(i + 1), expected[i], static_cast<double>(di[i]));
}

}  // namespace

int main() {
  lecture::slide slide("Slide 11: Convolutional networks");
  convolution net;
  show_products(slide, net);
  show_gradients(slide, net);
  return slide.result();
}
