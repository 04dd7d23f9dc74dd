// Pictures of filters and feature maps, pixel by pixel.
#include <plexus/inspect/filters.hpp>
#include <plexus/plexus.hpp>

#include "support/catch.hpp"

namespace px = plexus;

namespace {

int grey_at(const px::picture& image, int x, int y) { return *image.pixel(x, y); }

template <class Network>
void set_weights(Network& net, std::size_t tensor, const std::vector<float>& values) {
  px::copy_to_device<float>(net.stream(), net.parameters()[tensor].values.data, values);
}

}  // namespace

TEST_CASE("Tiles of a grid lie where they belong", "[image_grid]") {
  // Three images of 1 × 2: two columns, the fourth tile stays white.
  const px::inspect::images all{1, {1, 2}, {0, 1, 1, 0, 2, 4}};
  const px::picture picture =
      px::inspect::draw_grid(all, px::inspect::shading::least_to_most, {.scale = 3, .gap = 2});
  CHECK(picture.width == 2 + 2 * (6 + 2));
  CHECK(picture.height == 2 + 2 * (3 + 2));
  CHECK(picture.channels == 1);
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) {
      const bool in_row = (y >= 2 && y < 5) || (y >= 7 && y < 10);
      const bool in_column = (x >= 2 && x < 8) || (x >= 10 && x < 16);
      const int tile = (y >= 7 ? 2 : 0) + (x >= 10 ? 1 : 0);
      const bool is_second = (x - 2) % 8 >= 3;
      const int wanted = !in_row || !in_column || tile == 3 ? 255 : (tile == 1) != is_second ? 255 : 0;
      CHECK(grey_at(picture, x, y) == wanted);
    }
  }
}

TEST_CASE("Shades of values", "[image_grid]") {
  const px::inspect::images all{1, {1, 3}, {-1, 0, 2}};
  const px::inspect::grid_options bare{.scale = 1, .gap = 0};
  const auto around = px::inspect::draw_grid(all, px::inspect::shading::around_zero, bare);
  CHECK(around.pixels == std::vector<std::uint8_t>{64, 128, 255});
  const auto least = px::inspect::draw_grid(all, px::inspect::shading::least_to_most, bare);
  CHECK(least.pixels == std::vector<std::uint8_t>{0, 85, 255});
  const auto flat = px::inspect::draw_grid({1, {1, 2}, {3, 3}}, px::inspect::shading::least_to_most, bare);
  CHECK(flat.pixels == std::vector<std::uint8_t>{128, 128});
}

TEST_CASE("Images of three channels are in colour, others a tile a channel", "[image_grid]") {
  const px::inspect::grid_options bare{.scale = 1, .gap = 0};
  const auto colored =
      px::inspect::draw_grid({3, {1, 2}, {0, 1, 2, 3, 4, 5}}, px::inspect::shading::least_to_most, bare);
  CHECK(colored.channels == 3);
  CHECK(colored.pixels == std::vector<std::uint8_t>{0, 102, 204, 51, 153, 255});

  // Two images of two channels: a row each, both channels shaded alike.
  const auto grey =
      px::inspect::draw_grid({2, {1, 1}, {0, 1, 10, 5}}, px::inspect::shading::least_to_most, bare);
  CHECK(grey.width == 2);
  CHECK(grey.height == 2);
  CHECK(grey.pixels == std::vector<std::uint8_t>{0, 255, 255, 0});
}

TEST_CASE("Filters of convolutions", "[image_grid]") {
  px::network<px::image<2, 5, 5>, px::conv2d<2, px::extent2d{1, 2}>, px::dense<1>> net;
  set_weights(net, 0, {1, 2, 3, 4, -5, 6, 7, 8});
  const auto found = px::inspect::filter_weights(net.layer<0>());
  CHECK(found.channels == 2);
  CHECK(found.extent == px::extent2d(1, 2));
  CHECK(found.values == std::vector<float>{1, 2, 3, 4, -5, 6, 7, 8});
  const px::picture picture = px::inspect::filters(net.layer<0>(), {.scale = 1, .gap = 0});
  CHECK(picture.width == 4);  // a row for each filter
  CHECK(picture.height == 2);
  CHECK(grey_at(picture, 3, 0) == 255);
  CHECK(grey_at(picture, 0, 1) == 48);  // −5 of ±8
}

TEST_CASE("Filters that see three channels are in colour", "[image_grid]") {
  px::network<px::image<3, 1, 2>, px::conv2d<1, px::extent2d{1, 2}>> net;
  set_weights(net, 0, {8, -8, 0, 4, -4, 8});
  const px::picture picture = px::inspect::filters(net.layer<0>(), {.scale = 1, .gap = 0});
  CHECK(picture.width == 2);
  CHECK(picture.height == 1);
  CHECK(picture.pixels == std::vector<std::uint8_t>{255, 128, 64, 0, 191, 255});
}

TEST_CASE("Filters of a dense layer over images", "[image_grid]") {
  px::network<px::image<1, 2, 3>, px::dense<4>> net{px::seed{2}};
  const auto found = px::inspect::filter_weights(net.layer<0>());
  CHECK(found.count() == 4);
  CHECK(found.extent == px::extent2d(2, 3));
  CHECK(found.values == px::to_host(net.stream(), net.parameters()[0].values));
}

TEST_CASE("Feature maps of an image", "[image_grid]") {
  px::network<px::image<1, 2, 2>, px::conv2d<3, 1, px::relu, px::no_bias>, px::dense<1>> net;
  set_weights(net, 0, {1, 0.5f, -1});
  const std::vector<float> image{0, 1, 2, 4};
  const px::picture picture = px::inspect::feature_maps<0>(net, image, {.columns = 3, .scale = 1, .gap = 0});
  CHECK(picture.channels == 1);  // channels of a layer are no colours
  CHECK(picture.pixels == std::vector<std::uint8_t>{0, 64, 0, 32, 0, 0, 128, 255, 64, 128, 0, 0});
}
