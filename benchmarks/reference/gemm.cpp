// The products of ../gemm.cpp by plain calls of the BLAS, with its own threads.
#include "../products.hpp"

#include <cblas.h>

#include <random>

extern "C" void openblas_set_num_threads(int);

namespace {

std::vector<float> random_values(int rows, int cols) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols));
  for (float& value : values) value = uniform(random);
  return values;
}

void time_product(const products::product& p, benchmark::State& state) {
  const auto transpose_a = p.layout == "tn" ? CblasTrans : CblasNoTrans;
  const auto transpose_b = p.layout == "nt" ? CblasTrans : CblasNoTrans;
  const auto a = random_values(p.m, p.k), b = random_values(p.k, p.n);
  auto c = random_values(p.m, p.n);
  const auto multiply = [&] {
    if (p.m == 1) {  // y = xᵀ·op(B)
      const int rows = p.layout == "nt" ? p.n : p.k, cols = p.layout == "nt" ? p.k : p.n;
      cblas_sgemv(CblasRowMajor, p.layout == "nt" ? CblasNoTrans : CblasTrans, rows, cols, 1, b.data(), cols,
                  a.data(), 1, 0, c.data(), 1);
    } else {
      cblas_sgemm(CblasRowMajor, transpose_a, transpose_b, p.m, p.n, p.k, 1, a.data(),
                  transpose_a == CblasTrans ? p.m : p.k, b.data(), transpose_b == CblasTrans ? p.k : p.n, 0,
                  c.data(), p.n);
    }
  };
  const int calls = products::calls(p);
  for (auto _ : state) {
    const workload::stopwatch watch;
    for (int i = 0; i < calls; ++i) multiply();
    state.SetIterationTime(watch.seconds() / calls);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = workload::parse(argc, argv, products::names());
  openblas_set_num_threads(2);
  products::time_products(arguments, time_product);
}
