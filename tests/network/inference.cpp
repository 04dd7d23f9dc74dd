#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/reference.hpp"
#include "support/worst.hpp"

namespace px = plexus;
using support::swish;

namespace {

using lecture =
    px::network<px::input<3>, px::dense<3, px::sigmoid, px::no_bias>, px::dense<2, px::sigmoid, px::no_bias>>;

using mixed_layers =
    px::network<px::input<13>, px::dense<17, px::relu>, px::dense<9, px::tanh, px::no_bias>,
                px::dense<21, swish>, px::dense<6, px::leaky_relu>, px::dense<8, px::softplus>, px::dense<5>>;

const std::vector<reference::activation> mixed_activations = {reference::relu(),     reference::tanh(),
                                                              reference::swish(),    reference::leaky_relu(),
                                                              reference::softplus(), reference::identity()};

}  // namespace

TEST_CASE("The lecture's network gives the lecture's numbers", "[network]") {
  for (const auto policy : {px::gemm_policy::native, px::default_gemm_policy}) {
    lecture net{px::seed{0}, policy};
    support::set_parameter(net, 0, {1, -2, 2, 2, 1, -4, 1, -1, 0});
    support::set_parameter(net, 1, {-3, 1, -3, 0, 1, 2});
    const std::vector<float> x{0.5f, 0.9f, -0.3f};
    const auto y = net.predict(x);
    CHECK(std::abs(y[0] - 0.34584136) < 1e-6);
    CHECK(std::abs(y[1] - 0.85314921) < 1e-6);
  }
}

TEST_CASE("Forward agrees with the equations in double, for batches of any size", "[network]") {
  for (const auto policy : {px::gemm_policy::native, px::default_gemm_policy}) {
    mixed_layers net{px::seed{12}, policy};
    for (std::size_t i = 1; i < net.parameters().size(); i += 2) {  // biases that are not zero
      if (net.parameters()[i].shape.size() == 1) {
        support::set_parameter(net, i, support::random_values(net.parameters()[i].values.size, i));
      }
    }
    const reference::network expected = reference::copy_of(net, net.parameters(), mixed_activations);
    for (const int n : {1, 2, 31, 300}) {
      CAPTURE(n);
      const std::vector<float> x = support::random_values(static_cast<std::size_t>(n) * 13);
      const std::vector<float> y = net.predict(x, n);
      REQUIRE(y.size() == static_cast<std::size_t>(n) * 5);
      double worst = 0;
      for (std::size_t row = 0; row < static_cast<std::size_t>(n); ++row) {
        const reference::vector sample(x.begin() + static_cast<std::ptrdiff_t>(row) * 13,
                                       x.begin() + static_cast<std::ptrdiff_t>(row + 1) * 13);
        const reference::vector truth = expected(sample);
        for (std::size_t j = 0; j < 5; ++j)
          worst = support::worse(worst, std::abs(truth[j] - y[row * 5 + j]));
      }
      CHECK(worst < 2e-5);
    }
  }
}

TEST_CASE("A single sample is predicted as it is within a batch", "[network]") {
  mixed_layers net{px::seed{1}};
  const std::vector<float> x = support::random_values(13 * 5);
  const std::vector<float> all = net.predict(x, 5);
  for (std::size_t i = 0; i < 5; ++i) {
    const auto one = net.predict(std::span(x).subspan(i * 13, 13));
    for (std::size_t j = 0; j < 5; ++j) CHECK(one[j] == Approx(all[i * 5 + j]).margin(1e-6));
  }
  CHECK(net.predict(std::span<const float>{}, 0).empty());
}

TEST_CASE("Parameters have the names and shapes of PyTorch's nn.Sequential", "[network]") {
  mixed_layers net;
  std::string listed;
  for (const auto& p : net.parameters()) {
    listed += p.name;
    for (const std::size_t extent : p.shape) listed += " " + std::to_string(extent);
    listed += "\n";
  }
  CHECK(listed ==
        "0.weight 17 13\n0.bias 17\n"
        "2.weight 9 17\n"
        "4.weight 21 9\n4.bias 21\n"
        "6.weight 6 21\n6.bias 6\n"
        "8.weight 8 6\n8.bias 8\n"
        "10.weight 5 8\n10.bias 5\n");
  CHECK(mixed_layers::parameter_count ==
        17 * 13 + 17 + 9 * 17 + 21 * 9 + 21 + 6 * 21 + 6 + 8 * 6 + 8 + 5 * 8 + 5);
}

