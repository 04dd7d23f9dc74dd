// Layers that normalise against PyTorch's float64: outputs and the input's gradient.
#include <plexus/plexus.hpp>

#include "layer_cases.hpp"

namespace px = plexus;

namespace {

// So large that an α of 10⁻⁴ shows.
std::vector<float> large_values(std::size_t size) { return golden::between(1, 64, size); }

}  // namespace

TEST_CASE("Local response normalisation is PyTorch's", "[golden]") {
  using namespace px;
  const golden::layer_cases cases("normalizations", "local_response_norm", large_values);
  cases.check<image<7, 3, 4>, local_response_norm<5>>("pytorch");
  cases.check<image<8, 4, 3>, local_response_norm<5, lrn{.alpha = 5e-4f, .k = 2}>>("alexnet");
  cases.check<image<3, 2, 3>, local_response_norm<1, lrn{.alpha = 1e-3f, .beta = 0.5f}>>("size_1");
  cases.check<image<6, 3, 3>, local_response_norm<2, lrn{.alpha = 1e-2f, .beta = 1.25f, .k = 0.5f}>>(
      "size_2");
  cases.check<image<6, 5, 1>, local_response_norm<4, lrn{.alpha = 1e-3f, .k = 1.5f}>>("size_4");
  cases.check<image<5, 1, 1>, local_response_norm<3, lrn{.alpha = 1e-3f, .beta = 1, .k = 4}>>("size_3");
  cases.check<image<3, 3, 4>, local_response_norm<9, lrn{.alpha = 1e-3f}>>("beyond_channels");
  cases.check<image<3, 3, 2>, local_response_norm<4, lrn{.alpha = 1e-3f}>>("even_beyond_channels");
  cases.check<image<1, 2, 2>, local_response_norm<5, lrn{.alpha = 1e-3f}>>("one_channel");
  cases.check<image<67, 5, 7>, local_response_norm<5, lrn{.alpha = 1e-3f, .k = 2}>>(
      "many_channels_and_pixels");
  cases.check_complete();
}
