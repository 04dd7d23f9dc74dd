// Slide 17, "Special-purpose hardware": tensor cores, D = A·B + C on 4×4 tiles, through WMMA.
#include "slide.hpp"

#include <plexus/core/buffer.hpp>
#include <plexus/core/launch.hpp>
#include <plexus/core/stream.hpp>

#include <vector>

namespace px = plexus;
using namespace px::cuda_names;

namespace {

constexpr int side = 16;  // of a WMMA tile
constexpr int tile = 4;   // of a tensor core's
constexpr int elements = side * side;

// One warp: D (16, 16) = A (16, 16) · B (16, 16) + C (16, 16), A and B in FP16, C and D in FP32.
__global__ void multiply_add_tile(const __half* a, const __half* b, const float* c, float* d) {
  namespace wmma = nvcuda::wmma;
  wmma::fragment<wmma::matrix_a, side, side, side, __half, wmma::row_major> left;
  wmma::fragment<wmma::matrix_b, side, side, side, __half, wmma::row_major> right;
  wmma::fragment<wmma::accumulator, side, side, side, float> sums;
  wmma::load_matrix_sync(left, a, side);
  wmma::load_matrix_sync(right, b, side);
  wmma::load_matrix_sync(sums, c, side, wmma::mem_row_major);
  wmma::mma_sync(sums, left, right, sums);
  wmma::store_matrix_sync(d, sums, side, wmma::mem_row_major);
}

// Between -1 and 1, of more digits than FP16 has.
float value(int matrix, int i) { return std::sin(static_cast<float>(1 + i + elements * matrix)); }

template <class T>
std::vector<T> matrix(int number) {
  std::vector<T> result;
  for (int i = 0; i < elements; ++i) result.push_back(static_cast<T>(value(number, i)));
  return result;
}

}  // namespace

int main() {
  lecture::slide slide("Slide 17: Special-purpose hardware");
  const std::vector<__half> a = matrix<__half>(0), b = matrix<__half>(1);
  const std::vector<float> c = matrix<float>(2);

  const px::stream stream;
  const auto on_device_a = px::to_device(stream.get(), a), on_device_b = px::to_device(stream.get(), b);
  const auto on_device_c = px::to_device(stream.get(), c);
  const px::buffer<float> on_device_d(elements);
  px::launch("multiplying a tile", stream.get(), {dim3(1), dim3(32)}, multiply_add_tile, on_device_a.data(),
             on_device_b.data(), on_device_c.data(), on_device_d.data());
  const std::vector<float> d = px::to_host(stream.get(), on_device_d.view());

  // The definition, 4×4 tile by 4×4 tile, in double: what 64 steps of a tensor core do.
  std::vector<double> expected(c.begin(), c.end());
  int steps = 0, products = 0;
  for (int row = 0; row < side; row += tile) {
    for (int col = 0; col < side; col += tile) {
      for (int depth = 0; depth < side; depth += tile, ++steps) {
        for (int i = row; i < row + tile; ++i) {
          for (int j = col; j < col + tile; ++j) {
            for (int k = depth; k < depth + tile; ++k, ++products) {
              expected[static_cast<std::size_t>(i * side + j)] +=
                  static_cast<double>(static_cast<float>(a[static_cast<std::size_t>(i * side + k)])) *
                  static_cast<double>(static_cast<float>(b[static_cast<std::size_t>(k * side + j)]));
            }
          }
        }
      }
    }
  }

  slide.say("D = A*B + C on 16 x 16, by WMMA: A and B in FP16, the products added up in FP32.");
  slide.columns("in double");
  double worst = 0;
  for (std::size_t i = 0; i < d.size(); ++i) {
    const double error = std::abs(static_cast<double>(d[i]) - expected[i]);
    worst = error <= worst ? worst : error;  // a NaN counts
    if (i % 85 == 0)
      slide.exact("D(" + std::to_string(i / side) + ", " + std::to_string(i % side) + ")", expected[i],
                  static_cast<double>(d[i]), 1e-5);
  }
  slide.exact("worst error of all 256", 0, worst, 1e-5);

  slide.say("What a tensor core does in a clock, and a multiprocessor with eight of them.");
  slide.columns();
  slide.exact("multiply-adds of a 4 x 4 step", 64, static_cast<double>(products) / steps);
  slide.exact("4 x 4 x 4 steps in 16 x 16 x 16", 64, steps);
  const double of_multiprocessor = 8.0 * products / steps;
  slide.exact("multiply-adds a clock, 8 tensor cores", 512, of_multiprocessor);
  slide.exact("clocks for 16 x 16 x 16", 8, products / of_multiprocessor);
  slide.exact("against 64 CUDA cores", 8, of_multiprocessor / 64);
  return slide.result();
}
