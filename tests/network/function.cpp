// A network as a function of one sample against the network layer by layer, on the host and in kernels.
#include <plexus/plexus.hpp>

#include "support/activations.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/worst.hpp"

namespace px = plexus;
using namespace plexus::cuda_names;
using support::swish;

namespace {

// The i-th of a family of networks: depth 1 to 4, odd widths, every activation, with and without bias.
constexpr int pick(int i, int salt, int below) {
  return (i * 7919 + salt * 104729 + i * i * salt * 31 + 17) % 9973 % below;
}

template <int I, int Layer>
struct one_layer {
  using activation =
      std::tuple_element_t<pick(I, Layer, 7), std::tuple<px::sigmoid, px::tanh, px::relu, px::leaky_relu,
                                                         px::softplus, px::identity, swish>>;
  using bias = std::conditional_t<pick(I, Layer + 50, 3) == 0, px::no_bias, px::with_bias>;
  using type = px::dense<1 + pick(I, Layer + 100, 19), activation, bias>;
};

template <int I, int... Layer>
auto family_member(std::integer_sequence<int, Layer...>)
    -> px::network<px::input<1 + pick(I, 200, 17)>, typename one_layer<I, Layer>::type...>;
template <int I>
using member = decltype(family_member<I>(std::make_integer_sequence<int, 1 + I % 4>{}));

// One thread a sample: a user's own kernel.
template <class Function>
__device__ void evaluate_own_sample(const Function& f, int n, const float* x, float* y) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  typename Function::input in;
  for (int k = 0; k < in.size; ++k) in[k] = x[i * in.size + k];
  const auto out = f(in);
  for (int j = 0; j < out.size; ++j) y[i * out.size + j] = out[j];
}

template <class Function>
__global__ void evaluate_samples(Function f, int n, const float* x, float* y) {
  evaluate_own_sample(f, n, x, y);
}

// The same with the weights brought to shared memory first.
template <class Network>
__global__ void evaluate_from_shared(const float* arena, int n, const float* x, float* y) {
  __shared__ float weights[Network::layout::size];
  for (unsigned i = threadIdx.x; i < Network::layout::size; i += blockDim.x) weights[i] = arena[i];
  __syncthreads();
  evaluate_own_sample(Network::function_of(weights), n, x, y);
}

struct add_atomically {
  float* gradients;
  __device__ void operator()(std::size_t i, float gradient) const { atomicAdd(gradients + i, gradient); }
};

template <int N>
struct quadratic_slope {
  const float* y;
  PLEXUS_FN px::values<N> operator()(const px::values<N>& a) const {
    px::values<N> dy;
    for (int j = 0; j < N; ++j) dy[j] = a[j] - y[j];
    return dy;
  }
};

// ∂C/∂x of every sample and the sum of the weights' gradients.
template <class Function>
__global__ void differentiate_samples(Function f, int n, const float* x, const float* y, float* dx,
                                      float* dw) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  typename Function::input in;
  for (int k = 0; k < in.size; ++k) in[k] = x[i * in.size + k];
  constexpr int outputs = Function::output::size;
  const auto slope = f.gradient(in, quadratic_slope<outputs>{y + i * outputs}, add_atomically{dw});
  for (int k = 0; k < in.size; ++k) dx[i * in.size + k] = slope[k];
}

// Numbers of the order of 1 are compared with 1, larger ones with the largest of them.
enum class order { of_one, of_the_largest };

void check_close(const std::vector<float>& computed, const std::vector<float>& expected,
                 order numbers = order::of_one) {
  REQUIRE(computed.size() == expected.size());
  double worst = 0, scale = 1;
  if (numbers == order::of_the_largest) {
    for (const float v : expected) scale = support::worse(scale, std::abs(static_cast<double>(v)));
  }
  for (std::size_t i = 0; i < computed.size(); ++i) {
    worst =
        support::worse(worst, std::abs(static_cast<double>(computed[i]) - static_cast<double>(expected[i])));
  }
  CHECK(worst < 1e-5 * scale);
}

