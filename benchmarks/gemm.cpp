// The matrix products of dense layers through the library: by default as a network would have them, or with
// --policy by its own kernels or by the vendor's BLAS.
#include "policy.hpp"
#include "products.hpp"

#include <plexus/plexus.hpp>

namespace px = plexus;

namespace {

px::buffer<float> random_matrix(const px::context& on, int rows, int cols) {
  px::buffer<float> values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols));
  px::for_each(on.stream(), values.size(), px::fill_uniform{values.data(), px::random_stream{1, 2}, -1, 1});
  return values;
}

template <px::layout L>
void time_product(const products::product& p, px::gemm_policy policy, benchmark::State& state) {
  px::context on(policy);
  const bool a_is_tall = L == px::layout::tn, b_is_tall = L == px::layout::nt;
  const auto a = random_matrix(on, a_is_tall ? p.k : p.m, a_is_tall ? p.m : p.k);
  const auto b = random_matrix(on, b_is_tall ? p.n : p.k, b_is_tall ? p.k : p.n);
  const auto c = random_matrix(on, p.m, p.n);
  const auto a_view = px::matrix<const float>(a.data(), a_is_tall ? p.k : p.m, a_is_tall ? p.m : p.k);
  const auto b_view = px::matrix<const float>(b.data(), b_is_tall ? p.n : p.k, b_is_tall ? p.k : p.n);
  const int launches = products::calls(p);
  px::event begin, end;
  for (auto _ : state) {
    begin.record(on.stream());
    for (int i = 0; i < launches; ++i)
      px::gemm<L>(on, a_view, b_view, px::store{px::matrix(c.data(), p.m, p.n)});
    end.record(on.stream());
    state.SetIterationTime(double{px::elapsed_ms(begin, end)} / 1000 / launches);
  }
}

}  // namespace

int main(int argc, char** argv) {
  auto arguments = workload::parse(argc, argv, products::names());
  const px::gemm_policy policy = workload::policy_of(arguments);
  products::time_products(arguments, [policy](const products::product& p, benchmark::State& state) {
    if (p.layout == "nt") {
      time_product<px::layout::nt>(p, policy, state);
    } else if (p.layout == "nn") {
      time_product<px::layout::nn>(p, policy, state);
    } else {
      time_product<px::layout::tn>(p, policy, state);
    }
  });
}
