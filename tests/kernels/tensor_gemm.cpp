// GEMM on tensor cores against a naive product in double of the operands as a tensor core takes them.
#include "product.hpp"
#include "support/worst.hpp"

#include <plexus/activations/identity.hpp>
#include <plexus/core/context.hpp>
#include <plexus/kernels/epilogue.hpp>
#include <plexus/kernels/tensor_gemm.hpp>
#include <plexus/linalg/multiply.hpp>

#include <algorithm>
#include <cmath>

namespace {

using namespace plexus::cuda_names;
using namespace plexus::kernel_test;
using plexus::layout, plexus::matrix_view;
namespace kernels = plexus::kernels;

template <layout L, class T>
using tensor_product = product<L, T, as_by_tensor_cores>;

enum class tile { small, large, by_wmma };
constexpr tile tiles[] = {tile::small, tile::large, tile::by_wmma};

template <layout L, class T, class Epilogue>
void multiply(const plexus::context& on, tile by, const tensor_product<L, T>& p, const Epilogue& epilogue) {
  const matrix_view<const T> a = p.a.view(), b = p.b.view();
  switch (by) {
    case tile::small:
      return kernels::launch_tensor_gemm<L, kernels::small_tensor_tile>(on.stream(), a, b, epilogue);
    case tile::large:
      return kernels::launch_tensor_gemm<L, kernels::large_tensor_tile>(on.stream(), a, b, epilogue);
    case tile::by_wmma:
      using wmma_tile = kernels::wmma_tile<kernels::small_tensor_tile>;
      return kernels::launch_tensor_gemm<L, wmma_tile>(on.stream(), a, b, epilogue);
  }
}

template <layout L, class T>
void require_product(const plexus::context& on, generator& random, tile by, shape size,
                     const placement (&where)[3]) {
  INFO("layout " << static_cast<int>(L) << ", tile " << static_cast<int>(by) << ", m " << size.m << ", n "
                 << size.n << ", k " << size.k);
  for (const placement& at : where)
    UNSCOPED_INFO("ld = columns + " << at.slack << ", " << at.offset << " elements past alignment");
  const tensor_product<L, T> p(random, size, where[0], where[1]);
  device_matrix c(size.m, size.n, where[2]);
  multiply(on, by, p, plexus::store{c.view()});
  require_result(on, c, tolerance_on_tensor_cores<T>(p.size.k), p);
}

template <class T>
void require_product(const plexus::context& on, generator& random, layout l, tile by, shape size,
                     const placement (&where)[3]) {
  switch (l) {
    case layout::nt:
      return require_product<layout::nt, T>(on, random, by, size, where);
    case layout::nn:
      return require_product<layout::nn, T>(on, random, by, size, where);
    case layout::tn:
      return require_product<layout::tn, T>(on, random, by, size, where);
  }
}

// Half of all matrices have rows of whole 16-byte packets, which asynchronous copies bring.
placement random_placement(generator& random, int cols) {
  if (random_int(random, 0, 1) == 0) return {(8 - cols % 8) % 8, 0};
  return {random_int(random, 0, 8), random_int(random, 0, 8)};
}

template <class T>
void require_random_products(int count, int largest) {
  const plexus::context on;
  generator random(20240602);
  for (int i = 0; i < count; ++i) {
    const auto size = [&] { return random_int(random, 1, largest); };
    const shape of{size(), size(), size()};
    const layout l = layouts[random() % 3];
    const placement where[] = {random_placement(random, l == layout::tn ? of.m : of.k),
                               random_placement(random, l == layout::nt ? of.k : of.n),
                               random_placement(random, of.n)};
    require_product<T>(on, random, l, tiles[random() % 3], of, where);
  }
}

}  // namespace

TEMPLATE_TEST_CASE(
    "tensor_gemm: random shapes, leading dimensions and alignments agree with a product in double", "",
    __half, __nv_bfloat16, float) {
  require_random_products<TestType>(40, 70);
}

