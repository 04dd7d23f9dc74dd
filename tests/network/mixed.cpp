// Networks whose products read 16 bits: against the equations in double on rounded operands, against FP32,
// and the copies of the weights against their masters.
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/reference.hpp"
#include "support/worst.hpp"

namespace px = plexus;
using support::swish;

namespace {

using in_fp16 = px::mixed<px::fp16>;
using in_bf16 = px::mixed<px::bf16>;

// Odd widths, with and without bias, an activation that keeps z in the middle and at the end.
template <class Precision>
using odd_network =
    px::network<Precision, px::input<13>, px::dense<17, px::relu>, px::dense<9, px::tanh, px::no_bias>,
                px::dense<21, swish>, px::dense<5, px::softplus>>;
const std::vector<reference::activation> odd_activations = {reference::relu(), reference::tanh(),
                                                            reference::swish(), reference::softplus()};

// Activations of which two keep z, the last one among them.
template <class Precision>
using modern_network =
    px::network<Precision, px::input<13>, px::dense<17, px::gelu>, px::dense<9, px::elu, px::no_bias>,
                px::dense<21, px::squareplus>, px::dense<5, px::mish>>;

// The lecture's shape: not one row is 128 bits long.
template <class Precision>
using small_network =
    px::network<Precision, px::input<3>, px::dense<3, px::sigmoid>, px::dense<2, px::sigmoid>>;

// The relative distance of neighbouring numbers.
template <class Precision>
constexpr double precision_of = std::is_same_v<Precision, in_bf16> ? 1.0 / 128 : 1.0 / 1024;

template <class Precision>
double rounded(double value) {
  return static_cast<double>(
      static_cast<float>(static_cast<typename Precision::storage>(static_cast<float>(value))));
}

template <class Network>
void give_biases(Network& net) {
  const auto tensors = net.parameters();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].shape.size() == 1)
      support::set_parameter(net, i, support::random_values(tensors[i].values.size, i));
  }
}

// What a network of this precision computes: operands rounded, sums and outputs not.
template <class Precision>
reference::vector forward_rounded(const reference::network& net, reference::vector a) {
  for (std::size_t l = 0; l < net.layers.size(); ++l) {
    const reference::layer& at = net.layers[l];
    reference::vector next(at.b);
    for (std::size_t j = 0; j < next.size(); ++j) {
      for (std::size_t k = 0; k < a.size(); ++k)
        next[j] += rounded<Precision>(at.w[j * a.size() + k]) * rounded<Precision>(a[k]);
      next[j] = at.sigma.f(next[j]);
    }
    a = next;
  }
  return a;
}

// ‖a − b‖ / ‖b‖
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    difference += (x - y) * (x - y);
    size += y * y;
  }
  return std::sqrt(difference / size);
}

// The gradients of all parameters and, as the last, of the input.
template <class Network>
std::vector<std::vector<float>> gradients_of(Network& net, const px::dataset& data) {
  const int n = data.size();
  const px::buffer<float> x = px::to_device(net.stream(), data.inputs),
                          y = px::to_device(net.stream(), data.targets);
  const px::buffer<float> dx(data.inputs.size());
  net.backward(px::matrix<const float>(x.data(), n, data.features), {nullptr, y.data(), data.outputs},
               px::quadratic{}, px::matrix(dx.data(), n, data.features));
  std::vector<std::vector<float>> all;
  for (const auto& gradient : net.gradients()) all.push_back(px::to_host(net.stream(), gradient.values));
  all.push_back(px::to_host(net.stream(), dx.view()));
  return all;
}

template <template <class> class Network, class Precision>
void check_gradients(int n, px::gemm_policy policy) {
  CAPTURE(n, static_cast<int>(policy));
  using network = Network<Precision>;
  Network<px::fp32> exact{px::seed{4}, policy};
  network net{px::seed{4}, policy};
  if constexpr (network::scales_loss) net.set_loss_scaling({.initial = 256});  // these deltas are large
  give_biases(exact);
  give_biases(net);
  const px::dataset data = support::random_targets(n, network::input_size, network::output_size);
  const auto expected = gradients_of(exact, data), found = gradients_of(net, data);
  REQUIRE(expected.size() == found.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(distance(found[i], expected[i]) < 4 * precision_of<Precision>);
    // It was indeed computed from rounded numbers. In TF32 that takes tensor cores, and products large
    // enough.
    const bool rounds = std::is_same_v<Precision, px::tf32> ? !px::platform::on_cpu && n > 6 : true;
    if (rounds || px::platform::on_cpu) CHECK((distance(found[i], expected[i]) > 0) == rounds);
  }
}

// Whether what the network predicts is what its master weights say. It is asked first: parameters() would
// have the copies made anew.
template <class Network>
bool copies_are_up_to_date(Network& net) {
  const std::vector<float> x = support::random_values(3 * static_cast<std::size_t>(Network::input_size));
  const std::vector<float> y = net.predict(x, 3);
  Network fresh{px::seed{99}};
  const auto masters = support::parameter_values(net);
  for (std::size_t i = 0; i < masters.size(); ++i) support::set_parameter(fresh, i, masters[i]);
  return y == fresh.predict(x, 3);
}

