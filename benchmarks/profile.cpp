// The launches that benchmarks/profile counts: `profile` lists the cases, `profile <case> <k>` runs one.
//
// To add one, write a function that launches the kernel for a given k, and its line in `products` or
// all_cases().
#include <plexus/activations/relu.hpp>
#include <plexus/core/buffer.hpp>
#include <plexus/kernels/tensor_gemm.hpp>
#include <plexus/layers/dense.hpp>
#include <plexus/layers/fused_tensor.hpp>
#include <plexus/linalg/convolve.hpp>
#include <plexus/linalg/gemm.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

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
void tiled(px::context& on, int k) {
  const product<L, float> p(512, 512, k);
  px::kernels::launch_gemm<L, Tile>(on.stream(), p.a, p.b, px::store{p.c});
}

// A batch of eight: the pace is memory's, so that the sectors matter.
template <px::layout L>
void skinny(px::context& on, int k) {
  const product<L, float> p(8, 512, k);
  if constexpr (L == px::layout::nt) {
    px::kernels::skinny_by_rows(on.stream(), p.a, p.b, px::store{p.c});
  } else {
    px::kernels::skinny_by_columns<L == px::layout::nn>(on.stream(), p.a, p.b, px::store{p.c});
  }
}

// A batch of one.
void vector(px::context& on, int k) {
  const product<px::layout::nt, float> p(1, 512, k);
  px::kernels::gemv(on.stream(), p.a, p.b, px::store{p.c});
}
void transposed_vector(px::context& on, int k) {
  const product<px::layout::nn, float> p(1, 512, k);
  px::kernels::combine_rows(on.stream(), p.b, px::kernels::as_vector(p.a), px::store{p.c});
}

template <px::layout L, class T, class Tile>
void tensor(px::context& on, int k) {
  const product<L, T> p(512, 512, k);
  px::kernels::launch_tensor_gemm<L, Tile>(on.stream(), p.a, p.b, px::store{p.c});
}

// Four hidden layers of Width units, as one kernel in FP16: a pass over 8·k samples. The difference of k =
// 512 and 1024 is all that happens in a batch of 4096.
enum class chain_pass { inference, forward, backward, gradients };

template <int Width, chain_pass Pass>
void chain(px::context& on, int k) {
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

// A convolution as layers call it: of a batch of Images for k = 1024, and of none for 512, so that the
// difference is all that happens in it.
enum class convolution_pass { forward, images, filters };

template <px::convolution_shape Of, class Precision, convolution_pass Pass, int Images>
void convolution(px::context& on, int k) {
  using T = typename Precision::storage;
  const int n = Images * (k - 512) / 512;
  const auto matrix = [](int rows, int cols, auto& values) {
    values = std::decay_t<decltype(values)>(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols));
    return px::matrix(values.data(), rows, cols);
  };
  px::buffer<T> memory_x, memory_w, memory_delta;
  px::buffer<float> memory_z, memory_dx, memory_dw;
  const int in = Of.channels * Of.image.area(), out = Of.outputs * Of.output().area();
  const px::matrix_view<const T> x = matrix(n, in, memory_x), w = matrix(Of.outputs, Of.depth(), memory_w),
                                 delta = matrix(n, out, memory_delta);
  if constexpr (Pass == convolution_pass::forward) {
    px::convolve<Of, Precision>(on, x, w.data, w.ld, px::no_bias_term{}, px::store{matrix(n, out, memory_z)});
  } else if constexpr (Pass == convolution_pass::images) {
    px::convolve_back<Of, Precision>(on, delta, w.data, w.ld, px::store{matrix(n, in, memory_dx)});
  } else {
    px::filter_gradient<Of, Precision>(on, delta, x, matrix(Of.outputs, Of.depth(), memory_dw).data);
  }
}

struct profiled {
  std::string name;
  const char* arithmetic;  // fp32, or fp16 for tensor cores: whose peak bounds it
  void (*run)(px::context&, int k);
};

using px::layout;
using namespace px::kernels;

const std::vector<profiled> products = {
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

template <px::convolution_shape Of, int Images>
void add_convolution(std::vector<profiled>& cases, const std::string& name) {
  const auto add = [&]<class Precision>(const std::string& type, const char* arithmetic) {
    const auto add_pass = [&]<convolution_pass Pass>(const char* pass) {
      cases.push_back(
          {"conv-" + name + "-" + type + "-" + pass, arithmetic, convolution<Of, Precision, Pass, Images>});
    };
    add_pass.template operator()<convolution_pass::forward>("forward");
    add_pass.template operator()<convolution_pass::images>("images");
    add_pass.template operator()<convolution_pass::filters>("filters");
  };
  add.template operator()<px::fp32>("fp32", "fp32");
  add.template operator()<px::mixed<px::fp16>>("fp16", "fp16");
}

std::vector<profiled> all_cases() {
  using px::convolution_shape;
  std::vector<profiled> cases = products;
  // Image, window, stride, dilation, padding before and after; channels, outputs, groups.
  add_convolution<convolution_shape{{28, 5}, 1, 6}, 64>(cases, "lenet-1");
  add_convolution<convolution_shape{{12, 5}, 6, 16}, 64>(cases, "lenet-2");
  add_convolution<convolution_shape{{28, 3, 1, 1, 1, 1}, 64, 64}, 4>(cases, "same");
  add_convolution<convolution_shape{{28, 3, 2, 1, 1, 1}, 32, 64}, 8>(cases, "stride-2");
  add_convolution<convolution_shape{{28, 3, 1, 2, 2, 2}, 32, 32}, 4>(cases, "dilation-2");
  add_convolution<convolution_shape{{14, 3, 1, 1, 1, 1}, 64, 64, 2}, 8>(cases, "groups-2");
  add_convolution<convolution_shape{{14, 1}, 128, 64}, 16>(cases, "1x1");
  add_convolution<convolution_shape{{28, 3, 1, 1, 1, 1}, 32, 32, 32}, 8>(cases, "depthwise");
  return cases;
}

}  // namespace

int main(int argc, char** argv) {
  for (const profiled& one : all_cases()) {
    if (argc < 3) {
      std::printf("%s %s\n", one.name.c_str(), one.arithmetic);
    } else if (argv[1] == one.name) {
      px::context on;
      one.run(on, std::atoi(argv[2]));
      on.synchronize();
      return 0;
    }
  }
  return argc < 3 ? 0 : 2;
}
