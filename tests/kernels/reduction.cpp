// Column sums and row softmax, against double.
#include "device_matrix.hpp"
#include "support/by_warps.hpp"
#include "support/catch.hpp"

#include <plexus/kernels/gemv.hpp>
#include <plexus/kernels/reduction.hpp>
#include <plexus/kernels/softmax.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace {

using namespace plexus::kernel_test;

enum class path { picked, kernel };

// Column sums as the layers call them, or by the kernel even where the CPU has its own loop.
device_matrix column_sums(plexus::context& context, path way, const device_matrix& x) {
  device_matrix sums(1, x.cols(), {});
  if (way == path::picked) {
    plexus::column_sums(context, x.view(), sums.view().data);
  } else {
    plexus::kernels::sum_rows(context.stream(), plexus::kernels::element_terms<float>{x.view()},
                              plexus::store{sums.view()});
  }
  sums.download(context.stream());
  return sums;
}

void require_column_sums(plexus::context& context, path way, const device_matrix& x) {
  INFO("path " << static_cast<int>(way) << ", " << x.rows() << " × " << x.cols());
  const device_matrix sums = column_sums(context, way, x);
  const double tolerance = 1e-6 * std::sqrt(std::max(x.rows(), 1));
  for (int j = 0; j < x.cols(); ++j) {
    double right = 0;
    for (int i = 0; i < x.rows(); ++i) right += static_cast<double>(x(i, j));
    REQUIRE(std::abs(static_cast<double>(sums(0, j)) - right) <= tolerance * std::max(1.0, std::abs(right)));
  }
  REQUIRE(sums.guards_intact());
}

// A row's softmax, in double.
std::vector<double> softmax_in_double(const device_matrix& z, int row) {
  double largest = -INFINITY, sum = 0;
  for (int j = 0; j < z.cols(); ++j) largest = std::max(largest, static_cast<double>(z(row, j)));
  std::vector<double> p;
  for (int j = 0; j < z.cols(); ++j)
    sum += p.emplace_back(std::exp(static_cast<double>(z(row, j)) - largest));
  for (double& value : p) value /= sum;
  return p;
}

// By a thread or by a warp a row.
void require_softmax(plexus::context& context, const device_matrix& z, placement where) {
  device_matrix p(z.rows(), z.cols(), where), by_warps(z.rows(), z.cols(), where);
  plexus::softmax_rows(context, z.view(), p.view());
  if (z.rows() > 0 && z.cols() > 0) {
    support::by_warps(context.stream(), z.rows(),
                      plexus::kernels::softmax_row<float, float>{z.view(), by_warps.view()});
  }
  for (device_matrix* result : {&p, &by_warps}) {
    result->download(context.stream());
    for (int i = 0; i < z.rows(); ++i) {
      const std::vector<double> right = softmax_in_double(z, i);
      for (int j = 0; j < z.cols(); ++j)
        REQUIRE(std::abs(static_cast<double>((*result)(i, j)) - right[static_cast<std::size_t>(j)]) <= 1e-6);
    }
    REQUIRE(result->guards_intact());
  }
}

void require_softmax_slopes(plexus::context& context, const device_matrix& z, const device_matrix& delta) {
  device_matrix by_threads(z.rows(), z.cols(), {1, 3}), by_warps(z.rows(), z.cols(), {2, 1});
  const auto slopes_into = [&](const device_matrix& dz) {
    return plexus::kernels::softmax_row_backward<float, plexus::store>{z.view(), delta.view(), {dz.view()}};
  };
  plexus::for_each_row(context.stream(), z.rows(), slopes_into(by_threads));
  support::by_warps(context.stream(), z.rows(), slopes_into(by_warps));
  for (device_matrix* result : {&by_threads, &by_warps}) {
    result->download(context.stream());
    for (int i = 0; i < z.rows(); ++i) {
      const std::vector<double> p = softmax_in_double(z, i);
      double mean = 0;
      for (int j = 0; j < z.cols(); ++j)
        mean += p[static_cast<std::size_t>(j)] * static_cast<double>(delta(i, j));
      for (int j = 0; j < z.cols(); ++j) {
        const double right = p[static_cast<std::size_t>(j)] * (static_cast<double>(delta(i, j)) - mean);
        REQUIRE(std::abs(static_cast<double>((*result)(i, j)) - right) <= 1e-6);
      }
    }
    REQUIRE(result->guards_intact());
  }
}

}  // namespace

