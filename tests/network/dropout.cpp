// What dropout drops: by the random numbers of the network's seed, the layer, the step and the place.
#include <plexus/plexus.hpp>
#include <plexus/train/recorded_step.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace px = plexus;

namespace {

// Summed, C = Σ of all outputs, so that dx is what each input is multiplied by.
struct output_itself {
  PLEXUS_FN px::loss_term operator()(float a, float) const { return {a, 1}; }
};

constexpr px::sgd no_change{.rate = 1e-30f};

template <class Network>
struct passes {
  static constexpr int width = Network::input_size;

  Network net;
  int n;
  px::buffer<float> x, y, dx;

  explicit passes(px::seed s, int rows = 50)
      : net(s),
        n(rows),
        x(elements()),
        y(static_cast<std::size_t>(rows) * std::size_t{Network::output_size}),
        dx(elements()) {
    px::constant{2}(net.stream(), x.view());
    px::fill_zero(net.stream(), y.view());
  }

  std::size_t elements() const { return static_cast<std::size_t>(n) * std::size_t{width}; }

  // What backward finds that forward has multiplied each value by.
  std::vector<float> factors() {
    net.reset_totals();
    net.backward(px::matrix<const float>(x.data(), n, width), {nullptr, y.data(), Network::output_size},
                 px::summed{output_itself{}}, px::matrix(dx.data(), n, width));
    return px::to_host(net.stream(), dx.view());
  }
};

template <int Width>
using one_dropout = px::network<px::input<Width>, px::dropout<0.25>>;

// The documented numbers, written down once more.
std::vector<float> expected_factors(std::uint64_t seed, std::uint64_t layer, std::uint64_t step, int rows,
                                    int width) {
  std::vector<float> factors;
  const px::random_stream numbers{seed, (std::uint64_t{1} << 63) + (layer << 48) + step};
  const int strip = (width + 3) / 4;
  for (int row = 0; row < rows; ++row) {
    for (int col = 0; col < width; ++col) {
      const auto call = static_cast<std::uint64_t>(row) * static_cast<std::uint64_t>(strip) +
                        static_cast<std::uint64_t>(col % strip);
      const std::uint32_t word = numbers.words(call).word[col / strip];
      factors.push_back(word < 0x40000000u ? 0 : 1 / 0.75f);
    }
  }
  return factors;
}

}  // namespace

TEST_CASE("Dropout drops by seed, layer, step and place, the same forward and back", "[network][dropout]") {
  const auto check = []<int Width>(std::integral_constant<int, Width>) {
    INFO("width " << Width);
    passes<one_dropout<Width>> of(px::seed{77});
    for (std::uint64_t step = 0; step < 3; ++step) {
      const std::vector<float> factors = of.factors();
      CHECK(factors == expected_factors(77, 0, step, of.n, Width));
      double sum = 0;
      for (const float factor : factors) sum += 2 * static_cast<double>(factor);
      CHECK(of.net.totals().loss == Approx(sum).epsilon(1e-6));
      CHECK(of.factors() == factors);  // until the next update
      of.net.update(no_change);
    }
  };
  check(std::integral_constant<int, 1>{});
  check(std::integral_constant<int, 2>{});
  check(std::integral_constant<int, 7>{});
  check(std::integral_constant<int, 64>{});
  check(std::integral_constant<int, 131>{});
}

TEST_CASE("A quarter is dropped by a dropout of a quarter, whatever the column", "[network][dropout]") {
  constexpr int width = 13, rows = 4000;
  passes<one_dropout<width>> of(px::seed{5}, rows);
  const std::vector<float> factors = of.factors();
  for (int col = 0; col < width; ++col) {
    int dropped = 0;
    for (int row = 0; row < rows; ++row)
      dropped += factors[static_cast<std::size_t>(row) * width + static_cast<std::size_t>(col)] == 0;
    CHECK(std::abs(dropped - rows / 4) < 5 * std::sqrt(rows * 0.25 * 0.75));
  }
}

TEST_CASE("Two dropouts, and two seeds, drop other values", "[network][dropout]") {
  using two = px::network<px::input<64>, px::dropout<0.25>, px::dropout<0.5>>;
  passes<two> of(px::seed{3});
  const std::vector<float> factors = of.factors(), first = expected_factors(3, 0, 0, of.n, 64);
  int dropped_by_second = 0;
  for (std::size_t i = 0; i < factors.size(); ++i) {
    if (first[i] == 0) CHECK(factors[i] == 0);
    dropped_by_second += first[i] != 0 && factors[i] == 0;
  }
  CHECK(std::abs(dropped_by_second - of.n * 64 * 3 / 8) < 5 * std::sqrt(of.n * 64 * 0.375 * 0.625));
  CHECK(passes<one_dropout<64>>(px::seed{3}).factors() != passes<one_dropout<64>>(px::seed{4}).factors());
}

TEST_CASE("In use dropout passes every value, forward and back", "[network][dropout]") {
  passes<one_dropout<7>> of(px::seed{1}, 3);
  const std::vector<float> x = support::random_targets(3, 7, 1).inputs;
  CHECK(of.net.predict(x, 3) == x);
  const px::buffer<float> dz = px::to_device(of.net.stream(), x);
  of.net.input_gradient(px::matrix<const float>(of.x.data(), 3, 7), px::matrix<const float>(dz.data(), 3, 7),
                        px::matrix(of.dx.data(), 3, 7));
  CHECK(px::to_host(of.net.stream(), of.dx.view()) == x);
}

TEST_CASE("A probability of zero drops nothing", "[network][dropout]") {
  passes<px::network<px::input<64>, px::dropout<0>>> of(px::seed{1});
  const std::vector<float> factors = of.factors();
  CHECK(std::ranges::count(factors, 1.0f) == static_cast<std::ptrdiff_t>(factors.size()));
}

TEST_CASE("A recorded step drops what the same steps one by one drop", "[network][dropout]") {
  using network = px::network<px::input<20>, px::dense<16, px::relu>, px::dropout<0.5>, px::dense<3>>;
  const px::dataset data = support::largest_feature(24, 20, 3);
  network one_by_one{px::seed{9}}, recorded{px::seed{9}};
  const auto train = [&](network& net, auto&& run) {
    const px::buffer<float> x = px::to_device(net.stream(), data.inputs);
    const px::buffer<int> y = px::to_device(net.stream(), data.labels);
    const auto step = [&] {
      net.step(px::matrix<const float>(x.data(), 24, 20), {y.data(), nullptr, 0}, px::softmax_cross_entropy{},
               px::adam{});
    };
    run(net, step);
    CHECK(net.training_state().step == 6);
    return support::parameter_values(net);
  };
  const auto expected = train(one_by_one, [](network&, const auto& step) {
    for (int i = 0; i < 6; ++i) step();
  });
  const auto values = train(recorded, [](network& net, const auto& step) {
    px::recorded_step replayed(net, step);
    for (int i = 0; i < 6; ++i) replayed();
  });
  CHECK(values == expected);
}

TEST_CASE("Dropout goes on from a state that was kept", "[network][dropout]") {
  passes<one_dropout<64>> of(px::seed{6}), other(px::seed{8});
  of.factors();
  of.net.update(no_change);
  of.net.update(no_change);
  other.net.restore_training_state(of.net.training_state());
  CHECK(other.factors() == of.factors());
  other.net.initialize(px::seed{6});
  CHECK(other.factors() == expected_factors(6, 0, 0, other.n, 64));
}
