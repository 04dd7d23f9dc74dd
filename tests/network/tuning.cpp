// gemm_policy::tuned: which way a product goes, and what tune() finds, says and changes.
#include <plexus/plexus.hpp>
#include <plexus/tune.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/worst.hpp"

#include <algorithm>
#include <map>

namespace px = plexus;
using px::element_type, px::gemm_choice, px::gemm_policy, px::gemm_product, px::gemm_way, px::layout;

namespace {

constexpr gemm_choice by_native{{}, 1, gemm_way::native};
constexpr gemm_choice by_vendor{{}, 1, gemm_way::vendor};
constexpr gemm_choice by_loops{{}, 1, gemm_way::loops};

// Layer by layer on a GPU too.
template <class Network>
struct layered : Network {
  explicit layered(gemm_policy policy = px::default_gemm_policy)
      : Network(px::seed{3}, policy, px::fusion_policy::never) {}
};
using net = layered<px::network<px::input<70>, px::dense<33, px::tanh>, px::dense<5, support::swish>>>;

constexpr int batch = 17;
const std::vector<float> inputs = support::random_values(batch * 70);
const std::vector<float> targets = support::random_values(batch * 5, 6);

template <class Network>
void train(Network& n, int steps) {
  for (int i = 0; i < steps; ++i)
    n.step(std::span(inputs), std::span(targets), px::quadratic{}, px::sgd{.rate = 0.1f});
}

// What `steps` steps make of the parameters, one after the other.
template <class Network>
std::vector<float> trained(Network& n, int steps) {
  train(n, steps);
  std::vector<float> all;
  for (const auto& values : support::parameter_values(n)) all.insert(all.end(), values.begin(), values.end());
  return all;
}

// The products of a training step of `net`, by hand.
const std::vector<gemm_product> products = {
    {layout::nt, element_type::fp32, {17, 5, 33}},  {layout::nt, element_type::fp32, {17, 33, 70}},
    {layout::nn, element_type::fp32, {17, 33, 5}},  {layout::tn, element_type::fp32, {5, 33, 17}},
    {layout::tn, element_type::fp32, {33, 70, 17}},
};

// A way for each of them, by its candidates.
template <class Pick>
px::gemm_choices choices_by(const Pick& pick, element_type type = element_type::fp32) {
  px::gemm_choices choices;
  for (gemm_product product : products) {
    product.type = type;
    choices.set({product, {{pick(px::gemm_candidates(product)), 1}}});
  }
  return choices;
}
px::gemm_choices all_by(const gemm_choice& way) {
  return choices_by([&](const auto&) { return way; });
}

std::vector<float> trained_by(const px::gemm_choices& choices) {
  net n;
  n.set_choices(choices);
  return trained(n, 3);
}

std::vector<float> trained_by(gemm_policy policy) {
  net n(policy);
  return trained(n, 3);
}

double worst_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    worst = support::worse(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return worst;
}

}  // namespace

TEST_CASE("A tuned product goes its own way, any other that of the default policy", "[network][tuning]") {
  const gemm_product known{layout::nt, element_type::fp32, {64, 50, 30}};
  px::context context(gemm_policy::tuned);
  CHECK(choice_for(context, known) == choice_for(px::context(px::default_gemm_policy), known));

  px::gemm_choices choices;
  choices.set({known, {{by_native, 1}}});
  const gemm_product small{layout::tn, element_type::fp16, {2, 3, 4}};
  choices.set({small, {{by_native, 1}, {by_loops, 2}}});
  px::use_choices(context, choices);
  CHECK(context.policy() == gemm_policy::tuned);
  CHECK(choice_for(context, known) == by_native);
  CHECK(choice_for(context, small) == by_native);
  choices.set({small, {{by_loops, 1}}});  // takes the place of what was there
  CHECK(choices.products().size() == 2);
  px::use_choices(context, choices);
  CHECK(choice_for(context, small) == by_loops);

  const px::context plain(px::default_gemm_policy);
  for (const gemm_product& other : {gemm_product{layout::nn, element_type::fp32, {64, 50, 30}},
                                    gemm_product{layout::nt, element_type::bf16, {64, 50, 30}},
                                    gemm_product{layout::nt, element_type::fp32, {65, 50, 30}},
                                    gemm_product{layout::nt, element_type::fp32, {64, 51, 30}},
                                    gemm_product{layout::nt, element_type::fp32, {64, 50, 31}},
                                    gemm_product{layout::tn, element_type::fp32, {500, 500, 1}},
                                    gemm_product{layout::nn, element_type::fp32, {1, 1, 5}}})
    CHECK(choice_for(context, other) == choice_for(plain, other));
}

