// Batches of products, against a naive product in double.
#include "product.hpp"

#include <plexus/linalg/batched_gemm.hpp>

namespace {

using namespace plexus::kernel_test;
using plexus::layout;
using namespace plexus::cuda_names;
namespace kernels = plexus::kernels;

// The ways to compute a batch.
enum class path { native, vendor, direct, small_tile, other_tile };

std::vector<path> paths() {
  std::vector<path> all{path::native, path::direct, path::small_tile, path::other_tile};
  if (plexus::has_vendor_blas) all.push_back(path::vendor);
  return all;
}

template <layout L, class Tile, class TensorTile, class T, class Epilogue>
void multiply_by_tile(const plexus::context& context, const product<L, T>& p, const Epilogue& epilogue) {
  const plexus::matrix_view<const T> a = p.a.view(), b = p.b.view();
  if constexpr (std::is_same_v<T, float>) {
    kernels::launch_batched_gemm<L, Tile>(context.stream(), p.size.count, a, b, epilogue);
  } else {
    kernels::launch_batched_tensor_gemm<L, TensorTile>(context.stream(), p.size.count, a, b, epilogue);
  }
}

template <layout L, class T, class Epilogue>
void multiply(plexus::context& context, path way, const product<L, T>& p, const Epilogue& epilogue) {
  context.set_policy(way == path::vendor ? plexus::gemm_policy::vendor : plexus::gemm_policy::native);
  const plexus::matrix_view<const T> a = p.a.view(), b = p.b.view();
  if (p.size.m == 0 || p.size.n == 0) way = path::native;
  switch (way) {
    case path::native:
    case path::vendor:
      return plexus::batched_gemm<L>(context, p.size.count, a, b, epilogue);
    case path::direct:
      return kernels::batched_direct_product<L>(context.stream(), p.size.count, a, b, epilogue);
    case path::small_tile:
      return multiply_by_tile<L, kernels::small_gemm_tile, kernels::small_tensor_tile>(context, p, epilogue);
    case path::other_tile:
      return multiply_by_tile<L, kernels::flat_gemm_tile, kernels::large_tensor_tile>(context, p, epilogue);
  }
}

template <layout L, class T>
void require_batch(plexus::context& context, generator& random, path way, shape size) {
  const placement where_a = random_placement(random), where_b = random_placement(random),
                  where_c = random_placement(random);
  INFO("layout " << static_cast<int>(L) << ", path " << static_cast<int>(way) << ", " << size.count
                 << " times " << size.m << " x " << size.n << " x " << size.k);
  const product<L, T> p(random, size, where_a, where_b);
  device_matrix c(size.count * size.m, size.n, where_c);
  multiply(context, way, p, plexus::store{c.view()});
  require_result(context, c, tolerance_of_sums(size.k), p);
}

template <class T = float>
void require_batch(plexus::context& context, generator& random, layout l, path way, shape size) {
  if (l == layout::nt) return require_batch<layout::nt, T>(context, random, way, size);
  if (l == layout::nn) return require_batch<layout::nn, T>(context, random, way, size);
  return require_batch<layout::tn, T>(context, random, way, size);
}

// `count` times random batches; every fourth is of products so small that they go by loops.
template <class T>
void require_random_batches(int count) {
  plexus::context context;
  generator random(21);
  for (int i = 0; i < count; ++i) {
    for (const path way : paths()) {
      const auto extent = [&] { return random_int(random, 1, i % 4 == 0 ? 4 : 70); };
      require_batch<T>(context, random, layouts[i % 3], way,
                       {extent(), extent(), extent(), random_int(random, 1, 7)});
    }
  }
}

}  // namespace

TEST_CASE("batched_gemm: random shapes, numbers of products, leading dimensions and alignments") {
  require_random_batches<float>(40);
}

TEST_CASE("batched_gemm: random batches in 16 bits") {
  require_random_batches<__half>(16);
  require_random_batches<__nv_bfloat16>(16);
}

TEST_CASE("batched_gemm: every product has tiles and edges of its own") {
  plexus::context context;
  generator random(22);
  for (const layout l : layouts) {
    require_batch(context, random, l, path::native, {140, 36, 20, 3});
    require_batch<__half>(context, random, l, path::native, {140, 140, 40, 2});
  }
}

TEST_CASE("batched_gemm: more products than a grid has rows", "[slow]") {
  plexus::context context;
  generator random(23);
  require_batch(context, random, layout::nn, path::native, {13, 13, 13, 70000});
}

TEST_CASE("batched_gemm: sizes 0, 1 and 2 in every dimension, and of the batch") {
  plexus::context context;
  generator random(24);
  for (const layout l : layouts) {
    for (const path way : paths()) {
      for (int i = 0; i < 54; ++i)
        require_batch(context, random, l, way, {i / 9 % 3, i / 3 % 3, i % 3, 1 + i / 27});
    }
  }
  plexus::batched_gemm<layout::nn>(context, 0, {}, {}, plexus::store{});
}

TEST_CASE("batched_gemm: the epilogue counts the rows of all products") {
  plexus::context context;
  generator random(25);
  for (const path way : paths()) {
    const product<layout::nt> p(random, {37, 41, 29, 3}, {}, {1, 1});
    device_matrix z(3 * 37, 41, {}), c(3 * 37, 41, {2, 1});
    const device_matrix bias = device_matrix::random(random, 1, 41, {});
    const float* const values = bias.view().data;
    const auto expected = [&](int i, int j) { return p(i, j) + static_cast<double>(bias(0, j)); };
    multiply(context, way, p, plexus::bias_activation_keep{c.view(), values, bent_line{}, z.view()});
    require_result(context, z, tolerance_of_sums(29), expected);
    require_result(context, c, tolerance_of_sums(29),
                   [&](int i, int j) { return bent_line_of(expected(i, j)); });

    const device_matrix factors = device_matrix::random(random, 3 * 37, 41, {});
    device_matrix scaled(3 * 37, 41, {});
    multiply(context, way, p, plexus::times_derivative{scaled.view(), stored_factor{factors.view()}});
    require_result(context, scaled, tolerance_of_sums(29),
                   [&](int i, int j) { return p(i, j) * static_cast<double>(factors(i, j)); });
  }
}

TEST_CASE("batched_gemm: accumulates") {
  plexus::context context;
  generator random(26);
  for (const path way : paths()) {
    const product<layout::tn> p(random, {20, 30, 40, 2}, {}, {});
    device_matrix c(40, 30, {});
    multiply(context, way, p, plexus::store{c.view()});
    multiply(context, way, p, plexus::accumulate{c.view()});
    require_result(context, c, tolerance_of_sums(40), [&](int i, int j) { return 2 * p(i, j); });
  }
}
