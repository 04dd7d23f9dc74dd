// The check of gradients is right about right and wrong ones, says where it knows nothing, and leaves no
// trace.
#include <plexus/inspect/check_gradients.hpp>
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"

#include <cstring>
#include <limits>

namespace px = plexus;
using px::inspect::central_differences;

namespace {

// A user's activation whose derivative lacks a term.
struct wrong_swish : support::swish {
  PLEXUS_FN float derivative(float z) const { return 1 / (1 + expf(-z)); }
};

// A user's loss whose slope is twice the right one.
struct steep {
  PLEXUS_FN px::loss_term operator()(float a, float y) const { return {(a - y) * (a - y), 4 * (a - y)}; }
};

// A user's loss that is so large that its rounding hides how it changes.
struct large {
  float factor = 1;  // of the slope; wrong unless 1
  PLEXUS_FN px::loss_term operator()(float a, float y) const {
    return {1e7f + (a - y) * (a - y), factor * 2 * (a - y)};
  }
};

struct constant {
  PLEXUS_FN px::loss_term operator()(float, float) const { return {1, 0}; }
};

struct without_slope {
  PLEXUS_FN px::loss_term operator()(float a, float) const { return {a, NAN}; }
};

// A loss that can be used so many times.
struct worn_out {
  int* uses;
  void validate() const { px::require(--*uses >= 0, "using a loss", "it is worn out", "take another one"); }
  PLEXUS_FN px::loss_term operator()(float a, float y) const { return px::mean_squared{}(a, y); }
};

template <class Network, class Loss>
px::inspect::gradient_check check(Network& net, const px::dataset& data, const Loss& loss,
                                  const px::inspect::gradient_options& how = {}) {
  return data.labels.empty() ? px::inspect::check_gradients(net, loss, data.inputs, data.targets, how)
                             : px::inspect::check_gradients(net, loss, data.inputs, data.labels, how);
}

template <class Network, class Loss>
void check_right(const px::dataset& data, const Loss& loss, double tolerance = 1e-3) {
  Network net{px::seed{4}};
  const auto found = check(net, data, loss);
  INFO(to_string(found));
  CHECK(found.passed(tolerance));
  CHECK(found.worst() > 0);
}

// The names of the tensors that do not pass.
std::vector<std::string> failing(const px::inspect::gradient_check& found) {
  std::vector<std::string> names;
  for (const auto& tensor : found.tensors) {
    if (!tensor.passed()) names.push_back(tensor.name);
  }
  return names;
}

template <class First, class Second>
using two_layers = px::network<px::input<5>, px::dense<4, First>, px::dense<3, Second>>;
using convolutional =
    px::network<px::image<2, 6, 6>, px::conv2d<4, 3, px::relu, px::same>, px::max_pool<2>,
                px::local_response_norm<3>, px::conv2d<3, 2, px::gelu>, px::average_pool<2>, px::dense<3>>;

using normalized = px::network<px::input<5>, px::dense<4, px::identity, px::no_bias>,
                               px::batch_norm<px::tanh>, px::dense<3>>;

// All that a check might leave a trace in.
template <class Network>
auto state_of(Network& net) {
  auto values = support::parameter_values(net);
  for (const auto& tensor : net.optimizer_state()) values.push_back(px::to_host(net.stream(), tensor.values));
  for (const auto& tensor : net.statistics()) values.push_back(px::to_host(net.stream(), tensor.values));
  const auto totals = net.totals();
  return std::tuple(values, totals.loss, totals.correct, net.training_state().epoch,
                    net.training_state().step, net.optimizer_updates());
}

double slope_error(const px::inspect::slope_estimate& found, double truth) {
  return std::abs(found.slope - truth);
}

// Differences of f, which is computed in double but rounded to float.
template <class Function>
px::inspect::slope_estimate slope_of(const Function& f, float v, double scale = 1) {
  const auto rounded = [&](float at) {
    return static_cast<double>(static_cast<float>(f(static_cast<double>(at))));
  };
  const central_differences around(rounded, v, scale, rounded(v));
  return around.slope(0x1p-25 * std::abs(rounded(v)));
}

}  // namespace

TEST_CASE("Right gradients pass the check", "[inspect]") {
  const px::dataset values = support::random_targets(6, 5, 3), classes = support::largest_feature(6, 5, 3);
  check_right<two_layers<px::sigmoid, px::tanh>>(values, px::quadratic{});
  check_right<two_layers<px::relu, px::identity>>(classes, px::softmax_cross_entropy{});
  check_right<two_layers<px::leaky_relu, px::softplus>>(values, px::huber{.delta = 0.3f});
  check_right<two_layers<support::swish, px::identity>>(classes, px::hinge{});
  check_right<two_layers<px::gelu, px::mish>>(values, px::mean_absolute{});
  check_right<two_layers<px::elu, px::identity>>(values, px::summed{px::binary_cross_entropy{}});
  check_right<convolutional>(support::largest_feature(3, 72, 3), px::softmax_cross_entropy{}, 1e-2);
}

