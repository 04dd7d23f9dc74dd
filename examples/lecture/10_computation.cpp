// Slide 10, "What this means computationally": forward, a dense matrix times a dense vector per layer;
// backward, its transpose times a vector; with a mini-batch, matrix times matrix in both directions. How many
// operations, how long.
#include <plexus/plexus.hpp>

#include "slide.hpp"

#include <algorithm>
#include <vector>

namespace px = plexus;

namespace {

constexpr int in = 784, out = 300, batch = 64;  // the first layer of 784-300-10

struct product {
  std::string what;
  int m, n, k;  // C (m, n), k terms a sum
  double multiply_adds() const { return static_cast<double>(m) * n * k; }
};

px::buffer<float> random_matrix(const px::context& on, int rows, int cols, std::uint64_t number) {
  px::buffer<float> values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols));
  px::for_each(on.stream(), values.size(),
               px::fill_uniform{values.data(), px::random_stream{10, number}, -1, 1});
  return values;
}

// Element (i, j) of the product in double.
template <px::layout L>
double element(const std::vector<float>& a, const std::vector<float>& b, const product& p, int i, int j) {
  double sum = 0;
  for (int k = 0; k < p.k; ++k) {
    const int from_a = L == px::layout::tn ? k * p.m + i : i * p.k + k;
    const int from_b = L == px::layout::nt ? j * p.k + k : k * p.n + j;
    sum += static_cast<double>(a[static_cast<std::size_t>(from_a)]) *
           static_cast<double>(b[static_cast<std::size_t>(from_b)]);
  }
  return sum;
}

// One product: its result's worst element of some that were looked at, and the time it took.
struct measurement {
  product what;
  double expected = 0, computed = 0;
  double microseconds = 0;
};

// Runs the product, times it between two events (the shortest of five runs), and compares elements of it with
// sums in double.
template <px::layout L>
measurement measure(const product& p) {
  px::context on;
  const int a_rows = L == px::layout::tn ? p.k : p.m, a_cols = L == px::layout::tn ? p.m : p.k;
  const int b_rows = L == px::layout::nt ? p.n : p.k, b_cols = L == px::layout::nt ? p.k : p.n;
  const auto a = random_matrix(on, a_rows, a_cols, 1), b = random_matrix(on, b_rows, b_cols, 2),
             c = random_matrix(on, p.m, p.n, 3);
  px::event begin, end;
  float shortest = INFINITY;
  for (int repetition = 0; repetition < 5; ++repetition) {
    begin.record(on.stream());
    px::gemm<L>(on, px::matrix<const float>(a.data(), a_rows, a_cols),
                px::matrix<const float>(b.data(), b_rows, b_cols), px::store{px::matrix(c.data(), p.m, p.n)});
    end.record(on.stream());
    shortest = std::min(shortest, px::elapsed_ms(begin, end));
  }

  const auto a_values = px::to_host(on.stream(), a.view()), b_values = px::to_host(on.stream(), b.view()),
             c_values = px::to_host(on.stream(), c.view());
  measurement result{p, 0, 0, 1000 * static_cast<double>(shortest)};
  for (int sample = 0; sample < 50; ++sample) {
    const int i = sample * 7919 % p.m, j = sample * 104729 % p.n;
    const double expected = element<L>(a_values, b_values, p, i, j);
    const auto computed = static_cast<double>(c_values[static_cast<std::size_t>(i * p.n + j)]);
    if (std::abs(computed - expected) < std::abs(result.computed - result.expected))
      continue;  // a NaN is not
    result.expected = expected;
    result.computed = computed;
    if (std::isnan(computed)) break;
  }
  return result;
}

void print(const std::vector<measurement>& all) {
  std::printf("\n  %-30s %12s %12s %14s %10s %9s\n", "", "result", "sums of", "multiply-adds", "us",
              "GFLOP/s");
  for (const auto& [p, expected, computed, microseconds] : all) {
    std::printf("  %-30s %5d x %4d %12d %14.0f %10.1f %9.2f\n", p.what.c_str(), p.m, p.n, p.k,
                p.multiply_adds(), microseconds, 2 * p.multiply_adds() / (1000 * microseconds));
  }
}

}  // namespace

int main() {
  lecture::slide slide("Slide 10: What this means computationally");
  std::printf(
      "\nThe first layer of 784-300-10, W (300, 784): 235,200 weights, one multiply-add a weight and "
      "sample.\n");

  slide.say("One sample, matrix times vector:");
  std::vector<measurement> all{measure<px::layout::nt>({"forward, W x", 1, out, in}),
                               measure<px::layout::nn>({"backward, W^T delta", 1, in, out}),
                               measure<px::layout::tn>({"weights, delta x^T", out, in, 1})};
  print(all);

  slide.say("A mini-batch of 64, matrix times matrix, 64 times the operations:");
  const std::vector<measurement> batched{measure<px::layout::nt>({"forward, X W^T", batch, out, in}),
                                         measure<px::layout::nn>({"backward, delta W", batch, in, out}),
                                         measure<px::layout::tn>({"weights, delta^T X", out, in, batch})};
  print(batched);
  all.insert(all.end(), batched.begin(), batched.end());

  slide.say("Of 50 elements of each product, the one that is furthest from its sum in double:");
  slide.columns("by hand");
  for (const measurement& one : all) {
    // A sum of k products of numbers in (-1, 1) has a rounding error of the order of sqrt(k) 2^-24.
    slide.exact(one.what.what, one.expected, one.computed, 1e-6 * std::sqrt(one.what.k));
  }
  return slide.result();
}
