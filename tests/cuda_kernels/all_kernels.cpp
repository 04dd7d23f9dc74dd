// Every kernel, instantiated for each kind of epilogue: tests/scripts/ptxas_report compiles this for every
// architecture and reads what the assembler says of registers, spills and shared memory.
#include <plexus/inspect/activation_maximization.hpp>
#include <plexus/kernels/softmax.hpp>
#include <plexus/kernels/tensor_gemm.hpp>
#include <plexus/linalg/batched_gemm.hpp>
#include <plexus/plexus.hpp>

namespace px = plexus;
using namespace px::cuda_names;

template <class Network, class Loss>
void train(Network&& net, const Loss& loss, const px::sgd& optimizer) {
  const px::dataset data;
  px::fit(net, data, loss, optimizer, {.validation = &data});
}

template <class T>
void multiply_batch(px::context& on, px::matrix_view<const T> a, px::matrix_view<float> c) {
  px::batched_gemm<px::layout::nt>(on, 2, a, a, px::store{c});
  px::batched_gemm<px::layout::nn>(on, 2, a, a, px::store{c});
  px::batched_gemm<px::layout::tn>(on, 2, a, a, px::store{c});
}

void multiply(px::context& on, px::matrix_view<const float> a, px::matrix_view<float> c) {
  px::gemm<px::layout::nt>(on, a, a, px::accumulate{c});
  px::gemm<px::layout::nn>(on, a, a, px::accumulate{c});
  px::gemm<px::layout::tn>(on, a, a, px::accumulate{c});
  multiply_batch(on, a, c);
  px::softmax_rows(on, a, c);
}

template <px::layout L, class T>
void multiply_on_tensor_cores(const px::context& on, px::matrix_view<const T> a, px::matrix_view<float> c) {
  px::kernels::launch_tensor_gemm<L, px::kernels::large_tensor_tile>(on.stream(), a, a, px::store{c});
  px::kernels::launch_tensor_gemm<L, px::kernels::small_tensor_tile>(on.stream(), a, a, px::store{c});
  px::kernels::launch_tensor_gemm<L, px::kernels::wmma_tile<px::kernels::large_tensor_tile>>(on.stream(), a,
                                                                                             a, px::store{c});
}

// What a user's own kernels make of a network's function: one thread a sample.
template <class Function>
__global__ void evaluate_function(Function f, const typename Function::input* x,
                                  typename Function::output* y) {
  y[threadIdx.x] = f(x[threadIdx.x]);
}

template <class Function>
__global__ void differentiate_function(Function f, typename Function::input* x,
                                       const typename Function::output* dy) {
  x[threadIdx.x] = f.gradient(x[threadIdx.x], dy[threadIdx.x]);
}

template <class Function>
__global__ void train_function(Function f, const typename Function::input* x,
                               const typename Function::output* y, float* dw) {
  const auto slope = [&](typename Function::output a) {
    for (int j = 0; j < a.size; ++j) a[j] -= y[threadIdx.x][j];
    return a;
  };
  f.gradient(x[threadIdx.x], slope, [&](std::size_t i, float gradient) { atomicAdd(dw + i, gradient); });
}

template <class Function>
void use_in_kernels(const px::context& on, const Function& f) {
  const auto launch = [&](auto kernel, auto... arguments) {
    px::launch("using a function", on.stream(), {dim3(1), dim3(128)}, kernel, f, arguments...);
  };
  typename Function::input* x = nullptr;
  typename Function::output* y = nullptr;
  launch(evaluate_function<Function>, x, y);
  launch(differentiate_function<Function>, x, y);
  launch(train_function<Function>, x, y, static_cast<float*>(nullptr));
}

template <class Network>
void use_as_function(const px::context& on, const Network& net) {
  use_in_kernels(on, net.function());
  use_in_kernels(on, net.function_by_value());
}

