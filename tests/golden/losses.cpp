// Losses against PyTorch's float64: value and gradient, of targets that are values, masses and labels.
#include <plexus/plexus.hpp>

#include "golden.hpp"
#include "support/loss_rows.hpp"

namespace px = plexus;

namespace {

constexpr std::size_t batch = 6;

const golden::file& losses() {
  static const golden::file file(golden::folder() / "losses.safetensors");
  return file;
}

std::vector<float> masses(std::size_t size) {
  std::vector<float> values = golden::unit(3, size);
  for (std::size_t i = 0; i < size; ++i)
    if (golden::number(4, i) % 3 == 0) values[i] = 0;
  return values;
}

// Where all of a tensor cancels, as softmax's gradient of a single output, its root mean square is no scale.
template <class Number>
void check_close(const std::string& name, const std::vector<Number>& computed) {
  INFO(name);
  const std::vector<double> expected = losses()[name];
  golden::check_close(computed, expected, std::max(golden::root_mean_square(expected), 1e-2));
}

// `loss_for(width)` of the targets of one kind, by a thread or by a warp.
template <support::sharing Sharing, class LossFor>
void check_kind(const std::string& name, const std::string& kind, const LossFor& loss_for) {
  for (const int width : {1, 3, 10, 40}) {
    const std::size_t size = batch * static_cast<std::size_t>(width);
    const std::vector<float> values = kind == "values"   ? golden::between(2, 4, size)
                                      : kind == "masses" ? masses(size)
                                                         : std::vector<float>{};
    const std::vector<int> labels = kind == "labels" ? golden::labels(5, batch, width) : std::vector<int>{};
    const auto found =
        support::differentiate<Sharing>(loss_for(width), golden::between(1, 4, size), width, values, labels);
    const std::string path = name + "/" + kind + "/" + std::to_string(width);
    check_close(path + "/loss", std::vector{found.loss});
    check_close(path + "/gradient", found.gradient);
  }
}

template <class LossFor>
void check_for_each_width(const std::string& name, const std::vector<std::string>& kinds,
                          const LossFor& loss_for) {
  for (const std::string& kind : kinds) {
    check_kind<support::sharing::as_the_pass_does>(name, kind, loss_for);
    check_kind<support::sharing::by_a_warp>(name, kind, loss_for);
  }
  CHECK(losses().unread(name) == std::vector<std::string>{});
}

template <class Loss>
void check(const std::string& name, const std::vector<std::string>& kinds, const Loss& loss) {
  check_for_each_width(name, kinds, [&](int) { return loss; });
}

const std::vector<std::string> values{"values"}, classes{"masses", "labels"};

}  // namespace

TEST_CASE("Losses of values are PyTorch's", "[golden]") {
  check("mean_squared", values, px::mean_squared{});
  check("mean_absolute", values, px::mean_absolute{});
  check("huber", values, px::huber{});
  check("huber_delta", values, px::huber{.delta = 2.5f});
  check("smooth_l1", values, px::smooth_l1{});
  check("smooth_l1_beta", values, px::smooth_l1{.beta = 2.5f});
  check("smooth_l1_without", values, px::smooth_l1{.beta = 0});
  check("mean_absolute_percentage", values, px::mean_absolute_percentage{});
  check("mean_absolute_percentage_epsilon", values, px::mean_absolute_percentage{.epsilon = 1.5f});
  check("relative_squared", values, px::relative_squared{});
  check("relative_squared_epsilon", values, px::relative_squared{.epsilon = 2});
}

TEST_CASE("Losses of classes are PyTorch's", "[golden]") {
  check("hinge", {"values", "masses", "labels"}, px::hinge{});
  check("hinge_margin", values, px::hinge{.margin = 2.5f});
  check("binary_cross_entropy", classes, px::binary_cross_entropy{});
  check("binary_cross_entropy_weight", classes, px::binary_cross_entropy{.positive_weight = 3.5f});
  check("kl_divergence", classes, px::kl_divergence{});
  check("cross_entropy", classes, px::softmax_cross_entropy{});
  check("cross_entropy_smooth", classes, px::softmax_cross_entropy{.label_smoothing = 0.125f});
}

TEST_CASE("Softmax cross-entropy with class weights is PyTorch's sum over n", "[golden]") {
  const px::stream on;
  std::vector<float> numbers = golden::unit(6, 40);
  for (float& weight : numbers) weight += 0.25f;
  const px::buffer<float> weights = px::to_device(on.get(), numbers);
  on.synchronize();
  for (const float smoothing : {0.0f, 0.125f}) {
    check_for_each_width(
        smoothing == 0 ? "cross_entropy_weights" : "cross_entropy_weights_smooth", classes, [&](int width) {
          return px::softmax_cross_entropy{smoothing, {weights.data(), static_cast<std::size_t>(width)}};
        });
  }
}

TEST_CASE("Summed losses are PyTorch's sums", "[golden]") {
  check("summed_huber", values, px::summed{px::huber{.delta = 2.5f}});
  check("summed_kl_divergence", {"masses"}, px::summed{px::kl_divergence{}});
  check("summed_cross_entropy", {"labels"}, px::summed{px::softmax_cross_entropy{.label_smoothing = 0.125f}});
}