TEST_CASE("The check names the tensors whose gradients are wrong", "[inspect]") {
  const px::dataset data = support::random_targets(6, 5, 3);
  px::network<px::input<5>, px::dense<4, px::tanh>, px::dense<4, wrong_swish>, px::dense<3, px::tanh>> net{
      px::seed{4}};
  const auto found = check(net, data, px::quadratic{});
  INFO(to_string(found));
  CHECK(failing(found) == std::vector<std::string>{"0.weight", "0.bias", "2.weight", "2.bias", "input"});
  CHECK_FALSE(found.passed(0.1));
  CHECK(found.worst() > 0.1);
  CHECK(found.tensors[4].passed(1e-3));  // behind the activation

  two_layers<px::tanh, px::identity> right{px::seed{4}};
  const auto steeper = check(right, data, steep{});
  CHECK(failing(steeper).size() == 5);
  for (const auto& tensor : steeper.tensors) {
    CHECK(tensor.error == Approx(1.0 / 3).epsilon(0.01));  // |2b − b| / (|2b| + |b|)
    CHECK(tensor.by_backward == Approx(2 * tensor.by_differences).epsilon(0.01));
  }
}

TEST_CASE("The check says which value is worst, and what its two numbers are", "[inspect]") {
  const px::dataset data = support::random_targets(2, 5, 3);
  two_layers<px::tanh, px::identity> net{px::seed{4}};
  const auto found = check(net, data, steep{}, {.values = 7});
  REQUIRE(found.tensors.size() == 5);
  CHECK(found.tensors[0].name == "0.weight");
  CHECK(found.tensors[0].shape == std::vector<std::size_t>{4, 5});
  CHECK(found.tensors[4].name == "input");
  CHECK(found.tensors[4].shape == std::vector<std::size_t>{2, 5});
  const auto gradients = net.gradients();
  for (std::size_t t = 0; t < 4; ++t) {
    const auto& tensor = found.tensors[t];
    CHECK(tensor.checked == std::min<std::size_t>(7, gradients[t].values.size));
    const float by_backward = px::to_host(net.stream(), gradients[t].values).at(tensor.place);
    CHECK(tensor.by_backward == static_cast<double>(by_backward));
  }
  const std::string text = to_string(found);
  CHECK(text.find("tensor    shape   checked  zeros  kinks  faint  worst error      at") == 0);
  CHECK(text.find("\n0.weight  (4, 5)        7      0      0      0      3.3e-01  (") != std::string::npos);
}

TEST_CASE("Places are spread over a tensor, each taken once", "[inspect]") {
  for (const std::size_t size : {1u, 7u, 50u, 51u, 1000u}) {
    for (const std::size_t count : {0u, 1u, 7u, 50u}) {
      const auto places = px::inspect::gradients::places(size, count, {3, 1});
      CHECK(places.size() == (count == 0 ? size : std::min(size, count)));
      CHECK(std::is_sorted(places.begin(), places.end()));
      CHECK(std::adjacent_find(places.begin(), places.end()) == places.end());
      CHECK(places.back() < size);
      CHECK(places[0] * places.size() < size);
    }
  }
  CHECK(px::inspect::gradients::places(1000, 10, {3, 1}) != px::inspect::gradients::places(1000, 10, {4, 1}));
}

TEST_CASE("What lies at a kink is left out, and too much of it does not pass", "[inspect]") {
  px::network<px::input<1>, px::dense<3, px::relu>, px::dense<1>> net{px::seed{4}};
  const std::vector<float> x{0}, y{1};  // z = 0 at each rectifier
  const auto found = px::inspect::check_gradients(net, px::quadratic{}, x, y);
  INFO(to_string(found));
  CHECK(found.tensors[1].name == "0.bias");
  CHECK(found.tensors[1].kinks == 3);
  CHECK(found.tensors[1].error == 0);
  CHECK_FALSE(found.passed());
  CHECK(failing(found) == std::vector<std::string>{"0.bias", "input"});
}

