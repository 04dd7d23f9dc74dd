#include <plexus/plexus.hpp>
#include <plexus/train/metrics.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"

namespace px = plexus;

namespace {

// The inputs are the outputs.
template <int Width>
px::network<px::input<Width>, px::dense<Width, px::identity, px::no_bias>> pass_through() {
  px::network<px::input<Width>, px::dense<Width, px::identity, px::no_bias>> net;
  std::vector<float> unit(static_cast<std::size_t>(Width * Width));
  for (std::size_t i = 0; i < static_cast<std::size_t>(Width); ++i) unit[i * Width + i] = 1;
  support::set_parameter(net, 0, unit);
  return net;
}

px::dataset labelled(std::vector<float> outputs, std::vector<int> labels) {
  return {.features = 3, .outputs = 3, .inputs = std::move(outputs), .labels = std::move(labels)};
}

}  // namespace

TEST_CASE("Confusions are counted by true class and guess", "[train]") {
  auto net = pass_through<3>();
  const px::dataset data =
      labelled({9, 1, 2, 5, 6, 1, 0, 7, 3, 4, 4, 4, 1, 2, 3, 2, 8, 7}, {0, 0, 1, 1, 2, 2});
  const px::confusion_matrix counts = px::confusion(net, data);
  CHECK(counts.classes == 3);
  CHECK(counts.counts == std::vector<std::uint64_t>{1, 1, 0, 1, 1, 0, 0, 1, 1});
  CHECK(counts(1, 0) == 1);
  CHECK(counts.accuracy() == 0.5);
  CHECK(counts.accuracy() == px::evaluate(net, data, px::softmax_cross_entropy{}).accuracy);
  CHECK(counts.precision(0) == 1 / 2.0);
  CHECK(counts.precision(1) == 1 / 3.0);
  CHECK(counts.precision(2) == 1);
  CHECK(counts.recall(0) == 1 / 2.0);
  const px::confusion_matrix few = px::confusion(net, labelled({9, 1, 2}, {1}));
  CHECK(few.recall(1) == 0);
  CHECK(std::isnan(few.recall(0)));
  CHECK(std::isnan(few.precision(2)));
}

TEST_CASE("The truth is among the k largest outputs, the first ones of equal ones", "[train]") {
  auto net = pass_through<3>();
  const px::dataset data = labelled({9, 1, 2, 5, 6, 1, 3, 7, 0, 4, 4, 4, 1, 1, 0}, {0, 0, 2, 1, 1});
  CHECK(px::top_k_accuracy(net, data, 1) == Approx(1 / 5.0));
  CHECK(px::top_k_accuracy(net, data, 2) == Approx(4 / 5.0));
  CHECK(px::top_k_accuracy(net, data, 3) == 1);
  CHECK(px::top_k_accuracy(net, data, 7) == 1);
}

// More samples than are predicted at once.
TEST_CASE("Counts of many samples are those of single predictions", "[train]") {
  px::network<px::input<6>, px::dense<4>> net{px::seed{3}};
  const px::dataset data = support::largest_feature(2500, 6, 4);
  std::vector<std::uint64_t> expected(16);
  for (std::size_t i = 0; i < 2500; ++i) {
    const auto a = net.predict(std::span(data.inputs).subspan(i * 6, 6));
    ++expected[static_cast<std::size_t>(data.labels[i] * 4 + (std::ranges::max_element(a) - a.begin()))];
  }
  CHECK(px::confusion(net, data).counts == expected);
}

TEST_CASE("Errors of a regression by hand", "[train]") {
  auto net = pass_through<2>();
  const px::dataset data{
      .features = 2, .outputs = 2, .inputs = {1, 5, 2, 5, 4, 5, 5, 5}, .targets = {2, 5, 2, 5, 3, 5, 9, 5}};
  const px::regression_errors errors = px::errors_of(net, data);
  CHECK(errors.mean_absolute == Approx(6 / 8.0));
  CHECK(errors.root_mean_square == Approx(std::sqrt(18 / 8.0)));
  CHECK(errors.r_squared == Approx((1 - 18 / 34.0 + 1) / 2));
  const px::dataset missed{.features = 2, .outputs = 2, .inputs = {1, 5, 2, 5}, .targets = {1, 4, 2, 4}};
  CHECK(px::errors_of(net, missed).r_squared == Approx((1 + 0) / 2.0));
}
