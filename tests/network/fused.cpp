// A network that takes its layers as one kernel, against itself layer by layer.
#include <plexus/plexus.hpp>
#include <plexus/tune.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/worst.hpp"

namespace px = plexus;
using namespace px::cuda_names;

namespace {

using in_fp16 = px::mixed<px::fp16>;
using in_bf16 = px::mixed<px::bf16>;

// Odd widths, and the lecture's.
template <class Precision>
using odd_network = px::network<Precision, px::input<7>, px::dense<33, px::sigmoid>,
                                px::dense<20, support::swish, px::no_bias>, px::dense<3>>;
template <class Precision>
using small_network = px::network<Precision, px::input<3>, px::dense<3, px::sigmoid>, px::dense<2, px::tanh>>;

}  // namespace

template <>
inline constexpr bool px::may_be_fused<odd_network<px::fp32>::layers> = true;
template <>
inline constexpr bool px::may_be_fused<small_network<px::fp32>::layers> = true;

namespace {

template <class Network>
void give_biases(Network& n) {
  for (std::size_t i = 0; i < n.parameters().size(); ++i) {
    const auto tensor = n.parameters()[i];
    if (tensor.shape.size() == 1) support::set_parameter(n, i, support::random_values(tensor.values.size, i));
  }
}

// ‖a − b‖ / ‖b‖; infinite where one is not finite.
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    difference += (x - y) * (x - y);
    size += y * y;
  }
  return support::worse(0, std::sqrt(difference / size));
}

// What sums of another order may change, roundings of activations and deltas among it.
template <class Network>
constexpr double tolerance = std::is_same_v<typename Network::precision, px::fp32>  ? 1e-6
                             : std::is_same_v<typename Network::precision, in_fp16> ? 0x1p-12
                                                                                    : 0x1p-9;

std::vector<float> values_of(const std::vector<px::named_parameter>& tensors, cudaStream_t stream) {
  std::vector<float> all;
  for (const auto& tensor : tensors) {
    const auto values = px::to_host(stream, tensor.values);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}
template <class Network>
std::vector<float> gradients_of(Network& n) {
  return values_of(n.gradients(), n.stream());
}
template <class Network>
std::vector<float> all_parameters(Network& n) {
  return values_of(n.parameters(), n.stream());
}

// How many launches take x forward.
template <class Network>
std::size_t forward_launches(Network& n, px::matrix_view<const float> x) {
  n.reserve(x.rows);
  n.refresh_weights();
  cudaGraph_t graph = nullptr;
  std::size_t count = 0;
  REQUIRE(cudaStreamBeginCapture(n.stream(), cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  n.forward(x);
  REQUIRE(cudaStreamEndCapture(n.stream(), &graph) == cudaSuccess);
  REQUIRE(cudaGraphGetNodes(graph, nullptr, &count) == cudaSuccess);
  REQUIRE(cudaGraphDestroy(graph) == cudaSuccess);
  return count;
}

template <class Network>
void check_launches(std::size_t expected) {
  const px::buffer<float> memory(7 * 40);
  const auto x = px::matrix<const float>(memory.data(), 40, 7);
  Network automatic{px::seed{1}, px::gemm_policy::native};
  CHECK(forward_launches(automatic, x) == expected);
  Network never{px::seed{1}, px::gemm_policy::native, px::fusion_policy::never};
  CHECK(forward_launches(never, x) > expected);
  Network tuned{px::seed{1}, px::gemm_policy::tuned};
  CHECK(forward_launches(tuned, x) == expected);
  CHECK(px::tune(tuned, 40).products().empty());
  CHECK(px::tune(never, 40).products().size() > 3);
}

template <class Network>
void check_agreement() {
  constexpr int in = Network::input_size, out = Network::output_size;
  Network fused{px::seed{3}, px::gemm_policy::native};
  Network layered{px::seed{3}, px::gemm_policy::native, px::fusion_policy::never};
  for (Network* net : {&fused, &layered}) {
    give_biases(*net);
    if constexpr (Network::scales_loss) net->set_loss_scaling({.initial = 256});  // these deltas are large
  }
  for (const int n : {200, 1, 70}) {  // after a larger batch the memory has room to spare
    CAPTURE(n);
    const auto x = support::random_values(static_cast<std::size_t>(n) * in);
    const auto y = support::random_values(static_cast<std::size_t>(n) * out, 8);
    CHECK(distance(fused.predict(x, n), layered.predict(x, n)) < tolerance<Network>);

    const auto device_x = px::to_device(fused.stream(), x), device_y = px::to_device(fused.stream(), y);
    const auto view_x = px::matrix<const float>(device_x.data(), n, in);
    const px::target_view view_y{nullptr, device_y.data(), out};
    const px::buffer<float> dx(x.size()), layered_dx(x.size());
    fused.backward(view_x, view_y, px::quadratic{}, px::matrix(dx.data(), n, in));
    const std::vector<float> gradients = gradients_of(fused);  // waits, also for the copies
    layered.backward(view_x, view_y, px::quadratic{}, px::matrix(layered_dx.data(), n, in));
    CHECK(distance(gradients, gradients_of(layered)) < tolerance<Network>);
    CHECK(distance(px::to_host(fused.stream(), dx.view()), px::to_host(layered.stream(), layered_dx.view())) <
          tolerance<Network>);
  }
}

template <class Network>
void check_training() {
  const auto train = [](px::fusion_policy fusion) {
    Network n{px::seed{5}, px::gemm_policy::native, fusion};
    const std::vector<float> x = support::random_values(200 * Network::input_size);
    const std::vector<float> y = support::random_values(200 * Network::output_size, 8);
    for (int step = 0; step < 4; ++step) n.step(x, y, px::quadratic{}, px::sgd{.rate = 0.5f});
    return all_parameters(n);
  };
  const auto first = train(px::fusion_policy::automatic);
  CHECK(first == train(px::fusion_policy::automatic));
  Network untrained{px::seed{5}};
  CHECK(first != all_parameters(untrained));
  CHECK(distance(first, train(px::fusion_policy::never)) < tolerance<Network>);
}

}  // namespace

TEST_CASE("A chain that fits is one kernel, unless that is refused", "[network][fused]") {
  check_launches<odd_network<px::fp32>>(1);
  check_launches<odd_network<in_fp16>>(2);  // and one that rounds the inputs
  check_launches<odd_network<in_bf16>>(2);
}

TEST_CASE("A network as one kernel agrees with itself layer by layer", "[network][fused]") {
  check_agreement<odd_network<px::fp32>>();
  check_agreement<odd_network<in_fp16>>();
  check_agreement<odd_network<in_bf16>>();
  check_agreement<small_network<in_fp16>>();
}

TEST_CASE("Training as one kernel has the same bits twice", "[network][fused]") {
  check_training<odd_network<px::fp32>>();
  check_training<odd_network<in_fp16>>();
  check_training<odd_network<in_bf16>>();
}

TEST_CASE("An overflow in a chain of one kernel has the step skipped", "[network][fused]") {
  small_network<in_fp16> n{px::seed{5}, px::gemm_policy::native};
  n.set_loss_scaling({.initial = 0x1p30f});
  const std::vector<float> x = support::random_values(30), y = support::random_values(20, 8);
  const auto before = all_parameters(n);
  n.step(x, y, px::quadratic{}, px::sgd{});
  CHECK(all_parameters(n) == before);
  CHECK(n.loss_scale().skipped == 1);
  CHECK(n.loss_scale().scale == 0x1p29f);
}
