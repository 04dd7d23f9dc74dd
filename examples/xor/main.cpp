// The smallest task that needs a hidden layer: exclusive or, which no single layer can compute (M. Minsky,
// S. Papert, "Perceptrons", 1969). Trains until the error is small enough, and shows what is answered.
#include <plexus/plexus.hpp>

#include <cstdio>
#include <span>

namespace px = plexus;

namespace {

using network = px::network<px::input<2>, px::dense<4, px::tanh>, px::dense<1, px::sigmoid>>;

const px::dataset exclusive_or{
    .features = 2, .outputs = 1, .inputs = {0, 0, 0, 1, 1, 0, 1, 1}, .targets = {0, 1, 1, 0}};

// Whether each answer is nearer to its target than 0.1.
bool show(network& net) {
  bool right = true;
  for (std::size_t i = 0; i < 4; ++i) {
    const auto x = std::span(exclusive_or.inputs).subspan(2 * i, 2);
    const float answer = net.predict(x)[0], target = exclusive_or.targets[i];
    std::printf("%g xor %g = %g: the network says %.3f\n", x[0], x[1], target, answer);
    right = right && answer > target - 0.1f && answer < target + 0.1f;
  }
  return right;
}

}  // namespace

int main() try {
  network net{px::seed{1}};
  const px::history history =
      px::fit(net, exclusive_or, px::quadratic{}, px::sgd{.rate = 0.5f, .momentum = 0.9f},
              {.epochs = 2000, .batch = 4, .stop_below = 1e-3});
  std::printf("%zu parameters; %s after %zu epochs, loss %.1e\n", network::parameter_count,
              px::to_string(history.reason), history.epochs.size(), history.epochs.back().loss);
  if (show(net)) return 0;
  std::fprintf(stderr, "xor: the network has not learnt it\n");
  return 1;
} catch (const px::error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
