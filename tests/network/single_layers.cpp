// What a network tells of its single layers: their outputs, and the gradients of any of
// them. The reference is a network that ends at the layer, with the same weights and without its activation.
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/worst.hpp"

#include <cmath>

namespace px = plexus;

namespace {

using images = px::network<px::image<2, 7, 6>, px::conv2d<4, 3, px::softplus>, px::max_pool<2>,
                           px::dense<5, px::tanh>, px::dense<3>>;
using vectors = px::network<px::input<6>, px::dense<9, px::relu>, px::dense<5, px::softplus>, px::dense<3>>;

// They end at layer 0 … 2 of the networks above, with z.
using images_to_0 = px::network<px::image<2, 7, 6>, px::conv2d<4, 3>>;
using images_to_1 = px::network<px::image<2, 7, 6>, px::conv2d<4, 3, px::softplus>, px::max_pool<2>>;
using images_to_2 =
    px::network<px::image<2, 7, 6>, px::conv2d<4, 3, px::softplus>, px::max_pool<2>, px::dense<5>>;
using vectors_to_1 = px::network<px::input<6>, px::dense<9, px::relu>, px::dense<5>>;

template <class From, class To>
void copy_first_parameters(From& from, To& to) {
  const auto all = from.parameters();
  const auto first = to.parameters();
  for (std::size_t i = 0; i < first.size(); ++i) {
    REQUIRE(first[i].shape == all[i].shape);
    px::copy_to_device<float>(to.stream(), first[i].values.data, px::to_host(from.stream(), all[i].values));
  }
}

// dx of Σ dz · z(L), and what central differences of the network that ends there give.
template <std::size_t L, class Network, class End>
void check_input_gradient(int n) {
  Network net{px::seed{4}};
  End end{px::seed{5}};
  copy_first_parameters(net, end);
  std::vector<float> x = support::random_values(static_cast<std::size_t>(n * Network::input_size));
  const std::vector<float> dz = support::random_values(static_cast<std::size_t>(n * End::output_size), 9);
  const auto x_there = px::to_device(net.stream(), x), dz_there = px::to_device(net.stream(), dz);
  const px::buffer<float> dx(x.size());
  net.template input_gradient<L>(px::matrix<const float>(x_there.data(), n, Network::input_size),
                                 px::matrix<const float>(dz_there.data(), n, End::output_size),
                                 px::matrix(dx.data(), n, Network::input_size));
  const auto computed = px::to_host(net.stream(), dx.view());

  const auto counted = [&] {
    const auto z = end.predict(x, n);
    double sum = 0;
    for (std::size_t i = 0; i < z.size(); ++i) sum += static_cast<double>(dz[i]) * static_cast<double>(z[i]);
    return sum;
  };
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    constexpr float h = 1e-3f;
    const float kept = x[i];
    x[i] = kept + h;
    const double above = counted();
    x[i] = kept - h;
    const double below = counted();
    const double width = static_cast<double>(kept + h) - static_cast<double>(kept - h);
    x[i] = kept;
    worst = support::worse(worst, std::abs((above - below) / width - static_cast<double>(computed[i])));
    largest = std::max(largest, std::abs(static_cast<double>(computed[i])));
  }
  CHECK(largest > 0.1);
  CHECK(worst < 5e-3 * std::max(largest, 1.0));
}

}  // namespace

TEST_CASE("Any layer's gradient with respect to the input", "[network][single_layers]") {
  check_input_gradient<0, images, images_to_0>(3);
  check_input_gradient<1, images, images_to_1>(2);
  check_input_gradient<2, images, images_to_2>(3);
  check_input_gradient<3, images, images>(2);
  check_input_gradient<1, vectors, vectors_to_1>(4);
}

TEST_CASE("The gradient with respect to the input leaves the parameters' alone", "[network][single_layers]") {
  images net{px::seed{4}};
  std::vector<std::vector<float>> before;
  for (const auto& gradient : net.gradients()) {
    before.push_back(support::random_values(gradient.values.size, 11));
    px::copy_to_device<float>(net.stream(), gradient.values.data, before.back());
  }
  const auto x = px::to_device(net.stream(), support::random_values(images::input_size));
  const auto dz = px::to_device(net.stream(), support::random_values(3));
  const px::buffer<float> dx(images::input_size);
  net.input_gradient(px::matrix<const float>(x.data(), 1, images::input_size),
                     px::matrix<const float>(dz.data(), 1, 3), px::matrix(dx.data(), 1, images::input_size));
  const auto gradients = net.gradients();
  for (std::size_t t = 0; t < before.size(); ++t)
    CHECK(px::to_host(net.stream(), gradients[t].values) == before[t]);
}