TEMPLATE_TEST_CASE("tensor_gemm: random shapes up to 300 agree with a product in double", "[slow]", __half,
                   __nv_bfloat16, float) {
  require_random_products<TestType>(100, 300);
}

TEMPLATE_TEST_CASE("tensor_gemm: every layout and tile, at shapes that no tile divides", "", __half, float) {
  const plexus::context on;
  generator random(21);
  for (const layout l : layouts) {
    for (const tile by : tiles) {
      require_product<TestType>(on, random, l, by, {37, 41, 29}, {{3, 1}, {0, 2}, {5, 3}});
      require_product<TestType>(on, random, l, by, {40, 48, 136}, {{8, 0}, {}, {1, 1}});
      // Aligned rows that do not end with a whole packet; more than three pieces of k.
      require_product<TestType>(on, random, l, by, {37, 41, 141}, {{3, 0}, {7, 0}, {}});
    }
  }
}

TEMPLATE_TEST_CASE("tensor_gemm: several blocks of both tiles", "", __half, float) {
  const plexus::context on;
  generator random(22);
  for (const layout l : layouts) {
    require_product<TestType>(on, random, l, tile::large, {136, 264, 40}, {});
    require_product<TestType>(on, random, l, tile::large, {129, 131, 17}, {{7, 0}, {2, 3}, {}});
    require_product<TestType>(on, random, l, tile::small, {129, 131, 17}, {{1, 0}, {5, 0}, {}});
  }
}

TEST_CASE("tensor_gemm: sizes 0, 1 and 2 in every dimension") {
  const plexus::context on;
  generator random(24);
  for (const layout l : layouts) {
    for (int i = 0; i < 27; ++i) {
      const shape size{i / 9, i / 3 % 3, i % 3};
      require_product<__half>(on, random, l, tile::small, size, {{1, 0}, {0, 1}, {2, 1}});
    }
  }
}

TEMPLATE_TEST_CASE("tensor_gemm: 16-bit results are the sums in FP32, rounded once", "", __half,
                   __nv_bfloat16) {
  const plexus::context on;
  generator random(25);
  const tensor_product<layout::nt, TestType> p(random, {50, 70, 100}, {}, {});
  const device_matrix bias = device_matrix::random(random, 1, 70, {});
  device_matrix_of<TestType> c(50, 70, {2, 1});
  multiply(
      on, tile::small, p,
      plexus::bias_activation{c.view(), static_cast<const float*>(bias.view().data), plexus::identity{}});
  const double half_of_last_bit = std::is_same_v<TestType, __half> ? 0x1p-11 : 0x1p-8;
  require_result(on, c, half_of_last_bit + tolerance_on_tensor_cores<TestType>(p.size.k),
                 [&](int i, int j) { return p(i, j) + static_cast<double>(bias(0, j)); });
}

TEMPLATE_TEST_CASE("tensor_gemm: slices of k lie one below the other and add up to the product", "", __half,
                   float) {
  const plexus::context on;
  generator random(28);
  const int slices = GENERATE(2, 3, 9);
  const tensor_product<layout::tn, TestType> p(random, {35, 50, 200}, {5, 0}, {6, 0});
  device_matrix parts(slices * 35, 50, {});
  kernels::launch_tensor_gemm<layout::tn, kernels::small_tensor_tile>(
      on.stream(), matrix_view<const TestType>(p.a.view()), matrix_view<const TestType>(p.b.view()),
      plexus::store{parts.view()}, slices);
  parts.download(on.stream());
  double worst = 0;
  for (int i = 0; i < 35; ++i) {
    for (int j = 0; j < 50; ++j) {
      double sum = 0;
      for (int slice = 0; slice < slices; ++slice) sum += static_cast<double>(parts(slice * 35 + i, j));
      worst = support::worse(worst, std::abs(sum - p(i, j)) / std::max(1.0, std::abs(p(i, j))));
    }
  }
  REQUIRE(worst <= tolerance_on_tensor_cores<TestType>(p.size.k));
  REQUIRE(parts.guards_intact());
}

