// Slide 3, "Matrix formulation": the same as S(W·x), a dense matrix times a vector. The kernel is GEMV with
// the sigmoid fused into its epilogue: one pass over W, and the sums never leave the registers.
#include "slide.hpp"
#include "three_three_two.hpp"

namespace px = plexus;

namespace {

// S(W·x) for W (out, in) by the GEMV kernel.
std::vector<float> sigmoid_of_product(const std::vector<float>& w, const std::vector<float>& x) {
  const px::stream on;
  const int in = static_cast<int>(x.size()), out = static_cast<int>(w.size() / x.size());
  const auto weights = px::to_device(on.get(), w), input = px::to_device(on.get(), x);
  const px::buffer<float> output(static_cast<std::size_t>(out));
  px::kernels::gemv(
      on.get(), px::matrix<const float>(input.data(), 1, in),
      px::matrix<const float>(weights.data(), out, in),
      px::bias_activation{px::matrix(output.data(), 1, out), px::no_bias_term{}, px::sigmoid{}});
  return px::to_host(on.get(), output.view());
}

}  // namespace

int main() {
  lecture::slide slide("Slide 3: Matrix formulation, S(W x)");
  const std::vector<float> x(lecture::slide_input.begin(), lecture::slide_input.end());
  const auto hidden = sigmoid_of_product(lecture::hidden_weights, x);
  const auto output = sigmoid_of_product(lecture::output_weights, hidden);

  slide.say("The slide's network as two matrix-vector products:");
  slide.columns();
  const std::array hidden_expected{0.13010847, 0.95689275, 0.40131234};
  for (std::size_t i = 0; i < 3; ++i) {
    slide.exact("S(W1 x), row " + std::to_string(i + 1), hidden_expected[i], static_cast<double>(hidden[i]));
  }
  slide.exact("S(W2 S(W1 x)), row 1", 0.34584136, static_cast<double>(output[0]));
  slide.exact("S(W2 S(W1 x)), row 2", 0.85314921, static_cast<double>(output[1]));

  slide.say("A layer of real size, W (300, 784), against sums in double:");
  slide.columns("by hand");
  constexpr std::size_t in = 784, out = 300;
  const px::random_stream random{3, 0};
  std::vector<float> w(out * in), input(in);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = (random.uniform(i) - 0.5f) / 8;
  for (std::size_t i = 0; i < in; ++i) input[i] = random.uniform(w.size() + i);
  const auto computed = sigmoid_of_product(w, input);
  for (const std::size_t row : {0u, 1u, 150u, 299u}) {
    double sum = 0;
    for (std::size_t k = 0; k < in; ++k)
      sum += static_cast<double>(w[row * in + k]) * static_cast<double>(input[k]);
    slide.exact("row " + std::to_string(row), lecture::by_hand::sigmoid(sum),
                static_cast<double>(computed[row]));
  }
  return slide.result();
}
