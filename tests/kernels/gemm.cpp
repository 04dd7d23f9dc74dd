// GEMM and everything gemm() picks, against a naive product in double.
#include "product.hpp"
#include "support/catch.hpp"

#include <plexus/linalg/gemm.hpp>

#include <string>

namespace {

using namespace plexus::kernel_test;
using plexus::layout;
namespace kernels = plexus::kernels;

// The ways to compute a product.
enum class path {
  native,
  vendor,
  direct,
  wide_tile,
  large_tile,
  medium_tile,
  small_tile,
  tall_tile,
  flat_tile,
  slices,
  skinny,
  skinny_transposed,
  skinny_slices
};

// Three slices, in memory that holds NaN before.
template <class Epilogue, class Launch>
void multiply_in_slices(plexus::context& context, shape size, const Epilogue& epilogue,
                        const Launch& launch) {
  const auto [m, n, k, count] = size;
  const device_matrix parts(3 * m, n, {});
  launch(plexus::store{plexus::matrix(parts.view().data, 3 * m, n)});
  kernels::sum_slices(context.stream(), parts.view().data, 3, m, n, epilogue);
  context.synchronize();
}

template <layout L, class Epilogue>
void multiply_skinny(const plexus::context& context, plexus::matrix_view<const float> a,
                     plexus::matrix_view<const float> b, const Epilogue& epilogue, int slices = 1) {
  if constexpr (L == layout::nt) {
    kernels::skinny_by_rows(context.stream(), a, b, epilogue);
  } else {
    kernels::skinny_by_columns<L == layout::nn>(context.stream(), a, b, epilogue, slices);
  }
}

template <layout L, class Epilogue>
void multiply(plexus::context& context, path way, const product<L>& p, const Epilogue& epilogue) {
  context.set_policy(way == path::vendor ? plexus::gemm_policy::vendor : plexus::gemm_policy::native);
  const plexus::matrix_view<const float> a = p.a.view();
  const plexus::matrix_view<const float> b = p.b.view();
  switch (way) {
    case path::native:
    case path::vendor:
      return plexus::gemm<L>(context, a, b, epilogue);
    case path::direct:
      return kernels::direct_product<L>(context.stream(), a, b, epilogue);
    case path::wide_tile:
      return kernels::launch_gemm<L, kernels::wide_gemm_tile>(context.stream(), a, b, epilogue);
    case path::large_tile:
      return kernels::launch_gemm<L, kernels::large_gemm_tile>(context.stream(), a, b, epilogue);
    case path::medium_tile:
      return kernels::launch_gemm<L, kernels::medium_gemm_tile>(context.stream(), a, b, epilogue);
    case path::small_tile:
      return kernels::launch_gemm<L, kernels::small_gemm_tile>(context.stream(), a, b, epilogue);
    case path::tall_tile:
      return kernels::launch_gemm<L, kernels::tall_gemm_tile>(context.stream(), a, b, epilogue);
    case path::flat_tile:
      return kernels::launch_gemm<L, kernels::flat_gemm_tile>(context.stream(), a, b, epilogue);
    case path::slices:
      return multiply_in_slices(context, p.size, epilogue, [&](const plexus::store& parts) {
        kernels::launch_gemm<L, kernels::small_gemm_tile>(context.stream(), a, b, parts, 3);
      });
    case path::skinny:
      return multiply_skinny<L>(context, a, b, epilogue);
    case path::skinny_transposed: {  // of A·B there is none
      const kernels::transposed_epilogue<Epilogue> transposed{epilogue};
      if constexpr (L == layout::nn) return multiply_skinny<L>(context, a, b, epilogue);
      return multiply_skinny<L>(context, b, a, transposed);
    }
    case path::skinny_slices:  // of A·Bᵀ there are none
      if constexpr (L == layout::nt) return multiply_skinny<L>(context, a, b, epilogue);
      return multiply_in_slices(context, p.size, epilogue, [&](const plexus::store& parts) {
        multiply_skinny<L>(context, a, b, parts, 3);
      });
  }
}

std::vector<path> paths() {
  std::vector<path> all{path::native,      path::direct,     path::wide_tile,         path::large_tile,
                        path::medium_tile, path::small_tile, path::tall_tile,         path::flat_tile,
                        path::slices,      path::skinny,     path::skinny_transposed, path::skinny_slices};
  if (plexus::has_vendor_blas) all.push_back(path::vendor);
  return all;
}

enum class epilogue_kind { store, accumulate, bias_activation, bias_activation_keep, times_derivative };
constexpr epilogue_kind epilogue_kinds[] = {
    epilogue_kind::store, epilogue_kind::accumulate, epilogue_kind::bias_activation,
    epilogue_kind::bias_activation_keep, epilogue_kind::times_derivative};

template <layout L>
void require_epilogue(plexus::context& context, generator& random, path way, const product<L>& p,
                      epilogue_kind kind, placement where) {
  const auto [m, n, k, count] = p.size;
  device_matrix c(m, n, where);
  switch (kind) {
    case epilogue_kind::store: {
      multiply(context, way, p, plexus::store{c.view()});
      require_result(context, c, tolerance_of_sums(k), p);
      break;
    }
    case epilogue_kind::accumulate: {
      c = device_matrix::random(random, m, n, where);
      const auto before = [old = bits(c), n = n](int i, int j) {
        return static_cast<double>(std::bit_cast<float>(
            old[static_cast<std::size_t>(i) * static_cast<std::size_t>(n) + static_cast<std::size_t>(j)]));
      };
      multiply(context, way, p, plexus::accumulate{c.view()});
      require_result(context, c, tolerance_of_sums(k), [&](int i, int j) { return before(i, j) + p(i, j); });
      break;
    }
    case epilogue_kind::bias_activation: {
      const device_matrix bias = device_matrix::random(random, 1, n, where);
      const float* values = bias.view().data;
      multiply(context, way, p, plexus::bias_activation{c.view(), values, bent_line{}});
      require_result(context, c, tolerance_of_sums(k),
                     [&](int i, int j) { return bent_line_of(p(i, j) + static_cast<double>(bias(0, j))); });
      break;
    }
    case epilogue_kind::bias_activation_keep: {
      device_matrix z(m, n, {where.offset, where.slack});
      multiply(context, way, p,
               plexus::bias_activation_keep{c.view(), plexus::no_bias_term{}, bent_line{}, z.view()});
      require_result(context, z, tolerance_of_sums(k), p);
      require_result(context, c, tolerance_of_sums(k), [&](int i, int j) { return bent_line_of(p(i, j)); });
      break;
    }
    case epilogue_kind::times_derivative: {
      const device_matrix factors = device_matrix::random(random, m, n, {where.offset, where.slack});
      multiply(context, way, p, plexus::times_derivative{c.view(), stored_factor{factors.view()}});
      require_result(context, c, tolerance_of_sums(k),
                     [&](int i, int j) { return p(i, j) * static_cast<double>(factors(i, j)); });
      break;
    }
  }
}

template <layout L>
void require_product(plexus::context& context, generator& random, path way, shape size, epilogue_kind kind,
                     const placement (&where)[3]) {
  INFO("layout " << static_cast<int>(L) << ", path " << static_cast<int>(way) << ", epilogue "
                 << static_cast<int>(kind) << ", m " << size.m << ", n " << size.n << ", k " << size.k);
  for (const placement& at : where)
    UNSCOPED_INFO("ld = columns + " << at.slack << ", " << at.offset << " floats past alignment");
  const product<L> p(random, size, where[0], where[1]);
  require_epilogue(context, random, way, p, kind, where[2]);
}

void require_product(plexus::context& context, generator& random, layout l, path way, shape size,
                     epilogue_kind kind, const placement (&where)[3]) {
  switch (l) {
    case layout::nt:
      return require_product<layout::nt>(context, random, way, size, kind, where);
    case layout::nn:
      return require_product<layout::nn>(context, random, way, size, kind, where);
    case layout::tn:
      return require_product<layout::tn>(context, random, way, size, kind, where);
  }
}

// Whether skinny_gemm() takes a product and, if so, computes it.
template <layout L>
void require_skinny(shape size, bool is_one) {
  INFO("layout " << static_cast<int>(L) << ", m " << size.m << ", n " << size.n << ", k " << size.k);
  plexus::context context;
  generator random(15);
  const product<L> p(random, size, {}, {});
  device_matrix c(size.m, size.n, {});
  REQUIRE(plexus::skinny_gemm<L, plexus::any_shape>(context, {size.m, size.n, size.k}, p.a.view(), p.b.view(),
                                                    plexus::store{c.view()}) == is_one);
  if (is_one) require_result(context, c, tolerance_of_sums(size.k), p);
}

// Sizes that are known when a product is compiled change nothing of what it computes.
template <layout L, plexus::gemm_shape Known>
void require_same_as_unknown(plexus::context& context, generator& random, shape size, placement where) {
  INFO("layout " << static_cast<int>(L) << ", m " << size.m << ", n " << size.n << ", k " << size.k);
  const product<L> p(random, size, where, where);
  device_matrix known(size.m, size.n, {}), unknown(size.m, size.n, {});
  plexus::gemm<L, Known>(context, p.a.view(), p.b.view(), plexus::store{known.view()});
  plexus::gemm<L>(context, p.a.view(), p.b.view(), plexus::store{unknown.view()});
  known.download(context.stream());
  unknown.download(context.stream());
  REQUIRE(bits(known) == bits(unknown));
}

// As a dense layer's, of a width of `In` and `Out`, for batches of 0 … 200.
template <int In, int Out>
void require_known_layer(generator& random) {
  constexpr int any = plexus::any_extent;
  constexpr plexus::gemm_shape z{any, Out, In}, dx{any, In, Out}, dw{Out, In, any};
  plexus::context context;
  for (const int batch : {0, 1, 2, 20, 65, 200}) {
    for (const placement where : {placement{}, placement{1, 1}}) {
      require_same_as_unknown<layout::nt, z>(context, random, {batch, Out, In}, where);
      require_same_as_unknown<layout::nn, dx>(context, random, {batch, In, Out}, where);
      require_same_as_unknown<layout::tn, dw>(context, random, {Out, In, batch}, where);
    }
  }
}

// `count` random products up to `largest`, with everything else random too.
void require_random_products(int count, int largest) {
  plexus::context context;
  generator random(20240531);
  const std::vector<path> ways = paths();
  for (int i = 0; i < count; ++i) {
    shape size{random_int(random, 1, largest), random_int(random, 1, largest),
               random_int(random, 1, largest)};
    if (i % 2 == 0)
      size = {(size.m + 3) / 4 * 4, (size.n + 3) / 4 * 4, (size.k + 3) / 4 * 4};  // rows of whole packets
    const placement where[] = {random_placement(random), random_placement(random), random_placement(random)};
    const layout l = layouts[random() % 3];
    const path way = ways[random() % ways.size()];
    const epilogue_kind kind = epilogue_kinds[random() % 5];
    require_product(context, random, l, way, size, kind, where);
  }
}

}  // namespace