TEST_CASE("gemm of 16-bit elements: few results of long sums, which a GPU adds up in slices") {
  plexus::context on;
  generator random(30);
  const tensor_product<layout::tn, __half> p(random, {20, 30, 700}, {4, 0}, {2, 0});
  const device_matrix bias = device_matrix::random(random, 1, 30, {});
  device_matrix_of<__half> c(20, 30, {2, 0});
  plexus::gemm<layout::tn>(
      on, matrix_view<const __half>(p.a.view()), matrix_view<const __half>(p.b.view()),
      plexus::bias_activation{c.view(), static_cast<const float*>(bias.view().data), plexus::identity{}});
  require_result(on, c, 0x1p-11 + tolerance_on_tensor_cores<__half>(p.size.k),
                 [&](int i, int j) { return p(i, j) + static_cast<double>(bias(0, j)); });
}

TEST_CASE("tensor_gemm: two runs give the same bits, and neither tile nor instruction changes them") {
  const plexus::context on;
  generator random(26);
  const tensor_product<layout::nn, __half> p(random, {132, 136, 200}, {}, {});
  const auto bits_of = [&](tile by) {
    device_matrix c(p.size.m, p.size.n, {});
    multiply(on, by, p, plexus::store{c.view()});
    c.download(on.stream());
    return bits(c);
  };
  REQUIRE(bits_of(tile::large) == bits_of(tile::large));
  REQUIRE(bits_of(tile::large) == bits_of(tile::small));
  REQUIRE(bits_of(tile::large) == bits_of(tile::by_wmma));
}

namespace {

// What architectures before sm_80 do for bfloat16 and TF32: one warp and one piece of k, multiplied by CUDA
// cores.
template <class A, class B>
__global__ void __launch_bounds__(32)
    by_cuda_cores(matrix_view<const typename A::element> a, matrix_view<const typename A::element> b,
                  plexus::store epilogue) {
  using element = typename A::element;
  alignas(32) __shared__ element shared_a[A::size];
  alignas(32) __shared__ element shared_b[B::size];
  alignas(32) __shared__ float slabs[kernels::epilogue_slabs<kernels::small_tensor_tile>::size];
  kernels::tensor_matrix_loader<A, 32>(a, 0, 0).copy(shared_a, 0);
  kernels::tensor_matrix_loader<B, 32>(b, 0, 0).copy(shared_b, 0);
  __pipeline_commit();
  __pipeline_wait_prior(0);
  __syncwarp();
  kernels::cuda_core_sums<kernels::small_tensor_tile, A, B> sums;
  sums.multiply_add(shared_a, shared_b);
  kernels::finish<kernels::small_tensor_tile>(sums, slabs, 0, 0, epilogue.c.rows, epilogue.c.cols, epilogue);
}

template <layout L, class T>
void require_product_by_cuda_cores() {
  using a = kernels::staged_operand<T, 32, L != layout::tn, 1>;
  using b = kernels::staged_operand<T, 32, L == layout::nt, 1>;
  const plexus::context on;
  generator random(27);
  const tensor_product<L, T> p(random, {31, 27, a::depth - 1}, {}, {});
  device_matrix c(31, 27, {});
  const matrix_view<const T> view_a = p.a.view(), view_b = p.b.view();
  plexus::launch("multiplying by CUDA cores", on.stream(), {dim3(1), dim3(32)}, by_cuda_cores<a, b>, view_a,
                 view_b, plexus::store{c.view()});
  require_result(on, c, std::is_same_v<T, float> ? 0x1p-8 : tolerance_on_tensor_cores<T>(p.size.k), p);
}

}  // namespace

TEMPLATE_TEST_CASE("tensor_gemm: where tensor cores do not know the type, CUDA cores multiply it", "",
                   __nv_bfloat16, float) {
  require_product_by_cuda_cores<layout::nt, TestType>();
  require_product_by_cuda_cores<layout::nn, TestType>();
  require_product_by_cuda_cores<layout::tn, TestType>();
}