template <class Network>
void take_steps(Network& net, int count) {
  const px::dataset data = support::random_targets(6, Network::input_size, Network::output_size);
  for (int i = 0; i < count; ++i) {
    net.step(std::span<const float>(data.inputs), std::span<const float>(data.targets), px::quadratic{},
             px::sgd{.rate = 0.5f, .momentum = 0.9f});
  }
}

}  // namespace

TEMPLATE_TEST_CASE("In 16 bits operands are rounded, sums and outputs are not", "[network]", in_fp16,
                   in_bf16) {
  for (const auto policy : {px::gemm_policy::native, px::default_gemm_policy}) {
    odd_network<TestType> net{px::seed{12}, policy};
    give_biases(net);
    const reference::network masters = reference::copy_of(net, net.parameters(), odd_activations);
    for (const int n : {1, 2, 31}) {
      CAPTURE(n);
      const std::vector<float> x = support::random_values(static_cast<std::size_t>(n) * 13);
      const std::vector<float> y = net.predict(x, n);
      double worst = 0, farthest = 0;
      for (std::size_t row = 0; row < static_cast<std::size_t>(n); ++row) {
        const auto first = x.begin() + static_cast<std::ptrdiff_t>(row) * 13;
        const reference::vector sample(first, first + 13),
            expected = forward_rounded<TestType>(masters, sample), exact = masters(sample);
        for (std::size_t j = 0; j < 5; ++j) {
          const double found = static_cast<double>(y[row * 5 + j]);
          worst = support::worse(worst, std::abs(expected[j] - found));
          farthest = std::max(farthest, std::abs(exact[j] - found));
        }
      }
      // A sum in FP32 beside a midpoint may round the other way than in double: one activation, by one place.
      CHECK(worst < precision_of<TestType>);
      CHECK(farthest > worst);
    }
  }
}

TEMPLATE_TEST_CASE("Gradients in 16 bits are FP32's to rounding", "[network]", in_fp16, in_bf16) {
  for (const auto policy : {px::gemm_policy::native, px::default_gemm_policy}) {
    for (const int n : {1, 6, 33}) {
      check_gradients<odd_network, TestType>(n, policy);
      check_gradients<small_network, TestType>(n, policy);
      check_gradients<modern_network, TestType>(n, policy);
    }
  }
}

TEST_CASE("Gradients in TF32 are FP32's to rounding", "[network]") {
  for (const auto policy : {px::gemm_policy::native, px::default_gemm_policy}) {
    for (const int n : {1, 33}) check_gradients<odd_network, px::tf32>(n, policy);
  }
}

TEMPLATE_TEST_CASE("The copies of the weights follow their masters", "[network]", in_fp16, in_bf16) {
  odd_network<TestType> net{px::seed{3}};
  CHECK(copies_are_up_to_date(net));
  take_steps(net, 3);  // by the update's kernel
  CHECK(copies_are_up_to_date(net));
  net.initialize(px::seed{8}, px::uniform{0.25f, 0.5f});
  CHECK(copies_are_up_to_date(net));
  support::set_parameter(net, 2, support::random_values(net.parameters()[2].values.size));
  CHECK(copies_are_up_to_date(net));
}

TEMPLATE_TEST_CASE("Master weights take steps that 16 bits would lose", "[network]", in_fp16, in_bf16) {
  using network = px::network<TestType, px::input<1>, px::dense<1, px::identity, px::no_bias>>;
  network net;
  support::set_parameter(net, 0, {1.0f});
  // ∂C/∂w = a − y = 2⁻⁴, exactly, so that a step is 2⁻¹⁴.
  const std::vector<float> x{1}, y{1 - 0x1p-4f};
  net.step(std::span<const float>(x), std::span<const float>(y), px::quadratic{}, px::sgd{.rate = 0x1p-10f});
  CHECK(support::parameter_values(net)[0][0] == 1 - 0x1p-14f);
}

TEMPLATE_TEST_CASE("The function and the names are those of the masters", "[network]", in_fp16, in_bf16,
                   px::tf32) {
  small_network<TestType> net{px::seed{5}};
  small_network<px::fp32> exact{px::seed{5}};
  CHECK(support::parameter_values(net) == support::parameter_values(exact));
  const std::array<float, 3> x{0.5f, 0.9f, -0.3f};
  const auto input = px::values<3>::from(x);
  const std::array<float, 2> found = net.function_by_value()(input),
                             expected = exact.function_by_value()(input);
  CHECK(found == expected);
  for (std::size_t i = 0; i < net.parameters().size(); ++i) {
    CHECK(net.parameters()[i].name == exact.parameters()[i].name);
    CHECK(net.parameters()[i].shape == exact.parameters()[i].shape);
  }
}

TEMPLATE_TEST_CASE("Training in any precision gives the same bits again", "[network]", in_fp16, in_bf16,
                   px::tf32) {
  odd_network<TestType> a{px::seed{3}}, b{px::seed{3}};
  take_steps(a, 5);
  take_steps(b, 5);
  CHECK(support::parameter_values(a) == support::parameter_values(b));
}