TEST_CASE(
    "gemm: random shapes, leading dimensions, alignments and epilogues agree with a product in double") {
  require_random_products(150, 50);
}

TEST_CASE("gemm: random shapes up to 300 agree with a product in double", "[slow]") {
  require_random_products(300, 300);
}

TEST_CASE("gemm: every layout, way and epilogue, at a shape that no tile divides") {
  plexus::context context;
  generator random(7);
  for (const layout l : layouts) {
    for (const path way : paths()) {
      for (const epilogue_kind kind : epilogue_kinds) {
        require_product(context, random, l, way, {37, 41, 29}, kind, {{3, 1}, {0, 2}, {5, 3}});
        require_product(context, random, l, way, {36, 44, 28}, kind, {{4, 0}, {}, {1, 1}});
        // Aligned rows that do not end with a whole packet.
        require_product(context, random, l, way, {37, 41, 29}, kind, {{3, 0}, {3, 0}, {}});
      }
    }
  }
}

TEST_CASE("gemm: several blocks of the large tile") {
  plexus::context context;
  generator random(8);
  for (const layout l : layouts) {
    require_product(context, random, l, path::large_tile, {140, 260, 20}, epilogue_kind::bias_activation,
                    {{}, {}, {}});
    require_product(context, random, l, path::large_tile, {129, 131, 17}, epilogue_kind::store,
                    {{1, 1}, {2, 3}, {}});
  }
}

