// The matrix products that are timed: those of 784-300-10 at batch 64 and of 784-1024-1024-10 at batch 256,
// of a single sample, and large square ones. A workload's name says layout and m×n×k of C (m, n).
#pragma once

#include "workload.hpp"

#include <benchmark/benchmark.h>

#include <cstdint>

namespace products {

// nt A(m,k) B(n,k); nn A(m,k) B(k,n); tn A(k,m) B(k,n).
struct product {
  std::string layout;
  int m, n, k;

  std::string name() const {
    return "gemm-" + layout + "-" + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
  }
  double operations() const { return 2.0 * m * n * k; }  // a multiply-add is two
};

inline const std::vector<product> all{
    {"nt", 64, 300, 784},     {"nt", 64, 10, 300},  {"nt", 256, 1024, 784},  {"nt", 1024, 1024, 1024},
    {"nt", 1, 300, 784},      {"nn", 64, 300, 10},  {"nn", 256, 1024, 1024}, {"nn", 1024, 1024, 1024},
    {"nn", 1, 784, 300},      {"tn", 300, 784, 64}, {"tn", 1024, 784, 256},  {"tn", 1024, 1024, 256},
    {"tn", 1024, 1024, 1024}, {"tn", 300, 784, 1},
};

// Calls between two looks at the clock: enough that looking takes no time.
inline int calls(const product& p) { return 1 + static_cast<int>(1e8 / p.operations()); }

inline std::vector<std::string> names() {
  std::vector<std::string> result;
  for (const product& p : all) result.push_back(p.name());
  return result;
}

// Hands what Google Benchmark measured to scripts/bench.
class line_reporter : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;  // a mean, or the like
      workload::report("seconds", run.run_name.function_name,
                       run.real_accumulated_time / static_cast<double>(run.iterations));
    }
  }
};

// Times the products that were asked for. `run(product, state)` holds the loop.
template <class Run>
void time_products(const workload::arguments& arguments, Run run) {
  for (const product& p : all) {
    if (!arguments.wants(p.name())) continue;
    workload::report("operations", p.name(), p.operations());
    benchmark::RegisterBenchmark(p.name().c_str(), [=](benchmark::State& state) { run(p, state); })
        ->Repetitions(arguments.repetitions)
        ->MinTime(0.1)
        ->UseManualTime();
  }
  line_reporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
}

}  // namespace products
