// An activation, a loss and a layer of one's own: the band that holds the middle 80% of noisy measurements.
//
// The noise of y = sin(2πx) + noise grows with x. Two networks learn the 10% and the 90% quantile of y for
// each x, by the pinball loss (R. Koenker, G. Bassett, "Regression quantiles", Econometrica 46, 1978). Before
// that their gradients are checked, which is what tells a wrong derivative.
#include <plexus/inspect/check_gradients.hpp>
#include <plexus/plexus.hpp>

#include <cmath>
#include <cstdio>
#include <vector>

namespace px = plexus;

namespace {

// ---- An activation: two functions of z. It is fused into the product like those of the library.
struct bent_identity {
  PLEXUS_FN float operator()(float z) const { return (sqrtf(z * z + 1) - 1) / 2 + z; }
  PLEXUS_FN float derivative(float z) const { return z / (2 * sqrtf(z * z + 1)) + 1; }
};

// ---- A loss: what one output costs, and its slope. Too low costs `quantile`, too high 1 − `quantile`, so
// that the least mean has this part of the measurements below it.
struct pinball {
  float quantile = 0.5f;

  PLEXUS_FN px::loss_term operator()(float a, float y) const {
    const float slope = a < y ? -quantile : 1 - quantile;
    return {slope * (a - y), slope};
  }
  void validate() const { px::require_fraction("configuring pinball", "quantile", quantile, "0.9"); }
};

// ---- A layer: each input x as the 2·Waves values sin(kπx), cos(kπx), k = 1 … Waves. Nothing is learnt.
template <int Waves>
struct fourier_features {
  template <class InputShape>
  struct layer : px::basic_layer<InputShape, px::shape<InputShape::size * 2 * Waves>> {
    // The functions that run on the device are objects; a group of threads shares a row.
    template <class T, class Out>
    struct forward_rows {
      px::matrix_view<const T> x;
      px::matrix_view<Out> a;

      template <class Group>
      PLEXUS_FN void operator()(Group group, int row) const {
        for (int i = group.rank(); i < x.cols * Waves; i += group.size()) {
          const float angle = wave(i % Waves) * static_cast<float>(x(row, i / Waves));
          a(row, 2 * i) = static_cast<Out>(sinf(angle));
          a(row, 2 * i + 1) = static_cast<Out>(cosf(angle));
        }
      }
    };

    template <class T, class Epilogue>
    struct backward_rows {
      px::matrix_view<const T> x, delta;
      Epilogue dx;

      template <class Group>
      PLEXUS_FN void operator()(Group group, int row) const {
        for (int j = group.rank(); j < x.cols; j += group.size()) {
          float sum = 0;
          for (int k = 0; k < Waves; ++k) {
            const float angle = wave(k) * static_cast<float>(x(row, j));
            const int i = 2 * (j * Waves + k);
            sum += wave(k) * (static_cast<float>(delta(row, i)) * cosf(angle) -
                              static_cast<float>(delta(row, i + 1)) * sinf(angle));
          }
          dx(row, j, sum);
        }
      }
    };

    template <class Precision, class Output>
    static void forward(px::context& on, const px::layer_parameters<Precision>&,
                        px::matrix_view<const typename Precision::storage> x,
                        const px::basic_layer_memory<Output, typename Precision::storage>& out) {
      px::for_each_row(on.stream(), x.rows, forward_rows<typename Precision::storage, Output>{x, out.a});
    }

    // ∂C/∂x, times the derivative of the layer before, which the epilogue multiplies by. Where this layer is
    // the first one nobody may want it.
    template <class Precision, class InputDelta>
    static void backward(px::context& on, const px::layer_parameters<Precision>&, float*,
                         px::matrix_view<const typename Precision::storage> x,
                         px::matrix_view<const typename Precision::storage> delta, const px::layer_pass&,
                         const InputDelta& dx) {
      px::compute_input_delta(dx, [&]<class Epilogue>(const Epilogue& epilogue) {
        px::for_each_row(on.stream(), x.rows,
                         backward_rows<typename Precision::storage, Epilogue>{x, delta, epilogue});
      });
    }

   private:
    PLEXUS_FN static float wave(int k) { return 3.14159265f * static_cast<float>(k + 1); }
  };
};

using network = px::network<px::input<1>, fourier_features<4>, px::dense<32, bent_identity>, px::dense<1>>;

// ---- The measurements

px::dataset measure(int count, px::seed seed) {
  px::dataset data{.features = 1, .outputs = 1};
  const px::random_stream random{seed.value};
  for (int i = 0; i < count; ++i) {
    const auto number = static_cast<std::uint64_t>(i);
    const float x = random.uniform(2 * number);
    data.inputs.push_back(x);
    data.targets.push_back(std::sin(6.2831853f * x) + (0.1f + 0.4f * x) * random.normal(2 * number + 1));
  }
  return data;
}

// The part of the measurements that lie below what the network says.
double part_below(network& net, const px::dataset& data) {
  const std::vector<float> a = net.predict(data.inputs, data.size());
  int below = 0;
  for (std::size_t i = 0; i < a.size(); ++i) below += data.targets[i] < a[i];
  return static_cast<double>(below) / data.size();
}

bool gradients_are_right(const px::dataset& data) {
  network net{px::seed{3}};
  const std::span<const float> x(data.inputs.data(), 8), y(data.targets.data(), 8);
  const auto found = px::inspect::check_gradients(net, pinball{.quantile = 0.9f}, x, y);
  std::printf("%s\n", to_string(found).c_str());
  return found.passed();
}

// Whether the part of unseen measurements below is what was asked for.
bool learns(float quantile, const px::dataset& seen, const px::dataset& unseen) {
  network net{px::seed{3}};
  px::fit(net, seen, pinball{.quantile = quantile},
          px::scheduled{px::adam{.rate = 3e-3f}, px::cosine{.steps = 60 * 63}}, {.epochs = 60, .batch = 64});
  const double part = part_below(net, unseen);
  std::printf("%2.0f%% quantile: %4.1f%% of unseen measurements lie below it\n",
              100 * static_cast<double>(quantile), 100 * part);
  return std::abs(part - static_cast<double>(quantile)) < 0.02;
}

}  // namespace

int main() {
  try {
    const px::dataset seen = measure(4000, px::seed{1}), unseen = measure(4000, px::seed{2});
    const bool right = gradients_are_right(seen);
    const bool low = learns(0.1f, seen, unseen), high = learns(0.9f, seen, unseen);
    if (right && low && high) return 0;
    std::fprintf(stderr, "%s\n", right ? "a quantile is off by more than 2%" : "a gradient is wrong");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  return 1;
}
