// The launches that benchmarks/profile counts: `profile` lists the cases, `profile <case> <k>` runs one.
//
// To add one, write a function that launches the kernel for a given k, and its line in `cases`.
#include <plexus/activations/relu.hpp>
#include <plexus/core/buffer.hpp>
#include <plexus/kernels/tensor_gemm.hpp>
#include <plexus/layers/dense.hpp>
#include <plexus/layers/fused_tensor.hpp>
#include <plexus/linalg/gemm.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

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

// A batch of eight: the pace is memory's, so that the sectors matter.
template <px::layout L>
void skinny(const px::context& on, int k) {
  const product<L, float> p(8, 512, k);
  if constexpr (L == px::layout::nt) {
    px::kernels::skinny_by_rows(on.stream(), p.a, p.b, px::store{p.c});
  } else {
    px::kernels::skinny_by_columns<L == px::layout::nn>(on.stream(), p.a, p.b, px::store{p.c});
  }
}

// A batch of one.
void vector(const px::context& on, int k) {
  const product<px::layout::nt, float> p(1, 512, k);
  px::kernels::gemv(on.stream(), p.a, p.b, px::store{p.c});
}
void transposed_vector(const px::context& on, int k) {
  const product<px::layout::nn, float> p(1, 512, k);
  px::kernels::combine_rows(on.stream(), p.b, px::kernels::as_vector(p.a), px::store{p.c});
}

template <px::layout L, class T, class Tile>
void tensor(const px::context& on, int k) {
  const product<L, T> p(512, 512, k);
  px::kernels::launch_tensor_gemm<L, Tile>(on.stream(), p.a, p.b, px::store{p.c});
}

// Four hidden layers of Width units, as one kernel in FP16: a pass over 8·k samples. The difference of k =
// 512 and 1024 is all that happens in a batch of 4096.
enum class chain_pass { inference, forward, backward, gradients };

template <int Width, chain_pass Pass>
void chain(const px::context& on, int k) {
  using hidden = px::dense<Width, px::relu>;
  using in_fp16 = px::mixed<px::fp16>;
  using layers =
      typename px::detail::chain<1, px::shape<Width>, hidden, hidden, hidden, hidden, px::dense<16>>::layers;
  using fused = px::fused_layers<layers, in_fp16>;
  const int n = 8 * k;
  const px::buffer<__half> values(px::padded<__half>(static_cast<std::size_t>(n) * Width) * 12);
  const px::buffer<float> outputs(static_cast<std::size_t>(n) * 16), arena(fused::layout::size),
      parts(fused::parts_size(n));
  __half* next = values.data();
  const auto matrix = [&](int cols) {
    return px::matrix(std::exchange(next, next + px::padded<__half>(static_cast<std::size_t>(n) * Width)), n,
                      cols);
  };
  const auto x = matrix(Width);
  typename fused::parameters parameters;
  typename fused::memory memory{};
  memory.outputs = px::matrix(outputs.data(), n, 16);
  for (std::size_t l = 0; l < fused::count; ++l) {
    parameters[l] = {arena.data(), x.data};
    if (Pass != chain_pass::inference)
      memory[l] = {l < 4 ? matrix(Width) : px::matrix_view<__half>{}, {}, matrix(l < 4 ? Width : 16)};
  }
  if constexpr (Pass == chain_pass::backward) {
    fused::backward(on.stream(), parameters, memory, px::no_input_delta{});
  } else if constexpr (Pass == chain_pass::gradients) {
    fused::find_gradients(on.stream(), x, memory, parts.data(), arena.data());
  } else {
    fused::forward(on.stream(), parameters, x, memory);
  }
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
    {"skinny-nt", "fp32", skinny<layout::nt>},
    {"skinny-nn", "fp32", skinny<layout::nn>},
    {"skinny-tn", "fp32", skinny<layout::tn>},
    {"gemv", "fp32", vector},
    {"gemv-transposed", "fp32", transposed_vector},
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
    // Chains; of inference and forward the bytes matter, of backward the instructions.
    {"chain-64-inference", "fp16", chain<64, chain_pass::inference>},
    {"chain-64-forward", "fp16", chain<64, chain_pass::forward>},
    {"chain-64-backward", "fp16", chain<64, chain_pass::backward>},
    {"chain-64-gradients", "fp16", chain<64, chain_pass::gradients>},
    {"chain-128-inference", "fp16", chain<128, chain_pass::inference>},
    {"chain-128-forward", "fp16", chain<128, chain_pass::forward>},
    {"chain-128-backward", "fp16", chain<128, chain_pass::backward>},
    {"chain-128-gradients", "fp16", chain<128, chain_pass::gradients>},
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
