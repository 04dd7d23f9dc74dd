// The launches that benchmarks/profile counts: `profile` lists the cases, `profile <case> <k>` runs one.
//
// To add one, write a function that launches the kernel for a given k, and its line in `cases`.
#include <plexus/core/buffer.hpp>
#include <plexus/kernels/tensor_gemm.hpp>
#include <plexus/linalg/gemm.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace px = plexus;

namespace {

// One product of shape (m, n, k), its operands without gaps between their rows.
template <px::layout L, class T>
struct product {
  product(int m, int n, int k)
      : values_a(size(m, k)),
        values_b(size(n, k)),
        values_c(size(m, n)),
        c(px::matrix(values_c.data(), m, n)) {
    a = L == px::layout::tn ? px::matrix<const T>(values_a.data(), k, m)
                            : px::matrix<const T>(values_a.data(), m, k);
    b = L == px::layout::nt ? px::matrix<const T>(values_b.data(), n, k)
                            : px::matrix<const T>(values_b.data(), k, n);
  }

  static std::size_t size(int rows, int cols) {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols);
  }

  px::buffer<T> values_a, values_b;
  px::buffer<float> values_c;
  px::matrix_view<const T> a, b;
  px::matrix_view<float> c;
};

template <px::layout L, class Tile>
void tiled(const px::context& on, int k) {
  const product<L, float> p(512, 512, k);
  px::kernels::launch_gemm<L, Tile>(on.stream(), p.a, p.b, px::store{p.c});
}

template <px::layout L, class T, class Tile>
void tensor(const px::context& on, int k) {
  const product<L, T> p(512, 512, k);
  px::kernels::launch_tensor_gemm<L, Tile>(on.stream(), p.a, p.b, px::store{p.c});
}

struct profiled {
  const char* name;
  const char* arithmetic;  // fp32, or fp16 for tensor cores: whose peak bounds it
  void (*run)(const px::context&, int k);
};

using px::layout;
using namespace px::kernels;

constexpr profiled cases[] = {
    {"gemm-wide-nt", "fp32", tiled<layout::nt, wide_gemm_tile>},
    {"gemm-wide-nn", "fp32", tiled<layout::nn, wide_gemm_tile>},
    {"gemm-wide-tn", "fp32", tiled<layout::tn, wide_gemm_tile>},
    {"gemm-large-nt", "fp32", tiled<layout::nt, large_gemm_tile>},
    {"gemm-large-nn", "fp32", tiled<layout::nn, large_gemm_tile>},
    {"gemm-large-tn", "fp32", tiled<layout::tn, large_gemm_tile>},
    {"gemm-medium-nt", "fp32", tiled<layout::nt, medium_gemm_tile>},
    {"gemm-medium-nn", "fp32", tiled<layout::nn, medium_gemm_tile>},
    {"gemm-medium-tn", "fp32", tiled<layout::tn, medium_gemm_tile>},
    {"gemm-small-nt", "fp32", tiled<layout::nt, small_gemm_tile>},
    {"gemm-small-nn", "fp32", tiled<layout::nn, small_gemm_tile>},
    {"gemm-small-tn", "fp32", tiled<layout::tn, small_gemm_tile>},
    {"gemm-tall-nt", "fp32", tiled<layout::nt, tall_gemm_tile>},
    {"gemm-tall-nn", "fp32", tiled<layout::nn, tall_gemm_tile>},
    {"gemm-tall-tn", "fp32", tiled<layout::tn, tall_gemm_tile>},
    {"gemm-flat-nt", "fp32", tiled<layout::nt, flat_gemm_tile>},
    {"gemm-flat-nn", "fp32", tiled<layout::nn, flat_gemm_tile>},
    {"gemm-flat-tn", "fp32", tiled<layout::tn, flat_gemm_tile>},
    // Tensor instructions: m16n8k16, TF32 m16n8k8; by WMMA 16×16×16, which is two of the first.
    {"tensor-fp16-large-nt", "fp16", tensor<layout::nt, __half, large_tensor_tile>},
    {"tensor-fp16-large-nn", "fp16", tensor<layout::nn, __half, large_tensor_tile>},
    {"tensor-fp16-large-tn", "fp16", tensor<layout::tn, __half, large_tensor_tile>},
    {"tensor-fp16-small-nt", "fp16", tensor<layout::nt, __half, small_tensor_tile>},
    {"wmma-fp16-large-nt", "fp16", tensor<layout::nt, __half, wmma_tile<large_tensor_tile>>},
    {"wmma-fp16-large-nn", "fp16", tensor<layout::nn, __half, wmma_tile<large_tensor_tile>>},
    {"wmma-fp16-large-tn", "fp16", tensor<layout::tn, __half, wmma_tile<large_tensor_tile>>},
    {"tensor-bf16-large-nt", "fp16", tensor<layout::nt, __nv_bfloat16, large_tensor_tile>},
    {"tensor-tf32-large-nt", "fp16", tensor<layout::nt, float, large_tensor_tile>},
    {"tensor-tf32-large-nn", "fp16", tensor<layout::nn, float, large_tensor_tile>},
    {"tensor-tf32-large-tn", "fp16", tensor<layout::tn, float, large_tensor_tile>},
};

}  // namespace

int main(int argc, char** argv) {
  for (const profiled& one : cases) {
    if (argc < 3) {
      std::printf("%s %s\n", one.name, one.arithmetic);
    } else if (std::string(argv[1]) == one.name) {
      const px::context on;
      one.run(on, std::atoi(argv[2]));
      on.synchronize();
      return 0;
    }
  }
  return argc < 3 ? 0 : 2;
}
