// Every kernel, instantiated for each kind of epilogue: tests/scripts/ptxas_report compiles this for every
// architecture and reads what the assembler says of registers, spills and shared memory.
#include <plexus/kernels/softmax.hpp>
#include <plexus/kernels/tensor_gemm.hpp>
#include <plexus/plexus.hpp>

namespace px = plexus;
using namespace px::cuda_names;

template <class Network, class Loss>
void train(Network&& net, const Loss& loss, const px::sgd& optimizer) {
  const px::dataset data;
  px::fit(net, data, loss, optimizer, {.validation = &data});
}

void multiply(px::context& on, px::matrix_view<const float> a, px::matrix_view<float> c) {
  px::gemm<px::layout::nt>(on, a, a, px::accumulate{c});
  px::gemm<px::layout::nn>(on, a, a, px::accumulate{c});
  px::gemm<px::layout::tn>(on, a, a, px::accumulate{c});
  px::softmax_rows(on, a, c);
}

template <px::layout L, class T>
void multiply_on_tensor_cores(const px::context& on, px::matrix_view<const T> a, px::matrix_view<float> c) {
  px::kernels::tensor_gemm<L>(on.stream(), a, a, px::store{c});
}

int main() {
  // An activation whose derivative comes from its output, with bias; momentum.
  train(px::network<px::input<3>, px::dense<3, px::sigmoid>, px::dense<2>>{}, px::softmax_cross_entropy{},
        px::sgd{.momentum = 0.9f});
  // One whose pre-activation is kept, without bias.
  train(px::network<px::input<3>, px::dense<3, px::softplus, px::no_bias>,
                    px::dense<2, px::softplus, px::no_bias>>{},
        px::quadratic{}, px::sgd{});
  // Chains as one kernel, of each width that a block is arranged for.
  train(px::network<px::input<128>, px::dense<128, px::tanh>, px::dense<64, px::softplus>,
                    px::dense<128, px::softplus>>{},
        px::quadratic{}, px::sgd{});
  px::context on;
  multiply(on, {}, {});
  multiply_on_tensor_cores<px::layout::nt, __half>(on, {}, {});
  multiply_on_tensor_cores<px::layout::nn, __half>(on, {}, {});
  multiply_on_tensor_cores<px::layout::tn, __half>(on, {}, {});
  multiply_on_tensor_cores<px::layout::nn, __nv_bfloat16>(on, {}, {});
  multiply_on_tensor_cores<px::layout::nt, float>(on, {}, {});
  multiply_on_tensor_cores<px::layout::tn, float>(on, {}, {});
}