TEST_CASE("The outputs of single layers", "[network][single_layers]") {
  images net{px::seed{4}};
  constexpr int n = 3;
  const auto x = support::random_values(n * images::input_size);
  CHECK(net.activations<3>(x) == net.predict(x, n));
  CHECK(net.activations<1>(std::span<const float>{}).empty());

  images_to_1 pooled;
  images_to_2 end;
  copy_first_parameters(net, pooled);
  copy_first_parameters(net, end);
  CHECK(net.activations<1>(x) == pooled.predict(x, n));
  const auto a = net.activations<2>(x), z = end.predict(x, n);
  REQUIRE(a.size() == z.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == Approx(std::tanh(z[i])).margin(1e-6));
}

TEST_CASE("The outputs of more samples than are run at once", "[network][single_layers]") {
  vectors net{px::seed{4}};
  constexpr int n = 2 * 256 + 3;
  const auto x = support::random_values(n * 6);
  const auto all = net.activations<1>(x);
  REQUIRE(all.size() == n * 5);
  for (const int i : {0, 255, 256, 511, 512, n - 1}) {
    const auto one = net.activations<1>(std::span(x).subspan(static_cast<std::size_t>(i) * 6, 6));
    for (std::size_t j = 0; j < 5; ++j)
      CHECK(one[j] == Approx(all[static_cast<std::size_t>(i) * 5 + j]).margin(1e-6));
  }
}

TEST_CASE("A gradient's matrices may have gaps between their rows", "[network][single_layers]") {
  vectors net{px::seed{4}};
  const auto values = support::random_values(100);
  const auto there = px::to_device(net.stream(), values);
  const px::buffer<float> dx(3 * 9), apart(3 * 9);
  net.input_gradient<1>({there.data(), 3, 6, 7}, {there.data() + 50, 3, 5, 8}, {apart.data(), 3, 6, 9});
  for (int i = 0; i < 3; ++i) {
    net.input_gradient<1>({there.data() + 7 * i, 1, 6, 6}, {there.data() + 50 + 8 * i, 1, 5, 5},
                          {dx.data() + 9 * i, 1, 6, 6});
  }
  const auto one_by_one = px::to_host(net.stream(), dx.view()),
             together = px::to_host(net.stream(), apart.view());
  for (std::size_t i = 0; i < 3 * 9; ++i) {
    if (i % 9 < 6) CHECK(together[i] == Approx(one_by_one[i]).margin(1e-6));
  }
}

TEST_CASE("The outputs of single layers in 16 bits", "[network][single_layers]") {
  using halved = px::network<px::mixed<px::fp16>, px::input<6>, px::dense<9, px::relu>,
                             px::dense<5, px::softplus>, px::dense<3>>;
  halved net{px::seed{4}};
  vectors single{px::seed{4}};
  const auto x = support::random_values(2 * 6);
  const auto rounded = net.activations<1>(x), exact = single.activations<1>(x);
  REQUIRE(rounded.size() == 10);
  for (std::size_t i = 0; i < rounded.size(); ++i) CHECK(rounded[i] == Approx(exact[i]).margin(1e-2));

  const auto x_there = px::to_device(net.stream(), x);
  const auto dz = px::to_device(net.stream(), support::random_values(2 * 5));
  const px::buffer<float> dx(12), dx_exact(12);
  const auto gradient = [&](auto& of, const px::buffer<float>& to) {
    of.template input_gradient<1>(px::matrix<const float>(x_there.data(), 2, 6),
                                  px::matrix<const float>(dz.data(), 2, 5), px::matrix(to.data(), 2, 6));
    return px::to_host(of.stream(), to.view());
  };
  const auto in_half = gradient(net, dx), in_single = gradient(single, dx_exact);
  for (std::size_t i = 0; i < in_half.size(); ++i) CHECK(in_half[i] == Approx(in_single[i]).margin(2e-2));
}

TEST_CASE("A layer seen from outside has its own parameters", "[network][single_layers]") {
  images net{px::seed{4}};
  const auto weights = net.parameters()[2].values;  // 0.weight, 0.bias, 4.weight
  const auto third = net.layer<2>();
  STATIC_REQUIRE(std::is_same_v<decltype(third)::layer, images::layer_type<2>>);
  CHECK(third.parameters == weights.data);
}
