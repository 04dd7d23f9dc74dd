// Dropout by threads and by warps; what is dropped, by which seed, layer and step, is in network/dropout.cpp.
#include "device_matrix.hpp"
#include "support/by_warps.hpp"
#include "support/catch.hpp"

#include <plexus/kernels/dropout.hpp>
#include <plexus/kernels/epilogue.hpp>

#include <cmath>

namespace {

using namespace plexus::kernel_test;

}  // namespace

TEST_CASE("dropout: the same values are dropped whatever group a row is shared by, the others scaled") {
  const plexus::stream on;
  generator random(1);
  const plexus::buffer<std::uint64_t> step = plexus::to_device(on.get(), std::vector<std::uint64_t>{3});
  for (const int cols : {1, 3, 4, 5, 31, 127, 128, 130, 1001}) {
    INFO(cols << " columns");
    const device_matrix x = device_matrix::random(random, 37, cols, {3, 1}, 2);  // none of them 0
    device_matrix by_threads(37, cols, {1, 2}), by_warps(37, cols, {2, 1});
    const auto drop_into = [&](const device_matrix& to) {
      return plexus::kernels::drop_out<float, plexus::store>{
          x.view(), {8, 1, step.data()}, 0x60000000u, 1.6f, {to.view()}};
    };
    plexus::for_each_row(on.get(), 37, drop_into(by_threads));
    support::by_warps(on.get(), 37, drop_into(by_warps));
    by_threads.download(on.get());
    by_warps.download(on.get());
    REQUIRE(bits(by_threads) == bits(by_warps));
    REQUIRE(by_threads.guards_intact());
    REQUIRE(by_warps.guards_intact());
    int dropped = 0;
    for (int i = 0; i < 37; ++i) {
      for (int j = 0; j < cols; ++j) {
        const float value = by_warps(i, j);
        dropped += value == 0;
        REQUIRE((value == 0 || value == 1.6f * x(i, j)));
      }
    }
    const double n = 37 * cols;  // 3/8 of them, as 0x60000000 of all words
    CHECK(std::abs(dropped - n * 0.375) < 5 * std::sqrt(n * 0.375 * 0.625));
  }
}
