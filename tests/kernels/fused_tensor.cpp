// Chains of dense layers in 16 bits as one kernel, layer by layer against the equations in double: what a
// layer must make of the rounded values that the one before kept.
#include "device_matrix.hpp"
#include "support/activations.hpp"
#include "support/catch.hpp"

#include <plexus/layers/fused_tensor.hpp>
#include <plexus/plexus.hpp>

#include <cmath>

namespace {

using namespace plexus::kernel_test;
namespace px = plexus;
using namespace plexus::cuda_names;
using reference::in_double;

template <class T>
double rounding() {
  return std::is_same_v<T, __half> ? 0x1p-11 : 0x1p-8;
}

// Rows of a multiple of 8 elements, zeros behind the columns, NaN behind the last row.
template <class T>
class padded_matrix {
 public:
  padded_matrix(int rows, int cols) : rows_(rows), cols_(cols), ld_((cols + 7) / 8 * 8) {
    values_.assign(index(rows, 0) + 64, T(NAN));
    for (int i = 0; i < rows; ++i) {
      for (int j = cols; j < ld_; ++j) values_[index(i, j)] = T(0.0f);
    }
    upload();
  }
  padded_matrix(generator& random, int rows, int cols, float scale) : padded_matrix(rows, cols) {
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < cols; ++j) values_[index(i, j)] = T(scale * random_float(random));
    }
    upload();
  }

  px::matrix_view<T> view() const { return {device_.data(), rows_, cols_, ld_}; }
  double operator()(int i, int j) const {
    return static_cast<double>(static_cast<float>(values_[index(i, j)]));
  }

  void download(px::context& on) { px::copy_to_host<T>(on.stream(), values_, device_.data()); }

  // Whether what is no element is as it was.
  bool intact() const {
    for (int i = 0; i < rows_; ++i) {
      for (int j = cols_; j < ld_; ++j) {
        if ((*this)(i, j) != 0) return false;
      }
    }
    for (std::size_t i = index(rows_, 0); i < values_.size(); ++i) {
      if (!std::isnan(static_cast<float>(values_[i]))) return false;
    }
    return true;
  }

 private:
  std::size_t index(int i, int j) const {
    return static_cast<std::size_t>(i) * static_cast<std::size_t>(ld_) + static_cast<std::size_t>(j);
  }
  void upload() {
    device_ = px::to_device(nullptr, values_);
    px::check(cudaStreamSynchronize(nullptr), "uploading a test matrix");
  }

  int rows_, cols_, ld_;
  std::vector<T> values_;
  px::buffer<T> device_;
};

template <class Format, class Input, class... Specifications>
class tensor_chain {
 public:
  using layers = typename px::detail::chain<1, typename Input::input_shape, Specifications...>::layers;
  using fused = px::fused_layers<layers, px::mixed<Format>>;
  using T = typename Format::element;
  static constexpr std::size_t count = fused::count;
  static_assert(fused::fit);

  tensor_chain(generator& random, int n)
      : n_(n),
        x_(random, n, Input::input_shape::size, 1),
        y_(n, width_of_last, {}),
        dx_(n, Input::input_shape::size, {}),
        parts_(fused::parts_size(n)),
        gradients_(fused::layout::size) {
    [&]<class... Layers>(const std::tuple<Layers...>*) {
      (add_layer<Layers>(random), ...);
    }(static_cast<const layers*>(nullptr));
    px::fill_zero(on_.stream(), parts_.view());
    px::fill_zero(on_.stream(), gradients_.view());
  }

  // The largest error of each layer's outputs and deltas, of y and dx, beyond what the rounding of the result
  // explains.
  double training_error() {
    typename fused::memory keep{};
    for (std::size_t l = 0; l < count; ++l) keep[l] = {a_[l].view(), z_[l].view(), delta_[l].view()};
    keep.outputs = y_.view();
    fused::forward(on_.stream(), parameters(), x_.view(), keep);
    fused::backward(on_.stream(), parameters(), keep, px::input_delta<px::unit_derivative>{dx_.view(), {}});
    fused::find_gradients(on_.stream(), x_.view(), keep, parts_.data(), gradients_.data());
    y_.download(on_.stream());
    dx_.download(on_.stream());
    bool intact = y_.guards_intact() && dx_.guards_intact();
    for (std::size_t l = 0; l < count; ++l) {
      for (auto* matrix : {&a_[l], &z_[l], &delta_[l]}) {
        matrix->download(on_);
        intact = intact && matrix->intact();
      }
    }
    if (!intact) return std::nan("");
    double worst = 0;
    for (std::size_t l = 0; l < count; ++l)
      worst = larger(larger(worst, forward_error(l)), backward_error(l));
    return worst;
  }

