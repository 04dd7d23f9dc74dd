// Chains of dense layers as one kernel against the equations in double.
#include "device_matrix.hpp"
#include "support/activations.hpp"
#include "support/catch.hpp"
#include "support/worst.hpp"

#include <plexus/layers/fused.hpp>
#include <plexus/plexus.hpp>

#include <cmath>

namespace {

using namespace plexus::kernel_test;
namespace px = plexus;
using reference::in_double;

// The layers of a chain in double, with weights that keep the activations' size.
struct double_chain {
  reference::network layers;
  reference::network gradients;  // dW and db, added up over the samples

  // What one sample leaves: a of every layer, z, δ, and dx.
  struct trace {
    std::vector<reference::vector> a, z, delta;
    reference::vector dx;
  };

  trace run(const reference::vector& x, const reference::vector& last_delta) {
    trace t;
    layers.forward(x, t.a, t.z);
    t.delta.assign(t.z.size(), last_delta);
    for (std::size_t l = t.z.size(); l-- > 0;) {
      const reference::layer& at = layers.layers[l];
      const auto in = static_cast<std::size_t>(at.in);
      reference::vector below(in, 0.0);
      for (std::size_t j = 0; j < t.delta[l].size(); ++j) {
        const double delta = t.delta[l][j];
        gradients.layers[l].b[j] += delta;
        for (std::size_t k = 0; k < in; ++k) {
          gradients.layers[l].w[j * in + k] += delta * t.a[l][k];
          below[k] += delta * at.w[j * in + k];
        }
      }
      if (l == 0) {
        t.dx = below;
      } else {
        for (std::size_t k = 0; k < in; ++k) below[k] *= layers.layers[l - 1].sigma.derivative(t.z[l - 1][k]);
        t.delta[l - 1] = below;
      }
    }
    return t;
  }
};

// A chain with all that its passes read and leave, NaN around each matrix; and in double.
template <class Input, class... Specifications>
class chain {
 public:
  using layers = typename px::detail::chain<1, typename Input::input_shape, Specifications...>::layers;
  using fused = px::fused_layers<layers>;
  static constexpr std::size_t count = fused::count;
  static_assert(fused::fit);

  chain(generator& random, int n, placement where)
      : x_(device_matrix::random(random, n, Input::input_shape::size, where)),
        dx_(n, Input::input_shape::size, where),
        parts_(fused::parts_size(n)),
        gradients_(fused::layout::size) {
    make_weights(random);
    [&]<class... Layers>(const std::tuple<Layers...>*) {
      (add_layer<Layers>(random, n, where), ...);
    }(static_cast<const layers*>(nullptr));
    truth_.gradients = truth_.layers.zero();
    for (int i = 0; i < n; ++i) traces_.push_back(truth_.run(row(x_, i), row(delta_.back(), i)));
    px::fill_zero(on_.stream(), parts_.view());
    px::fill_zero(on_.stream(), gradients_.view());
  }

  // Outputs alone; nothing else may be written.
  double inference_error() {
    typename fused::memory keep{};
    keep.outputs = a_.back().view();
    fused::forward(on_.stream(), parameters(), x_.view(), keep);
    return worst_of(a_.back(), [&](auto i, auto j) { return traces_[i].a[count][j]; });
  }

