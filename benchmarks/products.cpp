// The matrix products of dense layers, by the library's own kernels and by the vendor's BLAS: GFLOP/s per
// shape.
//
// Arguments are m/n/k of C (m, n). The shapes are those of 784-300-10 at batch 64 and of 784-1024-1024-10 at
// batch 256, products of a single sample, and a large square one.
#include <plexus/plexus.hpp>

#include <benchmark/benchmark.h>

namespace px = plexus;

namespace {

px::buffer<float> random_matrix(const px::context& on, int rows, int cols) {
  px::buffer<float> values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols));
  px::for_each(on.stream(), values.size(), px::fill_uniform{values.data(), px::random_stream{1, 2}, -1, 1});
  return values;
}

template <px::layout L, px::gemm_policy Policy>
void product(benchmark::State& state) {
  const int m = static_cast<int>(state.range(0));
  const int n = static_cast<int>(state.range(1));
  const int k = static_cast<int>(state.range(2));
  px::context on(Policy);
  const bool a_is_tall = L == px::layout::tn, b_is_tall = L == px::layout::nt;
  const auto a = random_matrix(on, a_is_tall ? k : m, a_is_tall ? m : k);
  const auto b = random_matrix(on, b_is_tall ? n : k, b_is_tall ? k : n);
  const auto c = random_matrix(on, m, n);
  const auto a_view = px::matrix<const float>(a.data(), a_is_tall ? k : m, a_is_tall ? m : k);
  const auto b_view = px::matrix<const float>(b.data(), b_is_tall ? n : k, b_is_tall ? k : n);
  px::event begin, end;
  for (auto _ : state) {
    begin.record(on.stream());
    px::gemm<L>(on, a_view, b_view, px::store{px::matrix(c.data(), m, n)});
    end.record(on.stream());
    state.SetIterationTime(px::elapsed_ms(begin, end) / 1000);
  }
  const double operations =
      2.0 * m * n * k * static_cast<double>(state.iterations());  // a multiply–add is two
  state.counters["FLOP/s"] = benchmark::Counter(operations, benchmark::Counter::kIsRate);
}

using shapes = std::vector<std::vector<std::int64_t>>;

template <px::layout L>
void add(const std::string& name, const shapes& all) {
  const auto add_policy = [&](const char* policy, void (*function)(benchmark::State&)) {
    auto* const registered = benchmark::RegisterBenchmark((name + " " + policy).c_str(), function);
    for (const auto& shape : all) registered->Args(shape);
    registered->UseManualTime();
  };
  add_policy("native", product<L, px::gemm_policy::native>);
  if (px::has_vendor_blas) add_policy("vendor", product<L, px::gemm_policy::vendor>);
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  add<px::layout::nt>("forward (NT)",
                      {{64, 300, 784}, {64, 10, 300}, {256, 1024, 784}, {1024, 1024, 1024}, {1, 300, 784}});
  add<px::layout::nn>("input gradient (NN)",
                      {{64, 300, 10}, {256, 1024, 1024}, {1024, 1024, 1024}, {1, 784, 300}});
  add<px::layout::tn>("weight gradient (TN)",
                      {{300, 784, 64}, {10, 300, 64}, {1024, 784, 256}, {1024, 1024, 1024}, {300, 784, 1}});
  benchmark::RunSpecifiedBenchmarks();
}
