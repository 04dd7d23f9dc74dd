// Slide 7, "Backpropagation": its four equations, each computed alone by the kernel that the library uses for
// it and compared with the slope it claims to be, by central differences in double.
//
//   BP1  δᴸ = ∇ₐC ⊙ σ'(zᴸ)            BP3  ∂C/∂b_j = δ_j
//   BP2  δˡ = ((wˡ⁺¹)ᵀ δˡ⁺¹) ⊙ σ'(zˡ)   BP4  ∂C/∂w_jk = a_k δ_j
#include <plexus/plexus.hpp>

#include "slide.hpp"

#include <functional>
#include <vector>

namespace px = plexus;

namespace {

using doubles = std::vector<double>;
using floats = std::vector<float>;

// Two layers of sigmoids, 4-3-2, and one sample: everything that the equations speak of.
constexpr int in = 4, hidden = 3, out = 2;

floats random_values(std::size_t size, std::uint64_t stream) {
  floats values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = px::random_stream{7, stream}.normal(i);
  return values;
}

doubles in_double(const floats& values) { return {values.begin(), values.end()}; }

// w·a + b
doubles sums(const doubles& w, const doubles& a, const doubles& b) {
  doubles z = b;
  for (std::size_t j = 0; j < z.size(); ++j) {
    for (std::size_t k = 0; k < a.size(); ++k) z[j] += w[j * a.size() + k] * a[k];
  }
  return z;
}

doubles sigmoid(doubles z) {
  for (double& value : z) value = 1 / (1 + std::exp(-value));
  return z;
}

double cost(const doubles& a, const doubles& y) {
  double sum = 0;
  for (std::size_t j = 0; j < a.size(); ++j) sum += (y[j] - a[j]) * (y[j] - a[j]) / 2;
  return sum;
}

// ∂f/∂v_i for each i.
doubles slopes(doubles v, const std::function<double(const doubles&)>& f) {
  constexpr double h = 1e-5;
  doubles result;
  for (double& value : v) {
    const double kept = value;
    value = kept + h;
    const double above = f(v);
    value = kept - h;
    result.push_back((above - f(v)) / (2 * h));
    value = kept;
  }
  return result;
}

void show(lecture::slide& slide, const std::string& what, const doubles& expected, const floats& computed) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    slide.exact(what + " " + std::to_string(i + 1), expected[i], static_cast<double>(computed.at(i)));
  }
}

px::matrix_view<const float> row(const px::buffer<float>& values) {
  return px::matrix<const float>(values.data(), 1, static_cast<int>(values.size()));
}

using sigmoid_slope = px::activation_derivative<px::sigmoid>;

}  // namespace

int main() {
  lecture::slide slide("Slide 7: Backpropagation, equation by equation");
  const floats x = random_values(in, 1), w1 = random_values(hidden * in, 2), b1 = random_values(hidden, 3),
               w2 = random_values(out * hidden, 4), b2 = random_values(out, 5), y = random_values(out, 6);
  const doubles target = in_double(y);
  const doubles z1 = sums(in_double(w1), in_double(x), in_double(b1)), a1 = sigmoid(z1);
  const doubles z2 = sums(in_double(w2), a1, in_double(b2)), a2 = sigmoid(z2);

  px::context on;
  const auto device = [&](const doubles& values) {
    return px::to_device(on.stream(), floats(values.begin(), values.end()));
  };
  const auto host = [&](const px::buffer<float>& values) { return px::to_host(on.stream(), values.view()); };
  const auto hidden_outputs = device(a1), outputs = device(a2), wanted = device(target),
             weights = device(in_double(w2));

  slide.say("BP1, the output's delta: the loss kernel against dC/dz of the last layer.");
  slide.columns("slope");
  const px::buffer<float> delta2(out), loss(1), correct(1);
  px::for_each_row(
      on.stream(), 1,
      px::output_delta_rows<px::quadratic, sigmoid_slope>{.loss = {},
                                                          .a = row(outputs),
                                                          .y = {nullptr, wanted.data(), out},
                                                          .results = {loss.data(), correct.data()},
                                                          .delta = px::matrix(delta2.data(), 1, out),
                                                          .derivative = {row(outputs), {}},
                                                          .scale = 1});
  const doubles dz2 = slopes(z2, [&](const doubles& z) { return cost(sigmoid(z), target); });
  show(slide, "delta of output", dz2, host(delta2));

  // The others begin from the true delta, so that each stands for itself.
  const auto delta = device(dz2);

  slide.say(
      "BP2, one layer back: the product with the transposed weights against dC/dz of the hidden layer.");
  slide.columns("slope");
  const px::buffer<float> delta1(hidden);
  px::gemm<px::layout::nn>(
      on, row(delta), px::matrix<const float>(weights.data(), out, hidden),
      px::times_derivative{px::matrix(delta1.data(), 1, hidden), sigmoid_slope{row(hidden_outputs), {}}});
  show(slide, "delta of hidden neuron",
       slopes(z1,
              [&](const doubles& z) {
                return cost(sigmoid(sums(in_double(w2), sigmoid(z), in_double(b2))), target);
              }),
       host(delta1));

  slide.say("BP3, the biases: the column sums against dC/db.");
  slide.columns("slope");
  const px::buffer<float> db(out);
  px::column_sums(on, row(delta), db.data());
  show(slide, "dC/db",
       slopes(in_double(b2),
              [&](const doubles& b) { return cost(sigmoid(sums(in_double(w2), a1, b)), target); }),
       host(db));

  slide.say("BP4, the weights: the outer product against dC/dw.");
  slide.columns("slope");
  const px::buffer<float> dw(out * hidden);
  px::gemm<px::layout::tn>(on, row(delta), row(hidden_outputs),
                           px::store{px::matrix(dw.data(), out, hidden)});
  show(slide, "dC/dw",
       slopes(in_double(w2),
              [&](const doubles& w) { return cost(sigmoid(sums(w, a1, in_double(b2))), target); }),
       host(dw));
  return slide.result();
}