TEST_CASE("gemm: a product large enough that the large tile is picked", "[slow]") {
  plexus::context context;
  generator random(9);
  require_product(context, random, layout::nt, path::native, {1030, 1025, 12}, epilogue_kind::store,
                  {{}, {}, {}});
}

TEST_CASE("gemm: sizes 0, 1 and 2 in every dimension") {
  plexus::context context;
  generator random(10);
  for (const layout l : layouts) {
    for (const path way : paths()) {
      for (int i = 0; i < 27; ++i) {
        const shape size{i / 9, i / 3 % 3, i % 3};
        const epilogue_kind kind = epilogue_kinds[i % 5];
        require_product(context, random, l, way, size, kind, {{1, 0}, {0, 1}, {2, 1}});
      }
    }
  }
}

TEST_CASE("gemm: a single sample or a single output takes the vector kernels") {
  plexus::context context;
  generator random(11);
  for (const path way : paths()) {
    for (const epilogue_kind kind : epilogue_kinds) {
      for (const int wide : {300, 77}) {
        const int slack = wide % 4 == 0 ? 4 : 1;
        const placement where[] = {{slack, 0}, {slack, 0}, {3, 1}};
        require_product(context, random, layout::nt, way, {1, 45, wide}, kind, where);
        require_product(context, random, layout::nn, way, {1, wide, 45}, kind, where);
        require_product(context, random, layout::tn, way, {wide, 45, 1}, kind, where);
        require_product(context, random, layout::nt, way, {45, 1, wide}, kind, where);
        require_product(context, random, layout::nn, way, {45, wide, 1}, kind, where);
        require_product(context, random, layout::tn, way, {1, 45, wide}, kind, where);
      }
    }
  }
}

