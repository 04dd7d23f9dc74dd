// Slide 12, "Max-pooling": 2×2 with a stride of 2; the rows (1 0 2 2) and (1 3 0 1) give (3 2). Backward, the
// gradient goes to the maximum.
#include "slide.hpp"

#include <plexus/plexus.hpp>

#include <array>
#include <string>
#include <vector>

namespace px = plexus;

int main() {
  lecture::slide slide("Slide 12: Max-pooling");
  px::network<px::image<1, 2, 4>, px::max_pool<2>> net;
  const std::vector<float> image{1, 0, 2, 2, 1, 3, 0, 1};

  slide.say("Forward, of the rows (1 0 2 2) and (1 3 0 1):");
  slide.columns();
  const auto largest = net.predict(image);
  slide.exact("maximum of (1 0 / 1 3)", 3, static_cast<double>(largest[0]));
  slide.exact("maximum of (2 2 / 0 1)", 2, static_cast<double>(largest[1]));

  slide.say("Backward, from gradients of 5 and 7. Of equal maxima the first one receives it:");
  slide.columns("expected");
  const auto x = px::to_device(net.stream(), image),
             y = px::to_device(net.stream(), std::vector<float>{3 - 5, 2 - 7});
  const px::buffer<float> dx(8);
  net.backward(px::matrix<const float>(x.data(), 1, 8), {nullptr, y.data(), 2}, px::quadratic{},
               px::matrix(dx.data(), 1, 8));
  const auto gradient = px::to_host(net.stream(), dx.view());
  constexpr std::array<double, 8> expected{0, 0, 7, 0, 0, 5, 0, 0};
  for (std::size_t i = 0; i < 8; ++i) {
    slide.exact("row " + std::to_string(i / 4 + 1) + ", column " + std::to_string(i % 4 + 1), expected[i],
                static_cast<double>(gradient[i]));
  }
  return slide.result();
}