TEST_CASE("What drowns in the rounding of the loss does not pass, be it right or wrong", "[inspect]") {
  const px::dataset data = support::random_targets(6, 5, 3);
  for (const float factor : {1.0f, 0.0f}) {
    two_layers<px::tanh, px::identity> net{px::seed{4}};
    const auto found = check(net, data, large{factor});
    INFO(to_string(found));
    CHECK(found.worst() < 1e-2);  // which says nothing
    CHECK_FALSE(found.passed());
    CHECK(failing(found).size() == 5);
    for (const auto& tensor : found.tensors) CHECK(2 * tensor.faint > tensor.checked - tensor.zeros);
  }
}

TEST_CASE("What the loss does not depend on is counted apart, and passes", "[inspect]") {
  px::dataset data = support::random_targets(6, 5, 3);
  for (std::size_t i = 0; i < data.inputs.size(); i += 5) data.inputs[i] = data.inputs[i + 3] = 0;
  two_layers<px::tanh, px::identity> net{px::seed{4}};
  const auto found = check(net, data, px::quadratic{});
  INFO(to_string(found));
  CHECK(found.tensors[0].zeros == 8);  // two inputs are 0, and have four weights each
  CHECK(found.tensors[0].faint == 0);
  CHECK(found.passed());
  CHECK_FALSE(check(net, data, constant{}).passed());  // on nothing
}

TEST_CASE("A gradient that is not finite does not pass", "[inspect]") {
  two_layers<px::tanh, px::identity> net;
  const auto found = check(net, support::random_targets(2, 5, 3), without_slope{});
  CHECK(failing(found).size() == 5);
  CHECK(found.worst() == std::numeric_limits<double>::infinity());
}

TEMPLATE_TEST_CASE("A check leaves a network as it was, also where it fails", "[inspect]",
                   (two_layers<px::tanh, px::identity>), normalized) {
  const px::dataset data = support::random_targets(4, 5, 3);
  TestType net{px::seed{4}};
  for (int i = 0; i < 3; ++i)
    net.step(std::span<const float>(data.inputs), std::span<const float>(data.targets), px::quadratic{},
             px::adam{});
  net.count_epoch();
  net.count_epoch();
  const auto before = state_of(net);
  check(net, data, px::quadratic{}, {.values = 0});
  CHECK(state_of(net) == before);

  int uses = 30;  // enough to be amid the first tensor, one value of which has been changed
  CHECK_THROWS_AS(check(net, data, worn_out{&uses}), px::error);
  CHECK(state_of(net) == before);
  px::dataset infinite = data;
  infinite.targets[3] = std::numeric_limits<float>::infinity();
  CHECK_THROWS_AS(check(net, infinite, px::quadratic{}), px::error);
  CHECK(state_of(net) == before);
}

TEST_CASE("Slopes by differences are as near to the truth as they say", "[inspect]") {
  for (const float v : {-2.0f, -0.5f, 0.0f, 0.3f, 1.75f, 40.0f}) {
    CAPTURE(v);
    const double at = v;
    const auto sine = slope_of([](double t) { return std::sin(t) + 3; }, v);
    CHECK(slope_error(sine, std::cos(at)) < sine.uncertainty);
    CHECK(sine.uncertainty < 3e-5);
    CHECK_FALSE(sine.at_kink);
    const auto line = slope_of([](double t) { return 5 * t + 1; }, v);
    CHECK(slope_error(line, 5) < line.uncertainty);
    CHECK(line.uncertainty < 1e-4);
  }
  for (const double scale : {1e-4, 1.0, 1e4}) {  // the same function over other units
    const auto found =
        slope_of([&](double t) { return std::exp(t / scale); }, static_cast<float>(scale / 4), scale);
    CHECK(slope_error(found, std::exp(0.25) / scale) < found.uncertainty);
    CHECK(found.uncertainty * scale < 1e-4);
  }
}

TEST_CASE("Differences know a kink, and where there is no slope at all", "[inspect]") {
  const auto at_kink = slope_of([](double t) { return std::abs(t) + t + 1; }, 0);
  CHECK(at_kink.at_kink);
  CHECK(at_kink.uncertainty > 0.4);
  const auto beside_it = slope_of([](double t) { return std::abs(t) + t + 1; }, 0.1f);  // within larger steps
  CHECK_FALSE(beside_it.at_kink);
  CHECK(slope_error(beside_it, 2) < 1e-3);
  CHECK(beside_it.uncertainty < 1e-3);
  const auto flat = slope_of([](double) { return 2.0; }, 0.5f);
  CHECK(flat.slope == 0);
  CHECK_FALSE(flat.at_kink);
  const auto nowhere = slope_of([](double t) { return t == 0.5 ? 1.0 : NAN; }, 0.5f);
  CHECK(nowhere.at_kink);
  CHECK(nowhere.uncertainty == std::numeric_limits<double>::infinity());
}