TEST_CASE("gemm: few rows or few columns, which take the skinny kernels on a GPU") {
  plexus::context context;
  generator random(14);
  for (const epilogue_kind kind : epilogue_kinds) {
    for (const int few : {2, 8, 13, 16}) {
      for (const placement& where : {placement{}, placement{1, 1}}) {
        const placement all[] = {where, where, {}};
        require_product(context, random, layout::nt, path::native, {few, 40, 300}, kind, all);
        require_product(context, random, layout::nt, path::native, {41, few, 128}, kind, all);
        require_product(context, random, layout::nn, path::native, {few, 300, 40}, kind, all);
        require_product(context, random, layout::nn, path::native, {300, few, 40}, kind, all);
        require_product(context, random, layout::tn, path::native, {few, 130, 600}, kind, all);
        require_product(context, random, layout::tn, path::native, {132, few, 600}, kind, all);
      }
    }
  }
}

TEST_CASE("skinny_gemm: takes few rows or columns of long ones, and nothing else") {
  require_skinny<layout::nt>({16, 40, 300}, true);
  require_skinny<layout::nt>({40, 16, 128}, true);
  require_skinny<layout::nt>({17, 40, 300}, false);
  require_skinny<layout::nt>({40, 16, 127}, false);
  require_skinny<layout::nt>({2, 3, 8200}, plexus::platform::on_cpu);  // a GPU cuts so long a sum into slices
  require_skinny<layout::nn>({16, 128, 40}, true);
  require_skinny<layout::nn>({17, 300, 40}, false);
  require_skinny<layout::nn>({300, 16, 40}, false);
  require_skinny<layout::tn>({9, 130, 600}, true);
  require_skinny<layout::tn>({130, 9, 600}, true);
  require_skinny<layout::tn>({17, 130, 600}, false);
  require_skinny<layout::tn>({9, 127, 600}, false);
}