  // The largest difference to the outputs of training.
  double inference_error() {
    device_matrix y(n_, width_of_last, {});
    typename fused::memory keep{};
    keep.outputs = y.view();
    fused::forward(on_.stream(), parameters(), x_.view(), keep);
    y.download(on_.stream());
    double worst = y.guards_intact() ? 0 : std::nan("");
    for (int i = 0; i < n_; ++i) {
      for (int j = 0; j < width_of_last; ++j)
        worst = larger(worst, std::abs(static_cast<double>(y(i, j)) - static_cast<double>(y_(i, j))));
    }
    return worst;
  }

  // Of the weights' and biases' gradients, relative to their largest; between the tensors there are zeros.
  double gradient_error() {
    const std::vector<float> computed = px::to_host(on_.stream(), gradients_.view());
    std::vector<double> expected(computed.size(), 0.0);
    for (const auto& tensor : fused::layout::tensors) {
      const std::size_t l = tensor.layer;
      const padded_matrix<T>& from = l == 0 ? x_ : a_[l - 1];
      const int cols = tensor.spec.is_weight ? in_[l] : 1;
      std::size_t at = tensor.offset;
      for (int j = 0; j < out_[l]; ++j) {
        for (int k = 0; k < cols; ++k, ++at) {
          for (int i = 0; i < n_; ++i)
            expected[at] += delta_[l](i, j) * (tensor.spec.is_weight ? from(i, k) : 1);
        }
      }
    }
    double worst = 0, largest = 0;
    for (std::size_t i = 0; i < computed.size(); ++i) {
      worst = larger(worst, std::abs(static_cast<double>(computed[i]) - expected[i]));
      largest = std::max(largest, std::abs(expected[i]));
    }
    return worst / largest;
  }

 private:
  static constexpr int width_of_last = std::tuple_element_t<count - 1, layers>::output_shape::size;

  // The larger one; a NaN stays.
  static double larger(double worst, double error) { return error <= worst ? worst : error; }

  static double excess(double computed, double expected) {
    return std::abs(computed - expected) - rounding<T>() * std::abs(expected);
  }

  double forward_error(std::size_t l) const {
    const padded_matrix<T>& from = l == 0 ? x_ : a_[l - 1];
    double worst = 0;
    for (int i = 0; i < n_; ++i) {
      for (int j = 0; j < out_[l]; ++j) {
        double z = bias_[l].empty() ? 0 : static_cast<double>(bias_[l][static_cast<std::size_t>(j)]);
        for (int k = 0; k < in_[l]; ++k) z += w_[l](j, k) * from(i, k);
        const double a = sigma_[l].f(z);
        worst = larger(worst,
                       l + 1 < count ? excess(a_[l](i, j), a) : std::abs(static_cast<double>(y_(i, j)) - a));
        if (keeps_z_[l]) worst = larger(worst, excess(z_[l](i, j), z));
      }
    }
    return worst;
  }

  // Of what is before layer l; with σ' from the rounded values, as the kernel has them.
  double backward_error(std::size_t l) const {
    double worst = 0;
    for (int i = 0; i < n_; ++i) {
      for (int k = 0; k < in_[l]; ++k) {
        double sum = 0;
        for (int j = 0; j < out_[l]; ++j) sum += delta_[l](i, j) * w_[l](j, k);
        if (l == 0) {
          worst = larger(worst, std::abs(static_cast<double>(dx_(i, k)) - sum));
          continue;
        }
        const double slope =
            keeps_z_[l - 1] ? sigma_[l - 1].derivative(z_[l - 1](i, k)) : slope_[l - 1](a_[l - 1](i, k));
        worst = larger(worst, excess(delta_[l - 1](i, k), sum * slope));
      }
    }
    return worst;
  }

  typename fused::parameters parameters() const {
    typename fused::parameters all;
    for (std::size_t l = 0; l < count; ++l) all[l] = {arena_[l].data(), w_[l].view().data};
    return all;
  }