TEST_CASE("The candidates are the ways that the program has", "[network][tuning]") {
  const auto candidates = px::gemm_candidates({layout::nt, element_type::fp32, {65, 129, 256}});
  const auto count = [&](const gemm_choice& choice) {
    return std::count(candidates.begin(), candidates.end(), choice);
  };
  CHECK(candidates.front() == by_native);
  CHECK(count(by_vendor) == (px::has_vendor_blas ? 1 : 0));
  CHECK(count(by_loops) == 0);
  for (const px::gemm_tile_row& row : px::gemm_tiles) {
    for (const int slices : {1, 2, 4}) CHECK(count({row.tile, slices}) == (px::platform::on_cpu ? 0 : 1));
    CHECK(count({row.tile, 8}) == 0);  // of a length that is not worth it
  }
  const auto ways = [](const gemm_product& product) { return px::gemm_candidates(product).size(); };
  const std::size_t vendor = px::has_vendor_blas;
  const auto tiles = [](std::size_t each) { return px::platform::on_cpu ? std::size_t{0} : each; };
  CHECK(ways({layout::nt, element_type::fp32, {32, 32, 32}}) ==
        1 + vendor + 1 + tiles(1));  // of which it fills one
  CHECK(ways({layout::nt, element_type::fp16, {32, 32, 32}}) == 1 + vendor + 1 + tiles(1));
  // More than there is memory for slices of, and more than fibers are tried with.
  CHECK(ways({layout::nt, element_type::fp32, {2048, 2048, 1024}}) ==
        (px::platform::on_cpu && px::has_vendor_blas ? 0 : 1) + vendor + tiles(6));
  CHECK(ways({layout::nt, element_type::fp32, {1 << 30, 1 << 30, 1 << 30}}) < 8);

  CHECK_THROWS_AS(px::gemm_choices().set({products[1], {}}), px::error);
  CHECK_THROWS_AS(px::gemm_choices().set({products[1], {{by_loops, 1}}}), px::error);
  CHECK_THROWS_AS(px::gemm_choices().set({products[1], {{{px::gemm_tile::small, 3}, 1}}}), px::error);
}

TEST_CASE("tune measures every product of a step, and the network goes by what it found",
          "[network][tuning]") {
  net n(gemm_policy::native);
  train(n, 1);
  n.reset_totals();
  px::buffer<float> x = px::to_device(n.stream(), inputs), y = px::to_device(n.stream(), targets);
  n.judge(px::matrix<const float>(x.data(), batch, 70), {.values = y.data(), .ld = 5}, px::quadratic{});
  const auto before = support::parameter_values(n);
  const double loss = n.totals().loss;
  const std::uint64_t version = n.memory_version();
  CHECK(loss > 0);

  const px::gemm_choices choices = px::tune(n, batch);
  CHECK(support::parameter_values(n) == before);
  CHECK(n.totals().loss == loss);
  CHECK(n.training_state().step == 1);
  CHECK(n.memory_version() != version);  // what was recorded is recorded anew
  REQUIRE(choices.products().size() == products.size());
  for (std::size_t i = 0; i < products.size(); ++i) {
    const px::tuned_product& tuned = choices.products()[i];
    CHECK(tuned.product == products[i]);
    std::vector<gemm_choice> measured, possible = px::gemm_candidates(products[i]);
    float least = 0;
    for (const auto& [choice, ms] : tuned.candidates) {
      CHECK(ms > 0);
      CHECK(ms >= least);
      least = ms;
      measured.push_back(choice);
    }
    CHECK(std::is_permutation(measured.begin(), measured.end(), possible.begin(), possible.end()));
    CHECK(*choices.find(products[i]) == measured.front());
  }
  CHECK(to_string(n.choices()) == to_string(choices));

  // Bits by the choices that were found, here and in another network.
  net again;
  again.set_choices(choices);
  net fresh;
  px::tune(fresh, batch);
  fresh.set_choices(choices);
  CHECK(trained(fresh, 3) == trained(again, 3));

  // Another batch comes to what there is.
  px::tune(n, 1);
  CHECK(n.choices().products().size() == 2 * products.size());
  CHECK(n.choices().find(products[2]) != nullptr);
}

TEST_CASE("The choices are what computes", "[network][tuning]") {
  const auto native = trained_by(gemm_policy::native);
  CHECK(worst_difference(trained_by(px::gemm_choices{}), native) < 1e-5);
  CHECK(trained_by(px::gemm_choices{}) == trained_by(px::default_gemm_policy));
  if (px::has_vendor_blas) {
    const auto vendor = trained_by(gemm_policy::vendor);
    CHECK(trained_by(all_by(by_native)) == native);
    CHECK(trained_by(all_by(by_vendor)) == vendor);
    CHECK(native != vendor);  // or the lines above say nothing
  }
  for (std::size_t i = 0; i < px::gemm_candidates(products[1]).size(); ++i) {
    const auto nth = choices_by([&](const auto& candidates) { return candidates[i % candidates.size()]; });
    const auto result = trained_by(nth);
    CHECK(worst_difference(result, native) < 1e-5);
    CHECK(result == trained_by(nth));
  }
}

