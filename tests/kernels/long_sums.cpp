// Long sums by few blocks: rows by whole blocks, vectors' products and sums down columns in slices, and the
// choice of tiles and slices.
#include "device_matrix.hpp"
#include "support/catch.hpp"

#include <plexus/linalg/gemm.hpp>

#include <cmath>

namespace {

using namespace plexus::kernel_test;
using plexus::gemm_shape, plexus::gemm_tile;
namespace kernels = plexus::kernels;

// out(row, 0) = Σ x, out(row, 1) = Σ x², by two sums of one group.
struct two_sums {
  plexus::matrix_view<const float> x;
  plexus::matrix_view<float> out;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    float sum = 0, squares = 0;
    for (int i = group.rank(); i < x.cols; i += group.size()) {
      sum += x(row, i);
      squares += x(row, i) * x(row, i);
    }
    sum = group.sum(sum);
    squares = group.sum(squares);
    if (group.rank() == 0) out(row, 0) = sum;
    if (group.rank() == group.size() - 1) out(row, 1) = squares;
  }
};

bool close(float value, double expected, int count) {
  return std::abs(static_cast<double>(value) - expected) <=
         1e-6 * std::sqrt(count) * std::max(1.0, std::abs(expected));
}

}  // namespace

TEST_CASE("for_each_row_by_block: every thread gets a block's sums, one after the other") {
  const plexus::stream stream;
  generator random(3);
  const device_matrix x = device_matrix::random(random, 3, 1000, {1, 1});
  device_matrix out(3, 2, {1, 0});
  plexus::for_each_row_by_block(stream.get(), 3, two_sums{x.view(), out.view()});
  out.download(stream.get());
  for (int row = 0; row < 3; ++row) {
    double sum = 0, squares = 0;
    for (int i = 0; i < x.cols(); ++i) {
      const auto value = static_cast<double>(x(row, i));
      sum += value;
      squares += value * value;
    }
    CHECK(close(out(row, 0), sum, x.cols()));
    CHECK(close(out(row, 1), squares, x.cols()));
  }
  REQUIRE(out.guards_intact());
}

TEST_CASE("gemv and combine_rows: slices cover the sum once, empty ones with zeros") {
  const plexus::stream stream;
  generator random(4);
  for (const int slices : {1, 2, 3, 7}) {
    for (const int depth : {1, 20, 100, 333, 1200}) {
      INFO(slices << " slices of " << depth);
      const device_matrix x = device_matrix::random(random, 1, depth, {3, 1});
      const device_matrix w = device_matrix::random(random, 5, depth, {3, 0});
      const device_matrix columns = device_matrix::random(random, depth, 37, {1, 1});
      device_matrix by_rows(slices, 5, {2, 0}), by_columns(slices, 37, {2, 0});
      kernels::gemv(stream.get(), x.view(), w.view(), plexus::store{by_rows.view()}, slices);
      kernels::combine_rows(stream.get(), columns.view(), kernels::as_vector(x.view()),
                            plexus::store{by_columns.view()}, slices);
      by_rows.download(stream.get());
      by_columns.download(stream.get());
      const auto require_sums = [&](const device_matrix& parts, auto element) {
        for (int j = 0; j < parts.cols(); ++j) {
          double sum = 0, expected = 0;
          for (int slice = 0; slice < slices; ++slice) sum += static_cast<double>(parts(slice, j));
          for (int k = 0; k < depth; ++k)
            expected += static_cast<double>(x(0, k)) * static_cast<double>(element(k, j));
          REQUIRE(close(static_cast<float>(sum), expected, depth));
        }
        REQUIRE(parts.guards_intact());
      };
      require_sums(by_rows, [&](int k, int j) { return w(j, k); });
      require_sums(by_columns, [&](int k, int j) { return columns(k, j); });
    }
  }
}