TEST_CASE("gemm: two runs give the same bits, and the tile does not change them") {
  plexus::context context;
  generator random(12);
  const product<layout::nt> p(random, {132, 136, 300}, {}, {});
  const auto bits_of = [&](path way) {
    device_matrix c(p.size.m, p.size.n, {});
    multiply(context, way, p, plexus::store{c.view()});
    c.download(context.stream());
    return bits(c);
  };
  for (const path way : paths()) REQUIRE(bits_of(way) == bits_of(way));
  for (const path tile :
       {path::wide_tile, path::large_tile, path::medium_tile, path::tall_tile, path::flat_tile})
    REQUIRE(bits_of(tile) == bits_of(path::small_tile));
}

TEST_CASE("gemm: sizes that are known when it is compiled compute the same bits") {
  generator random(13);
  require_known_layer<3, 2>(random);
  require_known_layer<1, 70>(random);
  require_known_layer<70, 1>(random);
  require_known_layer<200, 130>(random);
  require_known_layer<200, 10>(random);
  require_known_layer<10, 200>(random);
  require_known_layer<200, 600>(random);  // sums down columns in slices
  require_known_layer<8200, 3>(random);   // and along rows
}

TEST_CASE("gemm: each dimension must fit, and be the known one") {
  plexus::context context;
  const device_matrix a(3, 4, {}), fitting(5, 4, {}), deeper(5, 6, {}), c(3, 5, {}), taller(4, 5, {}),
      wider(3, 6, {});
  const auto multiply = [&]<plexus::gemm_shape Known = plexus::any_shape>(const device_matrix& b,
                                                                          const device_matrix& into) {
    plexus::gemm<layout::nt, Known>(context, a.view(), b.view(), plexus::store{into.view()});
  };
  CHECK_NOTHROW(multiply(fitting, c));
  CHECK_THROWS_AS(multiply(deeper, c), plexus::error);
  CHECK_THROWS_AS(multiply(fitting, taller), plexus::error);
  CHECK_THROWS_AS(multiply(fitting, wider), plexus::error);
  constexpr int any = plexus::any_extent;
  CHECK_NOTHROW(multiply.template operator()<plexus::gemm_shape{3, 5, 4}>(fitting, c));
  CHECK_THROWS_AS((multiply.template operator()<plexus::gemm_shape{2, any, any}>(fitting, c)), plexus::error);
  CHECK_THROWS_AS((multiply.template operator()<plexus::gemm_shape{any, 4, any}>(fitting, c)), plexus::error);
  CHECK_THROWS_AS((multiply.template operator()<plexus::gemm_shape{any, any, 5}>(fitting, c)), plexus::error);
  context.synchronize();
}

TEST_CASE("gemm: the vendor's BLAS where the program has none is an error that says what to do") {
  if (plexus::has_vendor_blas) return;
  const auto says_what_to_do = Catch::Matchers::ContainsSubstring("PLEXUS_VENDOR_BLAS");
  plexus::context context;
  REQUIRE_THROWS_WITH(context.set_policy(plexus::gemm_policy::vendor), says_what_to_do);
  REQUIRE_THROWS_WITH(plexus::context(plexus::gemm_policy::vendor), says_what_to_do);
  REQUIRE(context.policy() == plexus::gemm_policy::native);
}