TEST_CASE("column sums: shapes around the widths of a strip, a warp and a block") {
  plexus::context context;
  generator random(1);
  for (const path way : {path::picked, path::kernel}) {
    for (const int rows : {0, 1, 7, 8, 9, 64, 131}) {
      for (const int cols : {0, 1, 10, 16, 17, 31, 32, 33, 100}) {
        const placement where{random_int(random, 0, 3), random_int(random, 0, 3)};
        require_column_sums(context, way, device_matrix::random(random, rows, cols, where));
      }
    }
  }
}

TEST_CASE("column sums: random shapes", "[slow]") {
  plexus::context context;
  generator random(2);
  for (int i = 0; i < 200; ++i) {
    const int rows = random_int(random, 1, 3000);
    const int cols = random_int(random, 1, 300);
    const placement where{random_int(random, 0, 3), random_int(random, 0, 3)};
    const device_matrix x = device_matrix::random(random, rows, cols, where);
    require_column_sums(context, i % 2 == 0 ? path::picked : path::kernel, x);
  }
}

TEST_CASE("column sums: two runs give the same bits") {
  plexus::context context;
  generator random(3);
  const device_matrix x = device_matrix::random(random, 777, 45, {});
  for (const path way : {path::picked, path::kernel}) {
    REQUIRE(bits(column_sums(context, way, x)) == bits(column_sums(context, way, x)));
  }
}

TEST_CASE("softmax: rows of every width, also in place of leading dimensions") {
  plexus::context context;
  generator random(4);
  for (const int rows : {0, 1, 9, 33}) {
    for (const int cols : {0, 1, 2, 10, 31, 32, 33, 100}) {
      require_softmax(context, device_matrix::random(random, rows, cols, {2, 1}), {1, 3});
    }
  }
}

TEST_CASE("softmax backward: rows of every width, small values and large ones") {
  plexus::context context;
  generator random(6);
  for (const int rows : {1, 9, 33}) {
    for (const int cols : {1, 2, 10, 31, 32, 33, 100}) {
      for (const float offset : {0.0f, 500.0f}) {
        require_softmax_slopes(context, device_matrix::random(random, rows, cols, {2, 1}, offset),
                               device_matrix::random(random, rows, cols, {1, 0}));
      }
    }
  }
}

TEST_CASE("softmax: large and very negative inputs neither overflow nor vanish") {
  plexus::context context;
  const std::vector<float> rows{1000.0f, 999.0f, -1000.0f, -80.0f, -81.0f, -200.0f, 88.0f, 89.0f, 90.0f};
  const plexus::buffer<float> z = plexus::to_device(context.stream(), rows);
  plexus::buffer<float> p(rows.size());
  plexus::softmax_rows(context, plexus::matrix<const float>(z.data(), 3, 3), plexus::matrix(p.data(), 3, 3));
  const std::vector<float> got = plexus::to_host(context.stream(), p.view());
  // 1 / (1 + e⁻¹) and 1 / (1 + e⁻¹ + e⁻²), by hand.
  CHECK(got[0] == Approx(0.7310585786).epsilon(1e-6));
  CHECK(got[1] == Approx(0.2689414214).epsilon(1e-6));
  CHECK(got[2] == 0.0f);
  CHECK(got[3] == Approx(0.7310585786).epsilon(1e-5));
  CHECK(got[6] == Approx(0.0900305732).epsilon(1e-5));
  CHECK(got[8] == Approx(0.6652409558).epsilon(1e-5));
}

TEST_CASE("softmax: in place") {
  plexus::context context;
  generator random(5);
  const device_matrix z = device_matrix::random(random, 5, 40, {1, 1});
  device_matrix apart(5, 40, {});
  plexus::softmax_rows(context, z.view(), apart.view());
  plexus::softmax_rows(context, z.view(), z.view());
  apart.download(context.stream());
  device_matrix in_place = device_matrix(5, 40, {});
  context.synchronize();
  for (int i = 0; i < 5; ++i) {
    std::vector<float> row(40);
    plexus::copy_to_host<float>(context.stream(), row, z.view().row(i));
    for (int j = 0; j < 40; ++j) REQUIRE(row[static_cast<std::size_t>(j)] == apart(i, j));
  }
}

TEST_CASE("softmax: a result of another shape is an error") {
  plexus::context context;
  const device_matrix z(3, 4, {}), p(3, 5, {});
  REQUIRE_THROWS_AS(plexus::softmax_rows(context, z.view(), p.view()), plexus::error);
}