TEST_CASE("choose_gemm: tiles that fit the shape, and slices where there are few tiles and much to sum") {
  constexpr plexus::device_traits device{108, 80};
  constexpr std::size_t parts = std::size_t{2} << 20;
  const auto choose = [&](int m, int n, int k) {
    return plexus::choose_gemm(plexus::gemm_tiles, {m, n, k}, device, parts);
  };
  CHECK((choose(4096, 4096, 4096).tile == gemm_tile::wide ||
         choose(4096, 4096, 4096).tile == gemm_tile::large));
  CHECK(choose(4096, 4096, 4096).slices == 1);
  CHECK(choose(64, 64, 64).tile == gemm_tile::small);
  CHECK(choose(100000, 10, 300).tile == gemm_tile::tall);
  CHECK(choose(16, 100000, 300).tile == gemm_tile::flat);
  CHECK(choose(300, 784, 60000).slices > 1);
  CHECK(choose(32, 10'000'000, 300).tile == gemm_tile::wide);  // no other keeps within the limits of a grid
  for (const gemm_shape& shape :
       {gemm_shape{300, 784, 60000}, {10, 300, 60000}, {1, 1, 1 << 30}, {2000, 2000, 100}}) {
    const plexus::gemm_choice choice = plexus::choose_gemm(plexus::gemm_tiles, shape, device, parts);
    CHECK(static_cast<std::size_t>(choice.slices) * static_cast<std::size_t>(shape.m) *
              static_cast<std::size_t>(shape.n) <=
          std::max(parts, static_cast<std::size_t>(shape.m) * static_cast<std::size_t>(shape.n)));
  }
  const auto choose_tensor = [&](int m, int n, int k) {
    return plexus::choose_gemm(plexus::tensor_gemm_tiles, {m, n, k}, device, parts);
  };
  CHECK(choose_tensor(4096, 4096, 4096).tile == gemm_tile::large);
  CHECK(choose_tensor(300, 784, 64).tile == gemm_tile::medium);
  CHECK(choose_tensor(10, 300, 4096).slices > 1);
  CHECK(choose_tensor(16, 10'000'000, 300).slices == 1);
  CHECK(to_string(plexus::gemm_choice{gemm_tile::tall, 1}) == "128 x 32");
  CHECK(to_string(plexus::gemm_choice{gemm_tile::large, 8}) == "128 x 128 in 8 slices of k");
}

TEST_CASE("Tiles for a shape are among those that are compiled where some of its sizes are known") {
  constexpr auto any = plexus::any_extent;
  constexpr std::size_t parts = std::size_t{2} << 20;
  const auto require_compiled = [](const auto& tiles, const gemm_shape& known, const gemm_shape& shape) {
    int offered = 0;
    plexus::for_each_gemm_tiling(tiles, shape, parts, [&](const plexus::gemm_tile_row& row, int slices) {
      REQUIRE(plexus::is_worthwhile(tiles, row.tile, plexus::at_most(known)));
      REQUIRE((slices == 1 || kernels::may_be_sliced(known.k, plexus::shortest_gemm_slice)));
      ++offered;
    });
    REQUIRE(offered > 0);
  };
  generator random(31);
  for (int i = 0; i < 2000; ++i) {
    const auto size = [&] { return 1 << random_int(random, 0, 12) | random_int(random, 0, 40); };
    const gemm_shape shape{size(), size(), size()};
    gemm_shape known = shape;
    for (int* extent : {&known.m, &known.n, &known.k}) {
      if (random_int(random, 0, 1) == 0) *extent = any;
    }
    require_compiled(plexus::gemm_tiles, known, shape);
    require_compiled(plexus::tensor_gemm_tiles, known, shape);
  }
  const auto worthwhile = [](gemm_tile tile, int m, int n) {
    return plexus::is_worthwhile(plexus::gemm_tiles, tile, {m, n, 1});
  };
  CHECK(worthwhile(gemm_tile::small, 1, 1));
  CHECK(!worthwhile(gemm_tile::tall, 64, 1));
  CHECK(worthwhile(gemm_tile::tall, 65, 1));
  CHECK(!worthwhile(gemm_tile::flat, 1, 64));
  CHECK(worthwhile(gemm_tile::flat, 1, 65));
  CHECK(!worthwhile(gemm_tile::wide, 1000, 128));
  CHECK(worthwhile(gemm_tile::wide, 65, 129));
}
