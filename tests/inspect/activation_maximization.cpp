// Images that excite a unit: what a linear unit's must be, what the priors do to them, and the choice of
// units.
#include <plexus/inspect/activation_maximization.hpp>
#include <plexus/plexus.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace px = plexus;
using px::inspect::maximize_activation;

namespace {

const px::inspect::image_prior none{.decay = 0, .blur = 0};

using linear = px::network<px::image<1, 4, 4>, px::dense<3>>;

std::vector<float> weights_of(const linear& net, int unit) {
  const auto all = px::to_host(net.stream(), px::view<const float>{net.layer<0>().parameters, 48});
  return {all.begin() + unit * 16, all.begin() + (unit + 1) * 16};
}

int zeros_of(const std::vector<float>& image) {
  return static_cast<int>(std::count(image.begin(), image.end(), 0.0f));
}

double roughness(const std::vector<float>& image) {
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < image.size(); ++i) {
    if (i % 4 != 3) sum += std::pow(static_cast<double>(image[i + 1] - image[i]), 2);
    squares += std::pow(static_cast<double>(image[i]), 2);
  }
  return sum / squares;
}

}  // namespace

TEST_CASE("A linear unit's image goes along its weights", "[activation_maximization]") {
  linear net{px::seed{3}};
  const auto w = weights_of(net, 1);
  double squares = 0;
  for (const float v : w) squares += static_cast<double>(v) * static_cast<double>(v);
  const double rms = std::sqrt(squares / 16);
  const auto found = maximize_activation<0>(
      net, px::inspect::unit{1},
      {.steps = 10, .rate = 0.1f, .prior = none, .starts = 2, .start_mean = 0.5f, .start_deviation = 0});
  REQUIRE(found.size() == 2);
  double activation = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    const double wanted = 0.5 + 10 * 0.1 * static_cast<double>(w[i]) / rms;
    CHECK(static_cast<double>(found[0].values[i]) == Approx(wanted).margin(1e-5));
    activation += wanted * static_cast<double>(w[i]);
  }
  CHECK(static_cast<double>(found[0].activation) == Approx(activation).margin(1e-4));
}

TEST_CASE("Starts differ, the best comes first, and the seed decides", "[activation_maximization]") {
  linear net{px::seed{3}};
  const px::inspect::maximization how{.steps = 3, .prior = none, .starts = 5, .start_deviation = 1};
  const auto found = maximize_activation<0>(net, px::inspect::unit{0}, how);
  REQUIRE(found.size() == 5);
  for (std::size_t i = 1; i < 5; ++i) CHECK(found[i - 1].activation > found[i].activation);
  for (const auto& image : found) CHECK(image.activation == Approx(net.predict(image.values)[0]));
  const auto again = maximize_activation<0>(net, px::inspect::unit{0}, how);
  CHECK(again[4].values == found[4].values);
  auto other = how;
  other.seed = px::seed{1};
  CHECK(maximize_activation<0>(net, px::inspect::unit{0}, other)[0].values != found[0].values);
}

TEST_CASE("Each of the priors does its own", "[activation_maximization]") {
  linear net{px::seed{3}};
  const auto image = [&](const px::inspect::image_prior& prior, int steps = 20) {
    return maximize_activation<0>(net, px::inspect::unit{2},
                                  {.steps = steps, .prior = prior, .starts = 1})[0];
  };
  const auto bare = image(none);
  CHECK(zeros_of(bare.values) == 0);
  auto decayed = none, blurred = none, small = none, idle = none;
  decayed.decay = 0.5f;
  blurred.blur = 1;
  small.clip_norm = 50;
  idle.clip_contribution = 75;
  CHECK(image(decayed).activation < 0.5f * bare.activation);
  CHECK(roughness(image(blurred).values) < 0.5 * roughness(bare.values));
  CHECK(image(blurred, 3).values == image(none, 3).values);  // a blur comes after every fourth step
  CHECK(image(blurred, 4).values != image(none, 4).values);
  CHECK(zeros_of(image(small).values) == 8);
  CHECK(zeros_of(image(idle).values) == 12);
}

TEST_CASE("Images stay in the range they are given", "[activation_maximization]") {
  linear net{px::seed{3}};
  const auto found = maximize_activation<0>(net, px::inspect::unit{0},
                                            {.steps = 100,
                                             .rate = 5,
                                             .prior = none,
                                             .lowest = -0.25f,
                                             .highest = 1,
                                             .starts = 1,
                                             .start_deviation = 3});
  const auto w = weights_of(net, 0);
  for (std::size_t i = 0; i < 16; ++i) CHECK(found[0].values[i] == (w[i] > 0 ? 1.0f : -0.25f));
  const auto start = maximize_activation<0>(
      net, px::inspect::unit{0}, {.steps = 0, .lowest = 0, .highest = 1, .starts = 1, .start_deviation = 3});
  CHECK(*std::min_element(start[0].values.begin(), start[0].values.end()) == 0.0f);
  CHECK(*std::max_element(start[0].values.begin(), start[0].values.end()) == 1.0f);
}

