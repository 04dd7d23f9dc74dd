// Layers that differ in training and in use against PyTorch's float64: gradients, statistics, and outputs in
// use.
#include <plexus/plexus.hpp>

#include "golden.hpp"

namespace px = plexus;

namespace {

// A case of make_golden.py's NORMALIZED.
template <class Network>
class normalized_case {
 public:
  normalized_case(const golden::file& file, std::string name, float middle, px::gemm_policy policy)
      : file_(file), name_(std::move(name)), middle_(middle), net_(px::seed{1}, policy) {
    n_ = static_cast<int>(file_[name_ + "/dx"].size()) / Network::input_size;
    golden::set_parameters(net_, std::vector<float>(10, 1));
    targets_ = px::to_device(net_.stream(), golden::unit(3, size(Network::output_size)));
  }

  void check() {
    train(1);
    check_tensor("loss", std::vector{net_.totals().loss / n_});
    check_tensor("dx", px::to_host(net_.stream(), dx_.view()));
    for (const auto& tensor : net_.gradients())
      check_tensor("gradient/" + tensor.name, px::to_host(net_.stream(), tensor.values));
    update();
    train(2);
    update();
    for (const auto& tensor : net_.tensors())
      check_tensor("final/" + tensor.name, px::to_host(net_.stream(), tensor.values));
    check_in_use();
  }

 private:
  std::size_t size(int width) const { return static_cast<std::size_t>(n_) * static_cast<std::size_t>(width); }

  std::vector<float> inputs(std::uint64_t seed) const {
    std::vector<float> x = golden::between(seed, 1, size(Network::input_size));
    for (float& value : x) value += middle_;
    return x;
  }
  px::matrix_view<const float> x() const {
    return px::matrix<const float>(x_.data(), n_, Network::input_size);
  }

  void train(std::uint64_t seed) {
    x_ = px::to_device(net_.stream(), inputs(seed));
    dx_ = px::to_device(net_.stream(), std::vector<float>(size(Network::input_size), NAN));
    net_.reset_totals();
    net_.backward(x(), {nullptr, targets_.data(), Network::output_size}, px::quadratic{},
                  px::matrix(dx_.data(), n_, Network::input_size));
  }
  void update() { net_.update(px::sgd{.rate = 0.125f}); }

  void check_in_use() {
    const std::vector<float> first = inputs(1), y = golden::unit(3, size(Network::output_size));
    const std::vector<float> a = net_.predict(first, n_);
    check_tensor("output_in_use", a);
    if constexpr (std::is_same_v<typename last_layer::activation, px::identity>) {
      x_ = px::to_device(net_.stream(), first);
      std::vector<float> dz(a.size());
      for (std::size_t i = 0; i < a.size(); ++i) dz[i] = (a[i] - y[i]) / static_cast<float>(n_);
      const px::buffer<float> delta = px::to_device(net_.stream(), dz);
      net_.input_gradient(x(), px::matrix<const float>(delta.data(), n_, Network::output_size),
                          px::matrix(dx_.data(), n_, Network::input_size));
      check_tensor("dx_in_use", px::to_host(net_.stream(), dx_.view()));
    }
  }

  template <class Number>
  void check_tensor(const std::string& tensor, const std::vector<Number>& values) const {
    INFO(name_ << ", " << tensor);
    golden::check_close(values, file_[name_ + "/" + tensor]);
  }

  using last_layer = typename Network::template layer_type<Network::layer_count - 1>;

  const golden::file& file_;
  std::string name_;
  float middle_;
  Network net_;
  int n_ = 0;
  px::buffer<float> x_, dx_, targets_;
};

template <class... Entries>
void check(const std::string& name, float middle = 0) {
  static const golden::file file(golden::folder() / "normalized.safetensors");
  for (const auto policy : golden::policies)
    normalized_case<px::network<Entries...>>(file, name, middle, policy).check();
}

}  // namespace

TEST_CASE("Batch normalisation is PyTorch's", "[golden]") {
  using namespace px;
  check<input<5>, batch_norm<>>("vectors");
  check<input<37>, batch_norm<px::tanh>>("wide_vectors");
  check<input<6>, batch_norm<>>("vectors_far_from_zero", 16);
  check<image<4, 3, 5>, batch_norm<>>("images");
  check<image<3, 9, 7>, batch_norm<softplus, batch_norm_constants{.epsilon = 0.25f, .momentum = 0.5f}>>(
      "images_by_other_constants", 1);
  check<image<3, 1, 1>, batch_norm<>>("images_of_a_pixel");
  check<image<3, 4, 4>, batch_norm<>>("images_far_from_zero", 16);
}

TEST_CASE("Layer normalisation is PyTorch's", "[golden]") {
  using namespace px;
  check<input<6>, layer_norm<>>("layer_norm_of_vectors");
  check<image<3, 4, 5>, layer_norm<softplus, layer_norm_constants{.epsilon = 0.125f}>>("layer_norm_of_images",
                                                                                       0.5f);
  check<input<1500>, layer_norm<sigmoid>>("layer_norm_of_many_values", 16);
  check<input<3>, layer_norm<>>("layer_norm_of_many_samples");
}

TEST_CASE("Softmax as a layer is PyTorch's", "[golden]") {
  using namespace px;
  check<input<7>, px::softmax>("softmax");
  check<input<40>, px::softmax>("softmax_far_from_zero", 4096);
}

TEST_CASE("A network that normalises everywhere is PyTorch's", "[golden]") {
  using namespace px;
  check<image<2, 8, 6>, conv2d<4, 3, identity, no_bias>, batch_norm<relu>, average_pool<2>,
        batch_norm<px::tanh>, dense<6, identity, no_bias>, batch_norm<sigmoid>, dense<5>,
        layer_norm<px::tanh>, dense<3>, px::softmax>("network");
}