  template <class Layer>
  void add_layer(generator& random) {
    using activation = typename Layer::activation;
    constexpr int in = Layer::in, out = Layer::output_shape::size;
    in_.push_back(in);
    out_.push_back(out);
    w_.emplace_back(random, out, in, std::sqrt(3 / static_cast<float>(in)));
    bias_.emplace_back();
    for (int j = 0; Layer::has_bias && j < out; ++j) bias_.back().push_back(random_float(random));
    std::vector<float> arena(px::padded(static_cast<std::size_t>(out) * in), NAN);  // the bias is behind W
    arena.insert(arena.end(), bias_.back().begin(), bias_.back().end());
    arena_.push_back(px::to_device(nullptr, arena));
    px::check(cudaStreamSynchronize(nullptr), "uploading a layer's parameters");
    sigma_.push_back(in_double(activation{}));
    keeps_z_.push_back(!px::output_differentiable<activation>);
    slope_.push_back([](double a) {
      if constexpr (px::output_differentiable<activation>) {
        return static_cast<double>(activation{}.derivative_from_output(static_cast<float>(a)));
      }
      return a;
    });
    a_.emplace_back(n_, out);
    z_.emplace_back(n_, out);
    delta_.push_back(a_.size() == count ? padded_matrix<T>(random, n_, out, 1) : padded_matrix<T>(n_, out));
    if (!keeps_z_.back()) z_.back() = padded_matrix<T>(n_, out);
  }

  px::context on_;
  int n_;
  padded_matrix<T> x_;
  device_matrix y_, dx_;
  px::buffer<float> parts_, gradients_;
  std::vector<int> in_, out_;
  std::vector<padded_matrix<T>> w_, a_, z_, delta_;
  std::vector<std::vector<float>> bias_;
  std::vector<px::buffer<float>> arena_;  // of each layer
  std::vector<reference::activation> sigma_;
  std::vector<bool> keeps_z_;
  std::vector<double (*)(double)> slope_;
};

template <class Chain>
void check(unsigned seed, int n) {
  CAPTURE(seed, n);
  generator random(seed);
  Chain chain(random, n);
  CHECK(chain.training_error() < 1e-5);
  CHECK(chain.inference_error() == 0);
  CHECK(chain.gradient_error() < 1e-5);
}

using px::dense, px::input, px::no_bias, px::fp16, px::bf16, support::swish;

using lecture = tensor_chain<fp16, input<3>, dense<3, px::sigmoid, no_bias>, dense<2, px::sigmoid, no_bias>>;
using smallest = tensor_chain<fp16, input<1>, dense<1, swish>>;
template <class Format>
using odd = tensor_chain<Format, input<33>, dense<40, px::tanh>, dense<70, swish, no_bias>, dense<3>>;
using wide = tensor_chain<fp16, input<17>, dense<127, px::tanh>, dense<128, swish, no_bias>, dense<5>>;
using whole_groups = tensor_chain<fp16, input<128>, dense<33, px::leaky_relu>, dense<64, px::relu>,
                                  dense<128, px::tanh, no_bias>>;
using long_one = tensor_chain<bf16, input<40>, dense<9, swish>, dense<70, px::sigmoid>, dense<31, px::relu>,
                              dense<2, px::leaky_relu>, dense<96, px::tanh>>;
template <class... Layers>
using in_fp16 = tensor_chain<fp16, Layers...>;
template <class... Layers>
using in_bf16 = tensor_chain<bf16, Layers...>;

}  // namespace

TEST_CASE("Small chains in 16 bits as one kernel agree with the equations", "[fused]") {
  check<lecture>(1, 1);
  check<smallest>(2, 33);
  check<odd<fp16>>(3, 31);
  check<odd<bf16>>(3, 31);
}

TEST_CASE("Chains in 16 bits as one kernel agree with the equations", "[fused][slow]") {
  check<wide>(4, 31);
  check<whole_groups>(5, 300);
  check<long_one>(6, 128);
}

TEST_CASE("Chains in 16 bits take every activation", "[fused][slow]") {
  check<support::elu_gelu_softsign_exponential<in_fp16>>(7, 31);
  check<support::selu_silu_hard_sigmoid_sine<in_bf16>>(8, 31);
  check<support::mish_squareplus_gelu_tanh<in_fp16>>(9, 31);
}
