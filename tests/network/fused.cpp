// A network that takes its layers as one kernel, against itself layer by layer.
#include <plexus/plexus.hpp>
#include <plexus/tune.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/worst.hpp"

namespace px = plexus;

namespace {

using net = px::network<px::input<7>, px::dense<33, px::sigmoid>, px::dense<20, support::swish, px::no_bias>,
                        px::dense<3>>;

}  // namespace

template <>
inline constexpr bool px::may_be_fused<net::layers> = true;

namespace {

void give_biases(net& n) {
  for (std::size_t i = 0; i < n.parameters().size(); ++i) {
    const auto tensor = n.parameters()[i];
    if (tensor.shape.size() == 1) support::set_parameter(n, i, support::random_values(tensor.values.size, i));
  }
}

double worst_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = support::worse(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return worst;
}

std::vector<float> gradients_of(net& n) {
  std::vector<float> all;
  for (const auto& tensor : n.gradients()) {
    const auto values = px::to_host(n.stream(), tensor.values);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

// How many launches take x forward.
std::size_t forward_launches(net& n, px::matrix_view<const float> x) {
  using namespace px::cuda_names;
  n.reserve(x.rows);
  cudaGraph_t graph = nullptr;
  std::size_t count = 0;
  REQUIRE(cudaStreamBeginCapture(n.stream(), cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  n.forward(x);
  REQUIRE(cudaStreamEndCapture(n.stream(), &graph) == cudaSuccess);
  REQUIRE(cudaGraphGetNodes(graph, nullptr, &count) == cudaSuccess);
  REQUIRE(cudaGraphDestroy(graph) == cudaSuccess);
  return count;
}

}  // namespace

TEST_CASE("A chain that fits is one kernel, unless that is refused", "[network][fused]") {
  const px::buffer<float> memory(7 * 40);
  const auto x = px::matrix<const float>(memory.data(), 40, 7);
  net automatic{px::seed{1}, px::gemm_policy::native};
  CHECK(forward_launches(automatic, x) == 1);
  net never{px::seed{1}, px::gemm_policy::native, px::fusion_policy::never};
  CHECK(forward_launches(never, x) > 1);
  net tuned{px::seed{1}, px::gemm_policy::tuned};
  CHECK(forward_launches(tuned, x) == 1);
  CHECK(px::tune(tuned, 40).products().empty());
  CHECK(px::tune(never, 40).products().size() > 3);
}

TEST_CASE("A network as one kernel agrees with itself layer by layer", "[network][fused]") {
  net fused{px::seed{3}, px::gemm_policy::native};
  net layered{px::seed{3}, px::gemm_policy::native, px::fusion_policy::never};
  give_biases(fused);
  give_biases(layered);
  for (const int n : {200, 1, 70}) {  // after a larger batch the memory has room to spare
    CAPTURE(n);
    const auto x = support::random_values(static_cast<std::size_t>(n) * 7);
    const auto y = support::random_values(static_cast<std::size_t>(n) * 3, 8);
    CHECK(worst_difference(fused.predict(x, n), layered.predict(x, n)) < 1e-6);

    const auto device_x = px::to_device(fused.stream(), x), device_y = px::to_device(fused.stream(), y);
    const auto view_x = px::matrix<const float>(device_x.data(), n, 7);
    const px::target_view view_y{nullptr, device_y.data(), 3};
    const px::buffer<float> dx(x.size()), layered_dx(x.size());
    fused.backward(view_x, view_y, px::quadratic{}, px::matrix(dx.data(), n, 7));
    const std::vector<float> gradients = gradients_of(fused);  // waits, also for the copies
    layered.backward(view_x, view_y, px::quadratic{}, px::matrix(layered_dx.data(), n, 7));
    CHECK(worst_difference(gradients, gradients_of(layered)) < 1e-6);
    CHECK(worst_difference(px::to_host(fused.stream(), dx.view()),
                           px::to_host(layered.stream(), layered_dx.view())) < 1e-6);
  }
}

TEST_CASE("Training as one kernel has the same bits twice", "[network][fused]") {
  const auto train = [] {
    net n{px::seed{5}, px::gemm_policy::native};
    const px::dataset data = support::random_targets(300, 7, 3);
    px::fit(n, data, px::quadratic{}, px::sgd{.rate = 0.5f}, {.epochs = 2, .batch = 150});
    return support::parameter_values(n);
  };
  const auto first = train();
  CHECK(first == train());
  net untrained{px::seed{5}};
  CHECK(first != support::parameter_values(untrained));
}