  // Forward, backward and the gradients of the weights.
  template <bool WithDx>
  double training_error() {
    typename fused::memory memory{};
    for (std::size_t l = 0; l < count; ++l) memory[l] = {a_[l].view(), z_[l].view(), delta_[l].view()};
    memory.outputs = a_.back().view();
    fused::forward(on_.stream(), parameters(), x_.view(), memory);
    if constexpr (WithDx) {
      fused::backward(on_.stream(), parameters(), memory,
                      px::input_delta<px::unit_derivative>{dx_.view(), {}});
    } else {
      fused::backward(on_.stream(), parameters(), memory, px::no_input_delta{});
    }
    fused::find_gradients(on_.stream(), x_.view(), memory, parts_.data(), gradients_.data());

    double worst = WithDx ? worst_of(dx_, [&](auto i, auto j) { return traces_[i].dx[j]; }) : 0;
    for (std::size_t l = 0; l < count; ++l) {
      worst = support::worse(worst, worst_of(a_[l], [&](auto i, auto j) { return traces_[i].a[l + 1][j]; }));
      worst =
          support::worse(worst, worst_of(delta_[l], [&](auto i, auto j) { return traces_[i].delta[l][j]; }));
      if (keeps_z_[l]) {
        worst = support::worse(worst, worst_of(z_[l], [&](auto i, auto j) { return traces_[i].z[l][j]; }));
      }
    }
    return worst;
  }

  std::vector<float> gradients() { return px::to_host(on_.stream(), gradients_.view()); }

  double gradient_error() {
    const std::vector<float> computed = gradients();
    std::vector<double> expected(computed.size(), 0.0);  // between the tensors too
    for (const auto& tensor : fused::layout::tensors) {
      const reference::layer& of = truth_.gradients.layers[tensor.layer];
      const reference::vector& values = tensor.spec.is_weight ? of.w : of.b;
      std::copy(values.begin(), values.end(), expected.begin() + static_cast<std::ptrdiff_t>(tensor.offset));
    }
    double worst = 0, largest = 0;
    for (std::size_t i = 0; i < computed.size(); ++i) {
      worst = support::worse(worst, std::abs(static_cast<double>(computed[i]) - expected[i]));
      largest = std::max(largest, std::abs(expected[i]));
    }
    return worst / largest;
  }

 private:
  typename fused::parameters parameters() const {
    typename fused::parameters all;
    for (std::size_t l = 0; l < count; ++l) {
      const float* arena = weights_.data() + fused::layout::layer_offset(l);
      all[l] = {arena, arena};
    }
    return all;
  }

  static reference::vector row(const device_matrix& x, int i) {
    reference::vector values;
    for (int j = 0; j < x.cols(); ++j) values.push_back(static_cast<double>(x(i, j)));
    return values;
  }

  // The largest error of x, in units of the largest truth(i, j), which the sums of one sample may all but
  // cancel; infinite where x was written beside.
  template <class Truth>
  double worst_of(device_matrix& x, const Truth& truth) {
    x.download(on_.stream());
    double worst = x.guards_intact() ? 0 : std::numeric_limits<double>::infinity(), largest = 0.05;
    for (int i = 0; i < x.rows(); ++i) {
      for (int j = 0; j < x.cols(); ++j) {
        const double expected = truth(static_cast<std::size_t>(i), static_cast<std::size_t>(j));
        worst = support::worse(worst, std::abs(static_cast<double>(x(i, j)) - expected));
        largest = std::max(largest, std::abs(expected));
      }
    }
    return worst / largest;
  }

  void make_weights(generator& random) {
    std::vector<float> arena(fused::layout::size, 0.0f);
    truth_.layers.layers.resize(count);
    for (const auto& tensor : fused::layout::tensors) {
      const float scale = tensor.spec.is_weight ? std::sqrt(3 / static_cast<float>(tensor.spec.fan.in)) : 1;
      reference::vector values;
      for (std::size_t i = 0; i < tensor.spec.size(); ++i) {
        arena[tensor.offset + i] = scale * random_float(random);
        values.push_back(static_cast<double>(arena[tensor.offset + i]));
      }
      (tensor.spec.is_weight ? truth_.layers.layers[tensor.layer].w : truth_.layers.layers[tensor.layer].b) =
          values;
    }
    weights_ = px::to_device(on_.stream(), arena);
    on_.synchronize();
  }

