// Networks of convolutions and pools: shapes, both ways to compute them, and the lecture's slides.
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"

#include <cmath>

namespace px = plexus;

namespace {

using lenet = px::network<px::image<1, 28, 28>, px::conv2d<6, 5, px::relu>, px::max_pool<2>,
                          px::conv2d<16, 5, px::relu>, px::max_pool<2>, px::dense<120, px::relu>,
                          px::dense<84, px::relu>, px::dense<10>>;

// Every option once, an activation that needs z, overlapping pools, and both means.
using everything =
    px::network<px::image<4, 11, 9>, px::conv2d<6, 3, px::softplus, px::same, px::groups<2>>,
                px::max_pool<3, px::stride<2>, px::padding<1>>,
                px::conv2d<8, px::extent2d{2, 3}, px::tanh, px::stride<2, 1>, px::padding<1, 2>,
                           px::dilation<1, 2>, px::no_bias>,
                px::average_pool<2, px::stride<1>>, px::conv2d<5, 1>, px::global_average_pool, px::dense<3>>;

std::vector<float> waves(std::size_t size) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = std::sin(static_cast<float>(i * i % 1013) * 0.37f);
  return values;
}

template <class Network>
std::vector<std::vector<float>> gradients_by(px::gemm_policy policy, int samples) {
  Network net{px::seed{3}, policy};
  const auto x = px::to_device(net.stream(), waves(static_cast<std::size_t>(samples * Network::input_size)));
  const auto y = px::to_device(net.stream(), waves(static_cast<std::size_t>(samples * Network::output_size)));
  px::buffer<float> dx(x.size());
  net.backward(px::matrix<const float>(x.data(), samples, Network::input_size),
               px::target_view{nullptr, y.data(), Network::output_size}, px::quadratic{},
               px::matrix(dx.data(), samples, Network::input_size));
  std::vector<std::vector<float>> all{px::to_host(net.stream(), dx.view())};
  for (const auto& gradient : net.gradients()) all.push_back(px::to_host(net.stream(), gradient.values));
  return all;
}

template <class Network>
void require_same_gradients(int samples) {
  const auto native = gradients_by<Network>(px::gemm_policy::native, samples);
  const auto other = gradients_by<Network>(px::default_gemm_policy, samples);
  REQUIRE(native.size() == other.size());
  for (std::size_t t = 0; t < native.size(); ++t) {
    float largest = 0, worst = 0;
    for (std::size_t i = 0; i < native[t].size(); ++i) {
      largest = std::max(largest, std::abs(native[t][i]));
      worst = std::max(worst, std::abs(native[t][i] - other[t][i]));
    }
    INFO("tensor " << t);
    CHECK(largest > 0);
    CHECK(worst <= 1e-5f * largest);
  }
}

}  // namespace

TEST_CASE("shapes and names of a convolutional network are PyTorch's", "[convolution]") {
  STATIC_REQUIRE(std::is_same_v<lenet::layer_type<0>::output_shape, px::shape<6, 24, 24>>);
  STATIC_REQUIRE(std::is_same_v<lenet::layer_type<3>::output_shape, px::shape<16, 4, 4>>);
  STATIC_REQUIRE(std::is_same_v<everything::layer_type<0>::output_shape, px::shape<6, 11, 9>>);
  STATIC_REQUIRE(std::is_same_v<everything::layer_type<1>::output_shape, px::shape<6, 6, 5>>);
  STATIC_REQUIRE(std::is_same_v<everything::layer_type<2>::output_shape, px::shape<8, 4, 5>>);
  STATIC_REQUIRE(std::is_same_v<everything::layer_type<3>::output_shape, px::shape<8, 3, 4>>);
  STATIC_REQUIRE(std::is_same_v<everything::layer_type<5>::output_shape, px::shape<5, 1, 1>>);
  STATIC_REQUIRE(lenet::parameter_count == 44426);
  lenet net;
  std::vector<std::string> names;
  for (const auto& parameter : net.parameters()) names.push_back(parameter.name);
  CHECK(names == std::vector<std::string>{"0.weight", "0.bias", "3.weight", "3.bias", "7.weight", "7.bias",
                                          "9.weight", "9.bias", "11.weight", "11.bias"});
  CHECK(net.parameters()[2].shape == std::vector<std::size_t>{16, 6, 5, 5});

  // nn.LocalResponseNorm and nn.Flatten count, too.
  px::network<px::image<2, 12, 12>, px::conv2d<6, 3, px::relu>, px::local_response_norm<5>, px::max_pool<2>,
              px::conv2d<6, 3, px::relu, px::groups<2>>, px::dense<2>>
      normalised;
  names.clear();
  for (const auto& parameter : normalised.parameters()) names.push_back(parameter.name);
  CHECK(names == std::vector<std::string>{"0.weight", "0.bias", "4.weight", "4.bias", "7.weight", "7.bias"});
}

