// A trained network inside a kernel of the user's own. It learns the distance to a crescent; the
// kernel then evaluates it and its gradient at every cell of a grid, one thread a cell, with nothing in
// device memory but the weights. The picture shows the field as the network knows it, lit along its gradient.
//
//   function_on_a_grid [picture.png]
#include <plexus/io/image.hpp>
#include <plexus/plexus.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <vector>

namespace px = plexus;
using namespace plexus::cuda_names;  // threadIdx and its kin, where the CPU is the device

namespace {

using network = px::network<px::input<2>, px::dense<16, px::tanh>, px::dense<16, px::tanh>,
                            px::dense<16, px::tanh>, px::dense<1>>;

// ---- What is learnt: the distance to the outline of a crescent in [−1, 1]², negative inside

struct point {
  float x, y;
};

float distance_to_crescent(point p) {
  const float to_disc = std::hypot(p.x, p.y) - 0.7f;
  const float to_bite = std::hypot(p.x - 0.35f, p.y - 0.25f) - 0.55f;
  return std::max(to_disc, -to_bite);
}

px::dataset random_points(int count) {
  px::dataset points{.features = 2, .outputs = 1};
  const px::random_stream xs{1, 0}, ys{1, 1};
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(count); ++i) {
    const point p{2 * xs.uniform(i) - 1, 2 * ys.uniform(i) - 1};
    points.inputs.insert(points.inputs.end(), {p.x, p.y});
    points.targets.push_back(distance_to_crescent(p));
  }
  return points;
}

// ---- The grid

constexpr int size = 256;  // cells a side

// The middle of a cell.
PLEXUS_FN point place_of(int cell) {
  constexpr float width = 2.0f / size;
  return {(static_cast<float>(cell % size) + 0.5f) * width - 1,
          1 - (static_cast<float>(cell / size) + 0.5f) * width};
}

struct sample {
  float distance;
  point slope;
};

template <class Function>
__global__ void sample_field(Function f, sample* field) {
  const int cell = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (cell >= size * size) return;
  const point p = place_of(cell);
  const typename Function::input x{{p.x, p.y}};
  float distance = 0;
  const auto keep_and_differentiate = [&](const auto& y) {
    distance = y[0];
    return typename Function::output{{1}};
  };
  const auto slope = f.gradient(x, keep_and_differentiate, px::no_weight_gradient{});
  field[cell] = {distance, {slope[0], slope[1]}};
}

// ---- What is printed and drawn

double mean_error(const std::vector<sample>& field) {
  double sum = 0;
  for (int cell = 0; cell < size * size; ++cell)
    sum += std::abs(field[static_cast<std::size_t>(cell)].distance - distance_to_crescent(place_of(cell)));
  return sum / (size * size);
}

double largest_difference(const std::vector<sample>& field, const std::vector<float>& distances) {
  double largest = 0;
  for (std::size_t cell = 0; cell < field.size(); ++cell)
    largest = std::max(largest, static_cast<double>(std::abs(field[cell].distance - distances[cell])));
  return largest;
}

// The crescent is gold, what is around it blue with a line every 0.1; the light comes from the upper left.
px::picture draw(const std::vector<sample>& field) {
  px::picture image(size, size, 3);
  for (int cell = 0; cell < size * size; ++cell) {
    const auto [distance, slope] = field[static_cast<std::size_t>(cell)];
    const float light = 0.75f + 0.17f * (slope.y - slope.x) / (std::hypot(slope.x, slope.y) + 1e-6f);
    const float line = std::abs(std::remainder(distance, 0.1f)) < 0.006f ? 0.6f : 1;
    const float shade = 255 * light * (std::abs(distance) < 0.012f ? 0.2f : distance > 0 ? line : 1);
    const float gold[] = {1, 0.8f, 0.25f}, blue[] = {0.45f, 0.65f, 0.95f};
    for (int channel = 0; channel < 3; ++channel)
      image.pixel(cell % size, cell / size)[channel] =
          static_cast<std::uint8_t>(shade * (distance < 0 ? gold : blue)[channel]);
  }
  return image;
}

// Milliseconds that `work` takes once it is warm.
template <class Work>
double milliseconds(const Work& work) {
  using clock = std::chrono::steady_clock;
  work();
  const clock::time_point begin = clock::now();
  work();
  return std::chrono::duration<double, std::milli>(clock::now() - begin).count();
}

bool run(const char* picture) {
  network net{px::seed{1}};
  const px::dataset points = random_points(20'000);
  for (const float rate : {0.1f, 0.01f})
    px::fit(net, points, px::quadratic{}, px::sgd{.rate = rate, .momentum = 0.9f},
            {.epochs = 20, .batch = 32});

  const px::buffer<sample> device_field(size * size);
  const auto f = net.function();
  std::vector<sample> field;
  const double by_kernel = milliseconds([&] {
    px::launch("sampling the field", net.stream(), {dim3(size * size / 128), dim3(128)},
               sample_field<decltype(net.function())>, f, device_field.data());
    field = px::to_host(net.stream(), device_field.view());
  });

  std::vector<float> places, distances;
  for (int cell = 0; cell < size * size; ++cell) {
    const point p = place_of(cell);
    places.insert(places.end(), {p.x, p.y});
  }
  const double by_layers = milliseconds([&] { distances = net.predict(places, size * size); });

  const double difference = largest_difference(field, distances), error = mean_error(field);
  std::printf("%d × %d cells: %.1f ms by the kernel, gradients included; %.1f ms layer by layer, without\n",
              size, size, by_kernel, by_layers);
  std::printf("largest difference between the two: %.1e\n", difference);
  std::printf("mean error of the distance: %.4f\n", error);
  px::save_png(draw(field), picture);
  std::printf("picture: %s\n", picture);
  return difference < 1e-5 && error < 0.02;
}

}  // namespace

int main(int argc, char** argv) try {
  return run(argc > 1 ? argv[1] : "function_on_a_grid.png") ? 0 : 1;
} catch (const px::error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
