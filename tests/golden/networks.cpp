// Whole networks against PyTorch's float64: outputs, loss, every gradient, and ten steps of each form of SGD.
#include <plexus/plexus.hpp>

#include "golden.hpp"
#include "support/data.hpp"

#include <span>

namespace px = plexus;

namespace {

constexpr std::size_t batch = 32;
constexpr int steps = 10;
constexpr std::size_t sample_stride = 61;
constexpr std::size_t large = 10000;  // tensors of so many values are stored by samples and sums

const golden::file& networks() {
  static const golden::file file(golden::folder() / "networks.safetensors");
  return file;
}

struct named_optimizer {
  std::string name;
  px::sgd optimizer;
};

const named_optimizer plain{"plain", {.rate = 0.125f}};
const std::vector<named_optimizer> every_optimizer{
    plain,
    {"momentum", {.rate = 0.125f, .momentum = 0.75f}},
    {"nesterov", {.rate = 0.125f, .momentum = 0.75f, .nesterov = true}},
    {"weight_decay", {.rate = 0.125f, .weight_decay = 0.0625f}},
    {"all", {.rate = 0.125f, .momentum = 0.75f, .weight_decay = 0.0625f, .nesterov = true}},
};

// Layer l's weights are numbers of the seed 10 + 2 l, its biases of the seed 11 + 2 l.
template <class Network>
void set_golden_parameters(Network& net, const std::vector<float>& scale) {
  for (std::size_t i = 0; i < net.parameters().size(); ++i) {
    support::set_parameter(net, i, golden::between(10 + i, scale[i / 2], net.parameters()[i].values.size));
  }
}

double sign(std::size_t i) { return i % 2 == 0 ? 1 : -1; }

// What make_golden.py's store_final() keeps of a tensor.
void check_final(const std::string& name, const std::vector<std::size_t>& shape,
                 const std::vector<float>& values) {
  INFO(name);
  if (values.size() < large) {
    golden::check_close(values, networks()[name]);
    return;
  }
  std::vector<float> entries;
  for (std::size_t i = 0; i < values.size(); i += sample_stride) entries.push_back(values[i]);
  const std::vector<double> expected = networks()[name + "/entries"];
  const double scale = golden::root_mean_square(expected);
  golden::check_close(entries, expected);

  const std::size_t rows = shape[0], cols = shape[1];
  std::vector<double> row_sums(rows), column_sums(cols);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) {
      const auto value = static_cast<double>(values[i * cols + j]);
      row_sums[i] += sign(j) * value;
      column_sums[j] += sign(i) * value;
    }
  }
  golden::check_close(row_sums, networks()[name + "/row_sums"], scale);
  golden::check_close(column_sums, networks()[name + "/column_sums"], scale);
}

// A case of make_golden.py with one optimiser. Targets are values or labels, as the loss wants them.
template <class Network, class Loss, class Target>
void check_network(const std::string& name, px::gemm_policy policy, const std::vector<float>& scale,
                   const std::vector<float>& x, const std::vector<Target>& y, const Loss& loss,
                   px::sgd optimizer) {
  INFO(name << (policy == px::gemm_policy::native ? ", native" : ", vendor"));
  Network net{px::seed{0}, policy};
  set_golden_parameters(net, scale);
  const bool first_of_case = name.ends_with("plain");
  if (first_of_case) golden::check_close(net.predict(x, batch), networks()[name + "/output"]);

  std::vector<double> losses;
  for (int step = 0; step < steps; ++step) {
    net.reset_totals();
    net.step(std::span<const float>(x), std::span<const Target>(y), loss, optimizer);
    losses.push_back(net.totals().loss / batch);
    if (step > 0 || !first_of_case) continue;
    for (const auto& gradient : net.gradients()) {
      INFO("gradient of " << gradient.name);
      golden::check_close(px::to_host(net.stream(), gradient.values),
                          networks()[name + "/gradient/" + gradient.name]);
    }
  }
  golden::check_close(losses, networks()[name + "/losses"]);
  for (const auto& parameter : net.parameters()) {
    check_final(name + "/final/" + parameter.name, parameter.shape,
                px::to_host(net.stream(), parameter.values));
  }
}

const std::vector<px::gemm_policy> policies =
    px::has_vendor_blas ? std::vector{px::gemm_policy::native, px::gemm_policy::vendor}
                        : std::vector{px::gemm_policy::native};

}  // namespace

TEST_CASE("784-300-10 with sigmoids and the quadratic cost trains as in PyTorch", "[golden][slow]") {
  using net = px::network<px::input<784>, px::dense<300, px::sigmoid>, px::dense<10, px::sigmoid>>;
  for (const auto policy : policies) {
    check_network<net>("sigmoid_quadratic/plain", policy, {1.0f / 16, 1.0f / 8}, golden::unit(1, batch * 784),
                       golden::unit(2, batch * 10), px::quadratic{}, plain.optimizer);
  }
}

TEST_CASE("784-300-10 with ReLU and softmax cross-entropy trains as in PyTorch", "[golden][slow]") {
  using net = px::network<px::input<784>, px::dense<300, px::relu>, px::dense<10>>;
  for (const auto policy : policies) {
    check_network<net>("relu_cross_entropy/plain", policy, {1.0f / 16, 1.0f / 8},
                       golden::unit(100, batch * 784), golden::labels(3, batch, 10),
                       px::softmax_cross_entropy{}, plain.optimizer);
  }
}

TEST_CASE("Every form of SGD takes PyTorch's ten steps on the quadratic cost", "[golden]") {
  using net = px::network<px::input<5>, px::dense<7, px::tanh>, px::dense<6, px::leaky_relu>, px::dense<3>>;
  for (const auto& [name, optimizer] : every_optimizer) {
    for (const auto policy : policies) {
      check_network<net>("small_quadratic/" + name, policy, {1, 1, 1}, golden::unit(1, batch * 5),
                         golden::unit(2, batch * 3), px::quadratic{}, optimizer);
    }
  }
}

TEST_CASE("Every form of SGD takes PyTorch's ten steps on softmax cross-entropy", "[golden]") {
  using net = px::network<px::input<5>, px::dense<7, px::softplus>, px::dense<6, px::relu>, px::dense<4>>;
  for (const auto& [name, optimizer] : every_optimizer) {
    for (const auto policy : policies) {
      check_network<net>("small_cross_entropy/" + name, policy, {1, 1, 1}, golden::unit(1, batch * 5),
                         golden::labels(3, batch, 4), px::softmax_cross_entropy{}, optimizer);
    }
  }
}