TEST_CASE("convolutions by kernels and by the default way agree", "[convolution]") {
  require_same_gradients<everything>(3);
}

TEST_CASE("convolutions of batches larger than a piece agree", "[convolution][slow]") {
  require_same_gradients<everything>(37);
  require_same_gradients<lenet>(11);
}

// Slide 11: O6 = A1·I1 + A2·I2 + A3·I3 + A4·I5 + A5·I6 + A6·I7 + A7·I9 + A8·I10 + A9·I11, of a 4 × 4 input
// numbered row by row. Each of the nine products alone: with one weight and one input at a time.
TEST_CASE("output 6 of the lecture's convolution has the slide's nine products", "[convolution]") {
  px::network<px::image<1, 4, 4>, px::conv2d<1, 3, px::identity, px::same, px::no_bias>> net;
  const int inputs[] = {1, 2, 3, 5, 6, 7, 9, 10, 11};
  for (std::size_t a = 0; a < 9; ++a) {
    std::vector<float> filter(9);
    filter[a] = 3;
    support::set_parameter(net, 0, filter);
    for (int i = 1; i <= 16; ++i) {
      std::vector<float> image(16);
      image[static_cast<std::size_t>(i - 1)] = 5;
      CHECK(net.predict(image)[5] == (inputs[a] == i ? 15.0f : 0.0f));
    }
  }
}

// Slide 12.
TEST_CASE("max pooling gives the slide's numbers, and its gradient goes to the maximum", "[convolution]") {
  using pool = px::network<px::image<1, 2, 4>, px::max_pool<2>>;
  pool net;
  const std::vector<float> image{1, 0, 2, 2, 1, 3, 0, 1};
  CHECK(net.predict(image) == std::array<float, 2>{3, 2});
  const auto x = px::to_device(net.stream(), image),
             y = px::to_device(net.stream(), std::vector<float>{1, 4});
  px::buffer<float> dx(8);
  net.backward(px::matrix<const float>(x.data(), 1, 8), px::target_view{nullptr, y.data(), 2},
               px::quadratic{}, px::matrix(dx.data(), 1, 8));
  // a − y = (2, −2); of the two equal maxima the first one counts.
  CHECK(px::to_host(net.stream(), dx.view()) == std::vector<float>{0, 0, -2, 0, 0, 2, 0, 0});
}

TEST_CASE("max pooling of a high image gives every row its own maxima", "[convolution]") {
  px::network<px::image<1, 80, 16>, px::max_pool<2>> net;
  const auto growing = [](int i) { return static_cast<float>(i); };
  std::vector<float> image;
  for (int i = 0; i < 80 * 16; ++i) image.push_back(growing(i));
  const auto a = net.predict(image);
  for (int y = 0; y < 40; ++y) {
    for (int x = 0; x < 8; ++x)
      CHECK(a[static_cast<std::size_t>(y * 8 + x)] == growing((2 * y + 1) * 16 + 2 * x + 1));
  }

  // Its gradient goes to the last pixel of each window: what training keeps is of the right row, too.
  const auto x_there = px::to_device(net.stream(), image);
  const auto dz_there =
      px::to_device(net.stream(), std::vector<float>(image.begin() + 1, image.begin() + 321));
  const px::buffer<float> dx_there(image.size());
  net.input_gradient(px::matrix<const float>(x_there.data(), 1, 80 * 16),
                     px::matrix<const float>(dz_there.data(), 1, 320),
                     px::matrix(dx_there.data(), 1, 80 * 16));
  const auto dx = px::to_host(net.stream(), dx_there.view());
  for (int i = 0; i < 80 * 16; ++i) {
    const bool is_last = i / 16 % 2 == 1 && i % 2 == 1;
    CHECK(dx[static_cast<std::size_t>(i)] == (is_last ? growing(i / 32 * 8 + i % 16 / 2 + 1) : 0.0f));
  }
}

