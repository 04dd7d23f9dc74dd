// What products refuse.
#include "support/bad_input.hpp"

#include "device_matrix.hpp"

#include <plexus/linalg/batched_gemm.hpp>

namespace {

using namespace plexus::kernel_test;
using plexus::layout;

// Multiplies matrices of these shapes.
template <layout L, plexus::gemm_shape Known = plexus::any_shape>
support::folder_action multiplying(plexus::matrix_shape a, plexus::matrix_shape b, plexus::matrix_shape c) {
  return [=](const auto&) {
    plexus::context context;
    const device_matrix left(a.rows, a.cols, {}), right(b.rows, b.cols, {}), into(c.rows, c.cols, {});
    plexus::gemm<L, Known>(context, left.view(), right.view(), plexus::store{into.view()});
  };
}

support::folder_action multiplying_batch(int count, plexus::matrix_shape a, plexus::matrix_shape b,
                                         plexus::matrix_shape c) {
  return [=](const auto&) {
    plexus::context context;
    const device_matrix left(a.rows, a.cols, {}), right(b.rows, b.cols, {}), into(c.rows, c.cols, {});
    plexus::batched_gemm<layout::nn>(context, count, left.view(), right.view(), plexus::store{into.view()});
  };
}

}  // namespace

TEST_CASE("Bad input to products", "[bad_input]") {
  constexpr int any = plexus::any_extent;
  const std::string shapes = "the shapes A (3, 4), B (5, 6) and C (3, 5) do not fit";
  const std::string batch = "multiplying a batch of matrices",
                    stack = "stack one matrix for each product, one below the other";
  support::check_bad_inputs(
      "products",
      {
          {"matrices that do not fit A·Bᵀ", multiplying<layout::nt>({3, 4}, {5, 6}, {3, 5}),
           "multiplying matrices, C = A·Bᵀ", shapes, "give A (m, k), B (n, k) and C (m, n)"},
          {"matrices that do not fit A·B", multiplying<layout::nn>({3, 4}, {5, 6}, {3, 5}),
           "multiplying matrices, C = A·B", shapes, "give A (m, k), B (k, n) and C (m, n)"},
          {"matrices that do not fit Aᵀ·B", multiplying<layout::tn>({3, 4}, {5, 6}, {3, 5}),
           "multiplying matrices, C = Aᵀ·B", shapes, "give A (k, m), B (k, n) and C (m, n)"},
          {"a size that the product was not compiled for",
           multiplying<layout::nt, plexus::gemm_shape{2, any, any}>({3, 4}, {5, 4}, {3, 5}),
           "multiplying matrices", "the product is 3 x 5 x 4 and was compiled for 2 x any x any (m x n x k)",
           "give matrices of these sizes, or leave the sizes open"},
          {"a negative number of products", multiplying_batch(-1, {3, 4}, {4, 5}, {3, 5}), batch,
           "-1 products are asked for", "give their number, 0 or more"},
          {"half a matrix in A", multiplying_batch(2, {7, 4}, {8, 5}, {6, 5}), batch,
           "A's 7 rows are not 2 matrices of equal height", stack},
          {"half a matrix in B", multiplying_batch(2, {6, 4}, {9, 5}, {6, 5}), batch,
           "B's 9 rows are not 2 matrices of equal height", stack},
          {"half a matrix in C", multiplying_batch(2, {6, 4}, {8, 5}, {5, 5}), batch,
           "C's 5 rows are not 2 matrices of equal height", stack},
          {"a batch whose matrices do not fit", multiplying_batch(2, {6, 4}, {10, 5}, {6, 5}),
           "multiplying matrices, C = A·B", "the shapes A (3, 4), B (5, 5) and C (3, 5) do not fit",
           "give A (m, k), B (k, n) and C (m, n)"},
      });
}