int main() {
  // An activation whose derivative comes from its output, with bias; momentum.
  train(px::network<px::input<3>, px::dense<3, px::sigmoid>, px::dense<2>>{}, px::softmax_cross_entropy{},
        px::sgd{.momentum = 0.9f});
  // One whose pre-activation is kept, without bias.
  train(px::network<px::input<3>, px::dense<3, px::softplus, px::no_bias>,
                    px::dense<2, px::softplus, px::no_bias>>{},
        px::quadratic{}, px::sgd{});
  // Both again, in layers so wide and so deep that they may take any tile, slices, and a block for a long
  // row.
  train(px::network<px::input<8192>, px::dense<300, px::sigmoid>, px::dense<300>>{},
        px::softmax_cross_entropy{}, px::sgd{.momentum = 0.9f});
  train(px::network<px::input<8192>, px::dense<300, px::softplus, px::no_bias>,
                    px::dense<300, px::softplus, px::no_bias>>{},
        px::quadratic{}, px::sgd{});
  // In 16 bits, with and without a loss scale, and with the input's gradient.
  px::network<px::mixed<px::fp16>, px::input<128>, px::dense<128, px::softplus>, px::dense<17>> in_fp16;
  train(in_fp16, px::quadratic{}, px::sgd{.momentum = 0.9f});
  in_fp16.backward({}, {}, px::quadratic{}, {});
  train(px::network<px::mixed<px::bf16>, px::input<128>, px::dense<128, px::tanh>,
                    px::dense<64, px::sigmoid>>{},
        px::quadratic{}, px::sgd{});
  // Optimisers, in FP32 and where copies in 16 bits follow.
  px::network<px::input<3>, px::dense<2>> plain;
  const px::cosine cosine{};
  plain.update(px::clip_norm{px::scheduled{px::adamw{}, cosine}, 1.0f});
  plain.update(px::clip_value{px::rmsprop{.momentum = 0.9f}, 1.0f});
  plain.update(px::scheduled{px::adagrad{}, px::one_cycle{}});
  plain.update(px::lion{});
  in_fp16.update(px::clip_norm{px::scheduled{px::adamw{}, cosine}, 1.0f});
  // Losses: of each output, of all of them, and with their parameters.
  px::network<px::input<3>, px::dense<40>> judged;
  train(judged, px::huber{}, px::sgd{});
  train(judged, px::summed{px::binary_cross_entropy{}}, px::sgd{});
  train(judged, px::kl_divergence{}, px::sgd{});
  // Chains as one kernel, of each width that a block is arranged for.
  train(px::network<px::input<128>, px::dense<128, px::tanh>, px::dense<64, px::softplus>,
                    px::dense<128, px::softplus>>{},
        px::quadratic{}, px::sgd{});
  // Convolutions whose three products may each take any tile, each kind of pool, and normalisation.
  train(px::network<px::image<3, 32, 32>, px::conv2d<16, 3, px::relu>, px::local_response_norm<5>,
                    px::max_pool<3, px::stride<2>>, px::conv2d<300, 3, px::softplus, px::same>,
                    px::average_pool<2>, px::local_response_norm<2, px::lrn{.beta = 0.5f}>, px::conv2d<6, 3>,
                    px::global_average_pool, px::dense<10>>{},
        px::softmax_cross_entropy{}, px::sgd{});
  train(px::network<px::mixed<px::fp16>, px::image<16, 16, 16>, px::conv2d<300, 3, px::relu>, px::max_pool<2>,
                    px::local_response_norm<5>, px::conv2d<6, 3>>{},
        px::quadratic{}, px::sgd{});
  // Convolutions by windows of one pixel.
  train(px::network<px::image<3, 32, 32>, px::conv2d<300, 1, px::relu>, px::conv2d<160, 1, px::tanh>>{},
        px::quadratic{}, px::sgd{});
  train(px::network<px::mixed<px::fp16>, px::image<3, 16, 16>, px::conv2d<300, 1>,
                    px::conv2d<160, 1, px::relu>>{},
        px::quadratic{}, px::sgd{});
  // Convolutions without tiles, with and without edges, of as many outputs as there may be, and of one.
  train(px::network<px::image<1, 28, 28>, px::conv2d<6, 5, px::relu>, px::conv2d<16, 5, px::tanh>,
                    px::conv2d<16, 3, px::softplus, px::same, px::groups<16>>>{},
        px::quadratic{}, px::sgd{});
  train(px::network<px::mixed<px::bf16>, px::image<2, 15, 15>, px::conv2d<8, 5, px::relu, px::same>,
                    px::conv2d<8, 3, px::relu, px::groups<8>, px::stride<2>>>{},
        px::quadratic{}, px::sgd{});
  px::network<px::image<3, 40, 40>, px::average_pool<17, px::stride<1>>> large_means;
  large_means.input_gradient({}, {}, {});
  px::network<px::tf32, px::image<16, 8, 8>, px::conv2d<300, 3, px::relu>> in_tf32;
  in_tf32.backward({}, {}, px::quadratic{}, {});
  // Layers that differ in training and in use, by channels of images, by values, by samples short and long.
  train(px::network<px::image<16, 8, 8>, px::batch_norm<px::relu>, px::batch_norm<px::softplus>,
                    px::dropout<0.25>, px::layer_norm<px::tanh>, px::layer_norm<px::softplus>, px::dense<300>,
                    px::batch_norm<px::relu>, px::layer_norm<>, px::batch_norm<px::softplus>,
                    px::dropout<0.5>, px::dense<10>, px::softmax>{},
        px::quadratic{}, px::sgd{});
  train(px::network<px::mixed<px::fp16>, px::image<16, 16, 16>, px::batch_norm<px::relu>, px::dropout<0.25>,
                    px::layer_norm<px::tanh>, px::dense<300>, px::batch_norm<px::softplus>, px::softmax,
                    px::layer_norm<px::softplus>>{},
        px::quadratic{}, px::sgd{});
  px::network<px::image<16, 8, 8>, px::conv2d<4, 3>, px::batch_norm<px::relu>, px::batch_norm<>,
              px::dropout<0.5>, px::dense<8>, px::batch_norm<>, px::batch_norm<>>
      normalized;
  normalized.input_gradient({}, {}, {});
  // Images that excite a unit.
  px::network<px::image<3, 8, 8>, px::dense<2>> excited;
  px::inspect::maximize_activation<0>(excited, px::inspect::unit{0});
  px::network<px::input<3>, px::dense<2>>{}.initialize({}, px::normal{});
  px::context on;
  multiply(on, {}, {});
  multiply_batch<__half>(on, {}, {});
  multiply_batch<__nv_bfloat16>(on, {}, {});
  multiply_on_tensor_cores<px::layout::nt, __half>(on, {}, {});
  multiply_on_tensor_cores<px::layout::nn, __half>(on, {}, {});
  multiply_on_tensor_cores<px::layout::tn, __half>(on, {}, {});
  multiply_on_tensor_cores<px::layout::nn, __nv_bfloat16>(on, {}, {});
  multiply_on_tensor_cores<px::layout::nt, float>(on, {}, {});
  multiply_on_tensor_cores<px::layout::tn, float>(on, {}, {});

  use_as_function(on, px::network<px::input<3>, px::dense<3, px::sigmoid, px::no_bias>,
                                  px::dense<2, px::sigmoid, px::no_bias>>{});
  use_as_function(
      on, px::network<px::input<16>, px::dense<16, px::tanh>, px::dense<16, px::tanh>, px::dense<1>>{});
}