// A maximum numbers its taps by a byte; the mean has no such limit.
TEST_CASE("mean pooling takes windows of more than 256 pixels", "[convolution]") {
  px::network<px::image<2, 20, 18>, px::average_pool<17, px::stride<1>>> net;
  constexpr int image = 20 * 18, height = 4, width = 2;
  const auto x = waves(2 * image), dz = waves(2 * height * width);
  std::vector<double> means(2 * height * width), dx(2 * image);
  for (int c = 0; c < 2; ++c) {
    for (int y = 0; y < height; ++y) {
      for (int col = 0; col < width; ++col) {
        const auto output = static_cast<std::size_t>((c * height + y) * width + col);
        for (int tap = 0; tap < 17 * 17; ++tap) {
          const auto at = static_cast<std::size_t>(c * image + (y + tap / 17) * 18 + col + tap % 17);
          means[output] += static_cast<double>(x[at]) / (17 * 17);
          dx[at] += static_cast<double>(dz[output]) / (17 * 17);
        }
      }
    }
  }
  const auto a = net.predict(x);
  for (std::size_t i = 0; i < means.size(); ++i)
    CHECK(static_cast<double>(a[i]) == Approx(means[i]).margin(1e-6));

  const auto x_there = px::to_device(net.stream(), x), dz_there = px::to_device(net.stream(), dz);
  const px::buffer<float> dx_there(x.size());
  net.input_gradient(px::matrix<const float>(x_there.data(), 1, 2 * image),
                     px::matrix<const float>(dz_there.data(), 1, 2 * height * width),
                     px::matrix(dx_there.data(), 1, 2 * image));
  const auto computed = px::to_host(net.stream(), dx_there.view());
  for (std::size_t i = 0; i < dx.size(); ++i)
    CHECK(static_cast<double>(computed[i]) == Approx(dx[i]).margin(1e-6));
}

TEST_CASE("max pooling passes NaN on", "[convolution]") {
  px::network<px::image<1, 2, 2>, px::max_pool<2>> net;
  for (std::size_t place = 0; place < 4; ++place) {
    std::vector<float> image{1, 2, 3, 4};
    image[place] = NAN;
    CHECK(std::isnan(net.predict(image)[0]));
  }
}

TEST_CASE("a convolutional network learns in every precision", "[convolution][slow]") {
  const auto learn = []<class Precision>(Precision) {
    px::network<Precision, px::image<1, 8, 8>, px::conv2d<4, 3, px::relu>, px::max_pool<2>, px::dense<2>> net{
        px::seed{5}};
    // Horizontal and vertical stripes.
    std::vector<float> x;
    std::vector<int> labels;
    for (int i = 0; i < 16; ++i) {
      for (int y = 0; y < 8; ++y) {
        for (int col = 0; col < 8; ++col)
          x.push_back(static_cast<float>(((i % 2 == 0 ? y : col) + i / 2) % 2));
      }
      labels.push_back(i % 2);
    }
    for (int step = 0; step < 60; ++step)
      net.step(std::span<const float>(x), std::span<const int>(labels), px::softmax_cross_entropy{},
               px::sgd{.rate = 0.1f});
    int right = 0;
    const auto y = net.predict(x, 16);
    for (std::size_t i = 0; i < 16; ++i) right += (y[2 * i + 1] > y[2 * i]) == (labels[i] == 1);
    CHECK(right == 16);
  };
  learn(px::fp32{});
  learn(px::tf32{});
  learn(px::mixed<px::fp16>{});
  learn(px::mixed<px::bf16>{});
}