TEST_CASE("Tuned steps are recorded, from the first product on", "[network][tuning]") {
  const px::sgd optimizer{.rate = 0.1f};
  const auto choices = all_by(px::has_vendor_blas ? by_vendor : by_native);
  net direct;
  direct.set_choices(choices);
  const auto expected = trained(direct, 4);

  net n(gemm_policy::native);
  const px::buffer<float> x = px::to_device(n.stream(), inputs), y = px::to_device(n.stream(), targets);
  const auto step = [&] {
    n.step(px::matrix<const float>(x.data(), batch, 70), {.values = y.data(), .ld = 5}, px::quadratic{},
           optimizer);
  };
  const auto start = support::parameter_values(n);
  step();  // makes the memory, and no handle of the vendor's
  for (std::size_t i = 0; i < start.size(); ++i) support::set_parameter(n, i, start[i]);
  n.set_choices(choices);
  const px::graph graph = px::graph::capture(n.stream(), step);
  for (int i = 0; i < 4; ++i) graph.launch(n.stream());
  CHECK(trained(n, 0) == expected);
}

TEST_CASE("A recorded step goes by choices that are made later", "[network][tuning]") {
  if (!px::has_vendor_blas) return;
  net n(gemm_policy::native);
  const px::buffer<float> x = px::to_device(n.stream(), inputs), y = px::to_device(n.stream(), targets);
  px::recorded_step step(n, [&] {
    n.step(px::matrix<const float>(x.data(), batch, 70), {.values = y.data(), .ld = 5}, px::quadratic{},
           px::sgd{.rate = 0.1f});
  });
  const auto start = support::parameter_values(n);
  for (int i = 0; i < 3; ++i) step();
  for (std::size_t i = 0; i < start.size(); ++i) support::set_parameter(n, i, start[i]);
  n.set_choices(all_by(by_vendor));
  for (int i = 0; i < 3; ++i) step();
  CHECK(trained(n, 0) == trained_by(gemm_policy::vendor));
}

TEST_CASE("A given tile and number of slices is what computes", "[network][tuning]") {
  if (px::platform::on_cpu) return;
  const gemm_product product{layout::tn, element_type::fp32, {40, 72, 256}};
  px::context context;
  const px::buffer<float> a = px::to_device(context.stream(), support::random_values(256 * 40));
  const px::buffer<float> b = px::to_device(context.stream(), support::random_values(256 * 72, 6));
  const auto product_by = [&](const gemm_choice& choice) {
    px::gemm_choices choices;
    choices.set({product, {{choice, 1}}});
    px::use_choices(context, choices);
    const px::buffer<float> c(40 * 72);
    px::gemm<layout::tn>(context, px::matrix<const float>(a.data(), 256, 40),
                         px::matrix<const float>(b.data(), 256, 72), px::store{px::matrix(c.data(), 40, 72)});
    return px::to_host(context.stream(), c.view());
  };
  const auto whole = product_by({px::gemm_tile::small, 1}), halves = product_by({px::gemm_tile::small, 2}),
             quarters = product_by({px::gemm_tile::small, 4});
  CHECK(product_by({px::gemm_tile::flat, 4}) == quarters);
  CHECK(whole != halves);
  CHECK(halves != quarters);
  CHECK(worst_difference(whole, halves) < 1e-4);
  CHECK(worst_difference(whole, quarters) < 1e-4);
}

TEST_CASE("Products of 16 bits are tuned as such", "[network][tuning]") {
  using in_fp16 =
      layered<px::network<px::mixed<px::fp16>, px::input<70>, px::dense<33, px::tanh>, px::dense<5>>>;
  in_fp16 n;
  const auto before = n.loss_scale();
  std::map<gemm_product, std::size_t> found;
  const px::gemm_choices choices = px::tune(n, batch);
  for (const px::tuned_product& tuned : choices.products()) found[tuned.product] = tuned.candidates.size();
  REQUIRE(found.size() == products.size());
  for (gemm_product product : products) {
    product.type = element_type::fp16;
    CHECK(found[product] == px::gemm_candidates(product).size());
  }
  CHECK(n.loss_scale().scale == before.scale);
  const auto trained_by_nth = [](std::size_t i) {
    in_fp16 other;
    other.set_choices(choices_by([&](const auto& all) { return all[i % all.size()]; }, element_type::fp16));
    return trained(other, 2);
  };
  const auto native = trained_by_nth(0);
  for (std::size_t i = 1; i < 5; ++i) {
    CHECK(worst_difference(trained_by_nth(i), native) < 1e-4);
    CHECK(trained_by_nth(i) == trained_by_nth(i));
  }
}

TEST_CASE("Choices can be read", "[network][tuning]") {
  px::gemm_choices choices;
  choices.set({{layout::tn, element_type::bf16, {20, 3, 400}}, {{by_native, 0.0015f}}});
  choices.set({{layout::nt, element_type::fp32, {8, 10, 300}}, {{by_native, 0.25f}, {by_loops, 1.5f}}});
  CHECK(to_string(choices) ==
        "nt fp32 8 × 10 × 300: native 250.00 µs (loops 1500.00)\n"
        "tn bf16 20 × 3 × 400: native 1.50 µs\n");
}
