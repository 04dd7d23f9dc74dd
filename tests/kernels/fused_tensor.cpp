// Chains of dense layers in 16 bits as one kernel, layer by layer against the equations in double: what a
// layer must make of the rounded values that the one before kept.
#include "device_matrix.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/reference.hpp"

#include <plexus/layers/fused_tensor.hpp>
#include <plexus/plexus.hpp>

#include <cmath>

namespace {

using namespace plexus::kernel_test;
namespace px = plexus;
using namespace plexus::cuda_names;

reference::activation in_double(px::identity) { return reference::identity(); }
reference::activation in_double(px::sigmoid) { return reference::sigmoid(); }
reference::activation in_double(px::tanh) { return reference::tanh(); }
reference::activation in_double(px::leaky_relu) { return reference::leaky_relu(); }
reference::activation in_double(support::swish) { return reference::swish(); }

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

template <class T, class Input, class... Specifications>
class tensor_chain {
 public:
  using layers = typename px::detail::chain<1, typename Input::input_shape, Specifications...>::layers;
  using fused = px::fused_tensor_layers<layers, T>;
  static constexpr std::size_t count = fused::count;

  tensor_chain(generator& random, int n)
      : n_(n), x_(random, n, Input::input_shape::size, 1), y_(n, width_of_last, {}) {
    [&]<class... Layers>(const std::tuple<Layers...>*) {
      (add_layer<Layers>(random), ...);
    }(static_cast<const layers*>(nullptr));
  }

  // The largest error of each layer's outputs and deltas, beyond what the rounding of the result explains.
  double training_error() {
    typename fused::memory keep{};
    for (std::size_t l = 0; l < count; ++l) keep[l] = {a_[l].view(), z_[l].view(), delta_[l].view()};
    fused::forward(on_.stream(), parameters(), x_.view(), keep, a_.back().view());
    fused::backward(on_.stream(), parameters(), keep);
    double worst = 0;
    for (std::size_t l = 0; l < count; ++l) {
      for (auto* matrix : {&a_[l], &z_[l], &delta_[l]}) {
        matrix->download(on_);
        if (!matrix->intact()) return std::nan("");
      }
    }
    for (std::size_t l = 0; l < count; ++l) {
      worst = larger(worst, forward_error(l));
      if (l > 0) worst = larger(worst, backward_error(l));
    }
    return worst;
  }

  // Outputs alone, in FP32: they are those of training before their rounding.
  double inference_error() {
    fused::forward(on_.stream(), parameters(), x_.view(), {}, y_.view());
    y_.download(on_.stream());
    if (!y_.guards_intact()) return std::nan("");
    double worst = 0;
    for (int i = 0; i < n_; ++i) {
      for (int j = 0; j < width_of_last; ++j) {
        const double rounded = static_cast<double>(static_cast<float>(T(y_(i, j))));
        worst = larger(worst, std::abs(rounded - a_.back()(i, j)));
      }
    }
    return worst;
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
        worst = larger(worst, excess(a_[l](i, j), sigma_[l].f(z)));
        if (keeps_z_[l]) worst = larger(worst, excess(z_[l](i, j), z));
      }
    }
    return worst;
  }

  // Of the layer before l; with σ' from the rounded values, as the kernel has them.
  double backward_error(std::size_t l) const {
    double worst = 0;
    for (int i = 0; i < n_; ++i) {
      for (int k = 0; k < in_[l]; ++k) {
        double sum = 0;
        for (int j = 0; j < out_[l]; ++j) sum += delta_[l](i, j) * w_[l](j, k);
        const double slope =
            keeps_z_[l - 1] ? sigma_[l - 1].derivative(z_[l - 1](i, k)) : slope_[l - 1](a_[l - 1](i, k));
        worst = larger(worst, excess(delta_[l - 1](i, k), sum * slope));
      }
    }
    return worst;
  }

  typename fused::all_parameters parameters() const {
    typename fused::all_parameters all;
    for (std::size_t l = 0; l < count; ++l) {
      all[l] = {w_[l].view(), bias_[l].empty() ? nullptr : device_bias_[l].data()};
    }
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
    device_bias_.push_back(px::to_device(nullptr, bias_.back()));
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
  device_matrix y_;
  std::vector<int> in_, out_;
  std::vector<padded_matrix<T>> w_, a_, z_, delta_;
  std::vector<std::vector<float>> bias_;
  std::vector<px::buffer<float>> device_bias_;
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
}

using px::dense, px::input, px::no_bias, support::swish;

template <class T>
void check_small_chains() {
  check<tensor_chain<T, input<3>, dense<3, px::sigmoid, no_bias>, dense<2, px::sigmoid, no_bias>>>(1, 1);
  check<tensor_chain<T, input<1>, dense<1, swish>>>(2, 33);
  check<tensor_chain<T, input<33>, dense<40, px::tanh>, dense<70, swish, no_bias>, dense<3>>>(3, 31);
}

template <class T>
void check_chains() {
  check<tensor_chain<T, input<17>, dense<127, px::tanh>, dense<128, swish, no_bias>, dense<5>>>(4, 31);
  check<tensor_chain<T, input<128>, dense<33, px::leaky_relu>, dense<64, px::sigmoid>,
                     dense<100, px::tanh, no_bias>>>(5, 300);
  check<tensor_chain<T, input<64>, dense<64, px::tanh>, dense<64, px::tanh>, dense<64, px::tanh>,
                     dense<64, px::tanh>, dense<16>>>(6, 100);
  check<tensor_chain<T, input<40>, dense<9, swish>, dense<70, px::sigmoid>, dense<31, swish>,
                     dense<2, px::leaky_relu>, dense<96, px::tanh>, dense<8, px::sigmoid>, dense<65, swish>,
                     dense<1, px::tanh>>>(7, 128);
}

}  // namespace

TEST_CASE("Small chains in 16 bits as one kernel agree with the equations", "[fused]") {
  check_small_chains<__half>();
  check_small_chains<__nv_bfloat16>();
}

TEST_CASE("Chains in 16 bits as one kernel agree with the equations", "[fused][slow]") {
  check_chains<__half>();
  check_chains<__nv_bfloat16>();
}