TEST_CASE("Channels and positions of a convolution", "[activation_maximization]") {
  using network = px::network<px::image<1, 6, 5>, px::conv2d<2, 3, px::relu>, px::dense<2>>;
  network net{px::seed{6}};
  px::inspect::maximization how{.steps = 20, .prior = none, .starts = 2};
  const auto of_channel = maximize_activation<0>(net, px::inspect::channel{1}, how)[0];
  const auto maps = net.activations<0>(of_channel.values);
  double mean = 0;
  for (std::size_t i = 12; i < 24; ++i) mean += static_cast<double>(maps[i]) / 12;
  CHECK(mean > 0.1);
  CHECK(static_cast<double>(of_channel.activation) == Approx(mean));

  // Only the nine pixels under the position's window change from the start.
  const auto of_position = maximize_activation<0>(net, px::inspect::position{1, 2, 1}, how)[0];
  CHECK(of_position.activation == Approx(net.activations<0>(of_position.values)[12 + 2 * 3 + 1]));
  auto no_steps = how;
  no_steps.steps = 0;
  no_steps.starts = how.starts = 1;
  const auto start = maximize_activation<0>(net, px::inspect::position{1, 2, 1}, no_steps)[0];
  const auto moved = maximize_activation<0>(net, px::inspect::position{1, 2, 1}, how)[0];
  for (int y = 0; y < 6; ++y) {
    for (int x = 0; x < 5; ++x) {
      const bool is_under = y >= 2 && y < 5 && x >= 1 && x < 4;
      const auto at = static_cast<std::size_t>(y * 5 + x);
      CHECK((moved.values[at] != start.values[at]) == is_under);
    }
  }
}

TEST_CASE("A rectifier that is off is climbed as well", "[activation_maximization]") {
  px::network<px::input<1>, px::dense<1, px::relu>> net;
  px::copy_to_device<float>(net.stream(), net.parameters()[0].values.data, std::vector<float>{1});
  const auto found = maximize_activation<0>(
      net, px::inspect::unit{0},
      {.steps = 20, .rate = 0.1f, .prior = none, .starts = 1, .start_mean = -1, .start_deviation = 0});
  CHECK(found[0].activation == Approx(1).margin(1e-4));
}

TEST_CASE("Inputs that are no images are not blurred", "[activation_maximization]") {
  px::network<px::input<16>, px::dense<1>> net{px::seed{3}};
  const auto with_blur = [&](float blur) {
    return maximize_activation<0>(net, px::inspect::unit{0},
                                  {.steps = 8, .prior = {.decay = 0, .blur = blur}, .starts = 1})[0]
        .values;
  };
  CHECK(with_blur(1) == with_blur(0));
}

TEST_CASE("Both clippings act on one image", "[activation_maximization]") {
  linear net{px::seed{3}};
  auto both = none;
  both.clip_norm = both.clip_contribution = 50;
  const auto image =
      maximize_activation<0>(net, px::inspect::unit{2}, {.steps = 1, .prior = both, .starts = 1})[0];
  CHECK(zeros_of(image.values) == 12);  // half of 16, and half of those that are left
}

TEST_CASE("A channel of images in colour is climbed in 16 bits as in 32", "[activation_maximization]") {
  using layers = px::conv2d<2, 3, px::relu>;
  px::network<px::image<3, 64, 64>, layers, px::dense<2>> single{px::seed{6}};
  px::network<px::mixed<px::fp16>, px::image<3, 64, 64>, layers, px::dense<2>> halved{px::seed{6}};
  const px::inspect::maximization how{.steps = 10, .prior = none, .starts = 1};
  const auto exact = maximize_activation<0>(single, px::inspect::channel{1}, how)[0];
  const auto rounded = maximize_activation<0>(halved, px::inspect::channel{1}, how)[0];
  CHECK(exact.activation > 0.1f);
  CHECK(rounded.activation == Approx(exact.activation).epsilon(0.01));
}

TEST_CASE("A network that is not finite says so", "[activation_maximization]") {
  px::network<px::input<2>, px::dense<2, px::relu>> net{px::seed{1}};
  px::copy_to_device<float>(net.stream(), net.parameters()[0].values.data,
                            std::vector<float>(4, std::numeric_limits<float>::quiet_NaN()));
  CHECK_THROWS_AS(maximize_activation<0>(net, px::inspect::unit{0}, {.lowest = -1, .highest = 1}), px::error);
}