template <class Network>
void check_network(int number, order numbers = order::of_one) {
  constexpr int n = 37, in = Network::input_size, out = Network::output_size;
  constexpr dim3 grid(2), block(32);
  Network net{px::seed{static_cast<std::uint64_t>(number)}};
  for (const auto& tensor : net.parameters()) {  // biases that are not zero
    if (tensor.shape.size() == 1) {
      const auto values =
          support::random_values(tensor.values.size, static_cast<std::uint64_t>(number) + 1000);
      px::copy_to_device<float>(net.stream(), tensor.values.data, values);
    }
  }
  const std::vector<float> x = support::random_values(n * in, 1), y = support::random_values(n * out, 2);
  const px::buffer<float> device_x = px::to_device(net.stream(), x),
                          device_y = px::to_device(net.stream(), y);
  const std::vector<float> expected = net.predict(x, n);
  CAPTURE(number, in, out);

  const px::buffer<float> outputs(n * out);
  const auto computed = [&] { return px::to_host(net.stream(), outputs.view()); };
  const auto by_pointer = net.function();
  px::launch("by pointer", net.stream(), {grid, block}, evaluate_samples<decltype(net.function())>,
             by_pointer, n, device_x.data(), outputs.data());
  check_close(computed(), expected, numbers);
  const auto by_value = net.function_by_value();
  px::launch("by value", net.stream(), {grid, block}, evaluate_samples<decltype(net.function_by_value())>,
             by_value, n, device_x.data(), outputs.data());
  check_close(computed(), expected, numbers);
  const float* arena = net.parameters().front().values.data;
  px::launch("from shared memory", net.stream(), {grid, block}, evaluate_from_shared<Network>, arena, n,
             device_x.data(), outputs.data());
  check_close(computed(), expected, numbers);

  std::vector<float> on_host;
  for (int i = 0; i < n; ++i) {
    typename decltype(by_value)::input sample;
    for (int k = 0; k < in; ++k) sample[k] = x[static_cast<std::size_t>(i * in + k)];
    const std::array<float, static_cast<std::size_t>(out)> answer = by_value(sample);
    on_host.insert(on_host.end(), answer.begin(), answer.end());
  }
  check_close(on_host, expected, numbers);

  // The network's gradients are those of the mean over the samples.
  const px::buffer<float> dx(n * in), expected_dx(n * in), dw(Network::layout::size);
  px::fill_zero(net.stream(), dw.view());
  px::launch("gradients", net.stream(), {grid, block}, differentiate_samples<decltype(net.function())>,
             by_pointer, n, device_x.data(), device_y.data(), dx.data(), dw.data());
  net.backward(px::matrix<const float>(device_x.data(), n, in), {nullptr, device_y.data(), out},
               px::quadratic{}, px::matrix(expected_dx.data(), n, in));
  const auto mean = [](std::vector<float> sums) {
    for (float& v : sums) v /= n;
    return sums;
  };
  check_close(mean(px::to_host(net.stream(), dx.view())), px::to_host(net.stream(), expected_dx.view()),
              numbers);
  for (const auto& tensor : net.gradients()) {
    const auto offset = tensor.values.data - net.gradients().front().values.data;
    check_close(mean(px::to_host(net.stream(), px::view<float>{dw.data() + offset, tensor.values.size})),
                px::to_host(net.stream(), tensor.values), numbers);
  }
}

template <int... I>
void check_family(std::integer_sequence<int, I...>) {
  (check_network<member<I>>(I), ...);
}

}  // namespace

// With a sanitizer's checks in them, 30 networks take minutes to compile.
TEST_CASE("A network's function is the network, for 30 networks", "[network][function]") {
  check_family(std::make_integer_sequence < int, PLEXUS_TESTS_SANITIZED ? 6 : 30 > {});
}

TEST_CASE("A network's function has every activation", "[network][function]") {
  check_network<support::elu_gelu_softsign_exponential<px::network>>(1, order::of_the_largest);
  check_network<support::selu_silu_hard_sigmoid_sine<px::network>>(2);
  check_network<support::mish_squareplus_gelu_tanh<px::network>>(3);
}

TEST_CASE("A function is a small object that can be copied byte by byte", "[network][function]") {
  using network = px::network<px::input<3>, px::dense<3, px::sigmoid, px::no_bias>,
                              px::dense<2, px::sigmoid, px::no_bias>>;
  network net;
  STATIC_REQUIRE(std::is_trivially_copyable_v<decltype(net.function())>);
  STATIC_REQUIRE(std::is_trivially_copyable_v<decltype(net.function_by_value())>);
  STATIC_REQUIRE(sizeof(net.function()) == sizeof(void*));
}

// A function over weights in host memory that its own gradients update: a whole step of SGD for one sample.
TEST_CASE("A function trains itself in place as the network does step by step", "[network][function]") {
  using network = px::network<px::input<3>, px::dense<4, px::tanh>, px::dense<2>>;
  network net{px::seed{3}};
  const px::view<float> arena{net.parameters().front().values.data, network::layout::size};
  std::vector<float> weights = px::to_host(net.stream(), arena);
  const auto f = network::function_of(weights.data());
  const std::vector<float> x{0.5f, 0.9f, -0.3f}, y{1, -1};
  constexpr float rate = 0.1f;
  const auto descend = [&](std::size_t i, float gradient) { weights[i] -= rate * gradient; };
  for (int step = 0; step < 20; ++step) {
    f.gradient(decltype(f)::input::from({0.5f, 0.9f, -0.3f}), quadratic_slope<2>{y.data()}, descend);
    net.step(std::span(x), std::span(y), px::quadratic{}, px::sgd{.rate = rate});
  }
  for (const auto& tensor : net.parameters()) {
    const auto offset = tensor.values.data - arena.data;
    const auto begin = weights.begin() + offset;
    check_close(std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(tensor.values.size)),
                px::to_host(net.stream(), tensor.values));
  }
}