  template <class Layer>
  void add_layer(generator& random, int n, placement where) {
    constexpr int out = Layer::output_shape::size;
    reference::layer& truth = truth_.layers.layers[a_.size()];
    truth.in = Layer::in;
    truth.out = out;
    truth.sigma = in_double(typename Layer::activation{});
    truth.b.resize(static_cast<std::size_t>(out));
    a_.emplace_back(n, out, where);
    z_.emplace_back(n, out, where);
    keeps_z_.push_back(!px::output_differentiable<typename Layer::activation>);
    delta_.push_back(a_.size() == count ? device_matrix::random(random, n, out, where)
                                        : device_matrix(n, out, where));
  }

  px::context on_;
  device_matrix x_, dx_;
  std::vector<device_matrix> a_, z_, delta_;
  std::vector<bool> keeps_z_;
  px::buffer<float> weights_, parts_, gradients_;
  double_chain truth_;
  std::vector<double_chain::trace> traces_;
};

// The i-th of a family: depth 1 to 8, widths of every kind, every activation, with and without bias.
constexpr int pick(int i, int salt, int below) {
  return (i * 7919 + salt * 104729 + i * i * salt * 31 + 17) % 9973 % below;
}
constexpr int widths[] = {1, 3, 17, 127, 128, 32, 33, 64, 65, 8, 100, 2};

template <int I, int Layer>
struct one_layer {
  using activation =
      std::tuple_element_t<pick(I, Layer, 6), std::tuple<px::sigmoid, px::tanh, px::leaky_relu, px::softplus,
                                                         px::identity, support::swish>>;
  using bias = std::conditional_t<pick(I, Layer + 50, 3) == 0, px::no_bias, px::with_bias>;
  using type = px::dense<widths[pick(I, Layer + 100, 12)], activation, bias>;
};

template <int I, int... Layer>
auto family_member(std::integer_sequence<int, Layer...>)
    -> chain<px::input<widths[pick(I, 200, 12)]>, typename one_layer<I, Layer>::type...>;
template <int I>
using member = decltype(family_member<I>(std::make_integer_sequence<int, 1 + I % 8>{}));

template <bool WithDx, class Chain>
void check(int number, int n) {
  CAPTURE(number, n);
  generator random(static_cast<unsigned>(number * 1000 + n));
  Chain chain(random, n, {number % 4, number % 3});
  CHECK(chain.inference_error() < 3e-6);
  CHECK(chain.template training_error<WithDx>() < 1e-5);
  CHECK(chain.gradient_error() < 1e-5);
}

}  // namespace

TEST_CASE("Chains of dense layers as one kernel agree with the equations in double", "[fused]") {
  [&]<int... I>(std::integer_sequence<int, I...>) {
    (check<I % 2 == 0, member<I>>(I, I % 3 == 0 ? 31 : I % 3 == 1 ? 1 : 128), ...);
  }
  (std::make_integer_sequence<int, 20>{});
}

TEST_CASE("Chains take every activation", "[fused]") {
  check<true, support::elu_gelu_softsign_exponential<chain>>(20, 31);
  check<true, support::selu_silu_hard_sigmoid_sine<chain>>(21, 31);
  check<true, support::mish_squareplus_gelu_tanh<chain>>(22, 31);
}

using lecture =
    chain<px::input<3>, px::dense<3, px::sigmoid, px::no_bias>, px::dense<2, px::sigmoid, px::no_bias>>;
using widest = chain<px::input<128>, px::dense<128, px::tanh>, px::dense<128, support::swish>>;

TEST_CASE("Chains take batches of any size", "[fused]") {
  for (const int n : {1, 31, 63, 64, 65, 129, 300}) check<false, lecture>(3, n);
  check<true, widest>(4, 200);
}

TEST_CASE("Large batches are split into parts, whose gradients add up", "[fused][slow]") {
  check<false, lecture>(3, 1000);
  check<true, widest>(4, 1000);
  check<false, lecture>(3, 64 * 128 + 5);  // parts longer than the least
}

TEST_CASE("The gradients of two runs have the same bits", "[fused]") {
  const auto run = [] {
    generator random(7);
    widest chain(random, 300, {});
    chain.training_error<true>();
    return chain.gradients();
  };
  CHECK(run() == run());
}
