#include <plexus/core/buffer.hpp>
#include <plexus/core/for_each.hpp>
#include <plexus/core/random.hpp>
#include <plexus/core/reduce.hpp>
#include <plexus/core/stream.hpp>

#include "support/catch.hpp"

#include <algorithm>

using namespace plexus;

namespace {

struct count_visit {
  int* visits;
  PLEXUS_FN void operator()(std::size_t i) const { ++visits[i]; }
};

// Per row: sum, largest and smallest of its values.
struct row_statistics {
  matrix_view<const float> x;
  float* sums;
  float* largest;
  float* smallest;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    float sum = 0, high = -1e30f, low = 1e30f;
    for (int j = group.rank(); j < x.cols; j += group.size()) {
      sum += x(row, j);
      high = x(row, j) > high ? x(row, j) : high;
      low = x(row, j) < low ? x(row, j) : low;
    }
    sum = group.sum(sum);
    high = group.max(high);
    low = group.min(low);
    if (group.rank() == 0) {
      sums[row] = sum;
      largest[row] = high;
      smallest[row] = low;
    }
  }
};

// sums[lane], of values (32, Count): row l holds lane l's.
template <int Count>
struct sum_each_value {
  const float* values;
  float* sums;

  __device__ void operator()(warp_group group, int) const {
    float own[Count];
    for (int i = 0; i < Count; ++i) own[i] = values[group.rank() * Count + i];
    sums[group.rank()] = group.sum_each(own);
  }
};

std::vector<float> random_values(std::size_t size) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = 2 * random_stream{11, 0}.uniform(i) - 1;
  return values;
}

// Runs row_statistics the way `run` says and compares with a plain loop in double.
template <class Run>
void check_statistics(int rows, int cols, const Run& run) {
  const stream on;
  const int ld = cols + 3;
  const std::vector<float> values =
      random_values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(ld));
  const buffer<float> x = to_device(on.get(), values);
  const auto count = static_cast<std::size_t>(rows);
  const buffer<float> sums(count), largest(count), smallest(count);
  run(on.get(), rows,
      row_statistics{{x.data(), rows, cols, ld}, sums.data(), largest.data(), smallest.data()});
  const auto sum = to_host(on.get(), sums.view());
  const auto high = to_host(on.get(), largest.view());
  const auto low = to_host(on.get(), smallest.view());
  for (std::size_t row = 0; row < count; ++row) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(row) * ld;
    double expected = 0;
    for (auto at = begin; at != begin + cols; ++at) expected += *at;
    CHECK(sum[row] == Approx(expected).margin(1e-5));
    CHECK(high[row] == *std::max_element(begin, begin + cols));
    CHECK(low[row] == *std::min_element(begin, begin + cols));
  }
}

template <int Count>
void check_sum_each() {
  CAPTURE(Count);
  const stream on;
  std::vector<float> values(32 * Count), expected(32);  // integers, whose sums are exact
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i * i % 97);
    for (std::size_t lane = 0; lane < 32; ++lane) {
      if (lane * Count / 32 == i % Count) expected[lane] += values[i];
    }
  }
  const buffer<float> from = to_device(on.get(), values), sums(32);
  launch("sums on a warp", on.get(), {dim3(1), dim3(32)}, for_each_row_kernel<sum_each_value<Count>>, 1,
         sum_each_value<Count>{from.data(), sums.data()});
  CHECK(to_host(on.get(), sums.view()) == expected);
}

}  // namespace

TEST_CASE("for_each visits every index once", "[core][for_each]") {
  const stream on;
  for (const std::size_t size : {0u, 1u, 31u, 256u, 257u, 100003u}) {
    const buffer<int> visits(size + 1);
    fill_zero(on.get(), visits.view());
    for_each(on.get(), size, count_visit{visits.data()});
    std::vector<int> expected(size + 1, 1);
    expected.back() = 0;
    CHECK(to_host(on.get(), visits.view()) == expected);
  }
}

TEST_CASE("Row-wise functions give the same on a warp and on one thread", "[core][for_each]") {
  for (const auto& [rows, cols] : {std::pair{1, 1}, {3, 10}, {17, 31}, {9, 32}, {8, 33}, {5, 300}}) {
    CAPTURE(rows, cols);
    check_statistics(rows, cols,
                     [](cudaStream_t on, int count, auto function) { for_each_row(on, count, function); });
    check_statistics(rows, cols, [](cudaStream_t on, int count, auto function) {
      launch("row-wise on warps", on, {dim3(static_cast<unsigned>(divide_up(count, 8))), dim3(256)},
             for_each_row_kernel<decltype(function)>, count, function);
    });
  }
}

TEST_CASE("warp_group::sum_each hands every lane the sum of its value", "[core][for_each]") {
  check_sum_each<1>();
  check_sum_each<2>();
  check_sum_each<8>();
  check_sum_each<16>();
  check_sum_each<32>();
}

TEST_CASE("Row sums are added to the totals in a fixed order", "[core][reduce]") {
  const stream on;
  const int rows = 2, cols = 777, ld = 800;
  const std::vector<float> values = random_values(static_cast<std::size_t>(rows) * ld);
  const buffer<float> x = to_device(on.get(), values);
  std::vector<double> first;
  for (int repetition = 0; repetition < 2; ++repetition) {
    const buffer<double> totals = to_device<double>(on.get(), {100, -5});
    for_each_row(on.get(), rows, add_row_sums{{x.data(), rows, cols, ld}, totals.data()});
    const std::vector<double> sums = to_host(on.get(), totals.view());
    for (std::size_t row = 0; row < 2; ++row) {
      double expected = row == 0 ? 100 : -5;
      for (std::size_t j = 0; j < cols; ++j) expected += values[row * ld + j];
      CHECK(sums[row] == Approx(expected).epsilon(1e-12));
    }
    if (repetition == 0) first = sums;
    CHECK(sums == first);
  }
}