TEST_CASE("Tensors begin on 256-byte boundaries of one arena", "[network]") {
  mixed_layers net;
  const auto tensors = net.parameters();
  const float* begin = tensors.front().values.data;
  for (const auto& tensor : tensors) CHECK((tensor.values.data - begin) % 64 == 0);
  for (std::size_t i = 1; i < tensors.size(); ++i) {
    const auto gap = tensors[i].values.data - (tensors[i - 1].values.data + tensors[i - 1].values.size);
    CHECK(gap >= 0);
    CHECK(gap < 64);
  }
}

TEST_CASE("Weights begin by the seed, with the range of their activation's initialiser", "[network]") {
  using net = px::network<px::input<40>, px::dense<50, px::relu>, px::dense<30, px::sigmoid>>;
  net first{px::seed{4}}, again{px::seed{4}}, other{px::seed{5}};
  CHECK(support::parameter_values(first) == support::parameter_values(again));
  CHECK(support::parameter_values(first) != support::parameter_values(other));
  const auto values = support::parameter_values(first);
  const auto largest = [](const std::vector<float>& w) {
    float most = 0;
    for (const float v : w) most = std::max(most, std::abs(v));
    return most;
  };
  CHECK(largest(values[0]) < std::sqrt(6.0f / 40));
  CHECK(largest(values[0]) > 0.99f * std::sqrt(6.0f / 40));
  CHECK(largest(values[2]) < std::sqrt(6.0f / 80));
  CHECK(largest(values[2]) > 0.99f * std::sqrt(6.0f / 80));
  CHECK(values[1] == std::vector<float>(50, 0.0f));

  support::set_parameter(first, 1, std::vector<float>(50, 1.0f));
  first.initialize(px::seed{4}, px::uniform{0.25f, 0.5f});
  const auto uniform = support::parameter_values(first);
  CHECK(*std::min_element(uniform[2].begin(), uniform[2].end()) > 0.25f);
  CHECK(uniform[1] == std::vector<float>(50, 0.0f));
}

#if !defined(__CUDACC__)
TEST_CASE("A network that only infers has no memory for gradients", "[network]") {
  const auto used = [] {
    std::size_t free = 0, total = 0;
    REQUIRE(hostcuda::cudaMemGetInfo(&free, &total) == hostcuda::cudaSuccess);
    return total - free;
  };
  using wide = px::network<px::input<1000>, px::dense<2000>>;
  constexpr std::size_t bytes = wide::parameter_count * sizeof(float);
  const std::size_t before = used();
  wide net;
  net.predict(std::vector<float>(1000));
  CHECK(used() - before < bytes + bytes / 2);
  net.gradients();
  CHECK(used() - before >= 2 * bytes);
}
#endif

TEST_CASE("Gradients are zero before any backward, and an update leaves the parameters", "[network]") {
  lecture net{px::seed{3}};
  for (const px::named_parameter& gradient : net.gradients()) {
    CHECK(px::to_host(net.stream(), gradient.values) == std::vector<float>(gradient.values.size, 0.0f));
  }
  lecture updated{px::seed{3}};
  updated.update(px::sgd{.rate = 1});
  CHECK(support::parameter_values(updated) == support::parameter_values(net));
}

TEST_CASE("linear states its input's width and is otherwise a dense layer", "[network]") {
  using stated = px::network<px::input<3>, px::linear<3, 4, px::relu>, px::linear<4, 2>>;
  using inferred = px::network<px::input<3>, px::dense<4, px::relu>, px::dense<2>>;
  stated a{px::seed{9}};
  inferred b{px::seed{9}};
  CHECK(a.predict(std::vector<float>{1, 2, 3}) == b.predict(std::vector<float>{1, 2, 3}));
}

TEST_CASE("An image is taken by a dense layer as one vector", "[network]") {
  using net = px::network<px::image<2, 3, 4>, px::dense<5>>;
  CHECK(net::input_size == 24);
  net n;
  CHECK(n.predict(std::vector<float>(24, 1.0f)).size() == 5);
}
