// cuBLAS over CBLAS against sums in double, written out from the definition.
#include <hostcuda/cublas.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "engine_support.hpp"
#include "runtime_support.hpp"
#include "support/catch.hpp"

using namespace hostcuda;

namespace {

class scoped_handle {
 public:
  scoped_handle() { REQUIRE(cublasCreate(&handle_) == CUBLAS_STATUS_SUCCESS); }
  scoped_handle(const scoped_handle&) = delete;
  scoped_handle& operator=(const scoped_handle&) = delete;
  ~scoped_handle() { cublasDestroy(handle_); }
  operator cublasHandle_t() const { return handle_; }

 private:
  cublasHandle_t handle_ = nullptr;
};

struct shape {
  int m, n, k;
};

// A column-major matrix that starts at an odd address and whose columns lie `ld` apart.
template <class T>
struct matrix {
  int rows, cols, ld;
  std::vector<T> memory;

  matrix(int rows_, int cols_, int gap, T fill)
      : rows(rows_), cols(cols_), ld(rows_ + gap + 1), memory(size(), fill) {}
  std::size_t size() const { return static_cast<std::size_t>(ld) * static_cast<std::size_t>(cols) + 1; }
  T* data() { return memory.data() + 1; }
  const T* data() const { return memory.data() + 1; }
  T& operator()(int row, int col) { return data()[row + static_cast<std::ptrdiff_t>(col) * ld]; }
  const T& operator()(int row, int col) const { return data()[row + static_cast<std::ptrdiff_t>(col) * ld]; }
};

template <class T>
matrix<T> random_matrix(int rows, int cols, int gap, std::mt19937& random) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  matrix<T> result(rows, cols, gap, T(std::numeric_limits<float>::quiet_NaN()));
  for (int col = 0; col < cols; ++col) {
    for (int row = 0; row < rows; ++row) result(row, col) = T(uniform(random));
  }
  return result;
}

// op(A)·op(B) in double, at (row, col), and the sum of magnitudes that bounds its rounding.
struct exact_sum {
  double value = 0, magnitude = 0;
};
template <class A, class B>
exact_sum product_at(const matrix<A>& a, bool a_transposed, const matrix<B>& b, bool b_transposed, int k,
                     int row, int col) {
  exact_sum sum;
  for (int i = 0; i < k; ++i) {
    const double x = static_cast<float>(a_transposed ? a(i, row) : a(row, i));
    const double y = static_cast<float>(b_transposed ? b(col, i) : b(i, col));
    sum.value += x * y;
    sum.magnitude += std::fabs(x * y);
  }
  return sum;
}

// Checks C = alpha·op(A)·op(B) + beta·before, and that nothing between its columns was touched.
template <class In, class Out>
void require_product(const matrix<In>& a, cublasOperation_t a_op, const matrix<In>& b, cublasOperation_t b_op,
                     int k, float alpha, float beta, const matrix<Out>& before, const matrix<Out>& c) {
  // Sums in float of k terms; then the rounding of the result's own type.
  const double of_sum = 4e-7 * std::sqrt(k + 1.0);
  const double of_result = std::is_same_v<Out, float> ? 2e-7 : std::is_same_v<Out, __half> ? 5e-4 : 4e-3;
  double worst = 0;
  for (int col = 0; col < c.cols; ++col) {
    for (int row = 0; row < c.rows; ++row) {
      const exact_sum sum = product_at(a, a_op != CUBLAS_OP_N, b, b_op != CUBLAS_OP_N, k, row, col);
      const double old = beta == 0 ? 0 : static_cast<double>(beta) * static_cast<float>(before(row, col));
      const double expected = static_cast<double>(alpha) * sum.value + old;
      const double allowed =
          of_sum * (std::fabs(alpha) * sum.magnitude + std::fabs(old)) + of_result * std::fabs(expected);
      const double error = std::fabs(static_cast<float>(c(row, col)) - expected);
      worst = std::max(worst, error <= allowed ? error / (allowed + 1e-300) : 1e300);
    }
  }
  REQUIRE(worst <= 1);
  int touched = !std::isnan(static_cast<float>(c.memory[0]));
  for (int col = 0; col < c.cols; ++col) {
    for (int row = c.rows; row < c.ld; ++row) touched += !std::isnan(static_cast<float>(c(row, col)));
  }
  REQUIRE(touched == 0);
}

cublasOperation_t any_operation() { return GENERATE(CUBLAS_OP_N, CUBLAS_OP_T); }

}  // namespace

TEST_CASE("sgemm is the product of column-major matrices", "[cublas]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const auto [m, n, k] = GENERATE(values<shape>({{1, 1, 1},
                                                 {3, 2, 3},
                                                 {4, 4, 4},
                                                 {5, 3, 7},
                                                 {17, 33, 9},
                                                 {64, 1, 31},
                                                 {1, 65, 13},
                                                 {300, 64, 400},
                                                 {65, 431, 211},
                                                 {129, 131, 333}}));
  const cublasOperation_t a_op = any_operation(), b_op = any_operation();
  const auto [alpha, beta] = GENERATE(table<float, float>({{1.0f, 0.0f}, {-0.75f, 0.5f}}));
  const int gap = GENERATE(0, 5);
  const hostcuda_tests::fresh_device restored;
  settings().workers = 3;
  const scoped_handle handle;
  std::mt19937 random(static_cast<unsigned>(m * 31 + n * 17 + k));
  const auto a =
      a_op == CUBLAS_OP_N ? random_matrix<float>(m, k, gap, random) : random_matrix<float>(k, m, gap, random);
  const auto b =
      b_op == CUBLAS_OP_N ? random_matrix<float>(k, n, gap, random) : random_matrix<float>(n, k, gap, random);
  matrix<float> c = random_matrix<float>(m, n, gap, random);
  if (beta == 0) c = matrix<float>(m, n, gap, std::numeric_limits<float>::quiet_NaN());  // is not read
  const matrix<float> before = c;
  REQUIRE(cublasSgemm(handle, a_op, b_op, m, n, k, &alpha, a.data(), a.ld, b.data(), b.ld, &beta, c.data(),
                      c.ld) == CUBLAS_STATUS_SUCCESS);
  require_product(a, a_op, b, b_op, k, alpha, beta, before, c);
}

TEST_CASE("a product has the same bits in every run, however many workers there are", "[cublas]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const scoped_handle handle;
  std::mt19937 random(5);
  const int m = 301, n = 263, k = 505;
  const auto a = random_matrix<float>(k, m, 0, random), b = random_matrix<float>(k, n, 0, random);
  const float alpha = 1, beta = 0;
  std::vector<matrix<float>> results;
  for (const int workers : {3, 3, 2, 1}) {
    const hostcuda_tests::fresh_device restored;
    settings().workers = workers;
    matrix<float>& c = results.emplace_back(m, n, 0, 0.0f);
    REQUIRE(cublasSgemm(handle, CUBLAS_OP_T, CUBLAS_OP_N, m, n, k, &alpha, a.data(), a.ld, b.data(), b.ld,
                        &beta, c.data(), c.ld) == CUBLAS_STATUS_SUCCESS);
  }
  for (const auto& result : results) REQUIRE(result.memory == results[0].memory);
}

TEST_CASE("a product with nothing to add scales C", "[cublas]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const scoped_handle handle;
  std::vector<float> c = {1, 2, 3, NAN};
  const float one = 1, half_of = 0.5f, zero = 0;
  // k = 0, and alpha = 0 with operands that must not matter
  REQUIRE(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 3, 1, 0, &one, nullptr, 3, nullptr, 1, &half_of,
                      c.data(), 3) == CUBLAS_STATUS_SUCCESS);
  REQUIRE((c[0] == 0.5f && c[2] == 1.5f && std::isnan(c[3])));
  REQUIRE(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 3, 1, 0, &one, nullptr, 3, nullptr, 1, &zero,
                      c.data(), 3) == CUBLAS_STATUS_SUCCESS);
  REQUIRE((c[0] == 0 && c[2] == 0));
  REQUIRE(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 0, 4, 2, &one, nullptr, 1, nullptr, 2, &zero, nullptr,
                      1) == CUBLAS_STATUS_SUCCESS);
}

TEMPLATE_TEST_CASE("gemmEx rounds 16-bit inputs never and the result once", "[cublas]", __half,
                   __nv_bfloat16) {
  const stream_mode_scope mode(stream_mode::immediate);
  constexpr cudaDataType_t type = std::is_same_v<TestType, __half> ? CUDA_R_16F : CUDA_R_16BF;
  const shape of =
      GENERATE(values<shape>({{3, 2, 4}, {33, 17, 65}, {1, 300, 200}, {70, 45, 33}, {300, 160, 128}}));
  const int m = of.m, n = of.n, k = of.k;
  const cublasOperation_t a_op = any_operation(), b_op = any_operation();
  const float beta = GENERATE(0.0f, 1.0f, -2.0f), alpha = beta < 0 ? 0.5f : 1.0f;
  const int gap = GENERATE(-1, 3);  // -1: none
  const hostcuda_tests::fresh_device restored;
  settings().workers = 2;
  const scoped_handle handle;
  std::mt19937 random(11);
  const auto a = a_op == CUBLAS_OP_N ? random_matrix<TestType>(m, k, gap, random)
                                     : random_matrix<TestType>(k, m, gap, random);
  const auto b = b_op == CUBLAS_OP_N ? random_matrix<TestType>(k, n, gap, random)
                                     : random_matrix<TestType>(n, k, gap, random);
  const auto call = [&](auto& c, cudaDataType_t c_type) {
    return cublasGemmEx(handle, a_op, b_op, m, n, k, &alpha, a.data(), type, a.ld, b.data(), type, b.ld,
                        &beta, c.data(), c_type, c.ld, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
  };
  auto wide = random_matrix<float>(m, n, gap, random);
  const auto wide_before = wide;
  REQUIRE(call(wide, CUDA_R_32F) == CUBLAS_STATUS_SUCCESS);
  require_product(a, a_op, b, b_op, k, alpha, beta, wide_before, wide);
  auto narrow = random_matrix<TestType>(m, n, gap, random);
  const auto narrow_before = narrow;
  REQUIRE(call(narrow, type) == CUBLAS_STATUS_SUCCESS);
  require_product(a, a_op, b, b_op, k, alpha, beta, narrow_before, narrow);
}

#if defined(HOSTCUDA_ONEDNN)
TEST_CASE("oneDNN computes products in float, and declines those without depth", "[cublas]") {
  const float a[] = {1, 2, 3, 4, 5, 6}, b[] = {1, -1, 2, 3, 5, -2};  // (3, 2) and (2, 3), columns first
  std::array<float, 4> c{NAN, NAN, NAN, NAN};
  const auto multiply = [&](int k) {
    return detail::blas::onednn::sgemm(true, true, 2, 2, k, 2, a, 3, b, 2, 0, c.data(), 2);
  };
  REQUIRE(multiply(3));
  REQUIRE(c == std::array<float, 4>{2 * (1 * 1 + 2 * 2 + 3 * 5), 2 * (4 * 1 + 5 * 2 + 6 * 5),
                                    2 * (1 * -1 + 2 * 3 + 3 * -2), 2 * (4 * -1 + 5 * 3 + 6 * -2)});
  REQUIRE_FALSE(multiply(0));
}
#endif

#if defined(HOSTCUDA_ONEDNN) && !defined(__clang__)
TEST_CASE("oneDNN multiplies bfloat16 where the CPU does", "[cublas]") {
  const detail::blas::onednn::product p{.m = 64, .n = 64, .k = 64};
  REQUIRE(detail::blas::onednn::suits(p) == (__builtin_cpu_supports("avx512bf16") != 0));
  const detail::blas::onednn::product scaled{.m = 64, .n = 64, .k = 64, .alpha = 2},
      small{.m = 4, .n = 4, .k = 4};
  REQUIRE_FALSE(detail::blas::onednn::suits(scaled));
  REQUIRE_FALSE(detail::blas::onednn::suits(small));
}
#endif

TEST_CASE("gemmEx refuses types that it does not compute", "[cublas]") {
  const scoped_handle handle;
  float x = 0;
  const auto call = [&](cudaDataType_t a, cudaDataType_t b, cudaDataType_t c, cublasComputeType_t compute) {
    return cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &x, &x, a, 1, &x, b, 1, &x, &x, c, 1,
                        compute, CUBLAS_GEMM_DEFAULT_TENSOR_OP);
  };
  REQUIRE(call(CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32) == CUBLAS_STATUS_SUCCESS);
  REQUIRE(call(CUDA_R_16F, CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F) == CUBLAS_STATUS_NOT_SUPPORTED);
  REQUIRE(call(CUDA_R_32F, CUDA_R_32F, CUDA_R_16F, CUBLAS_COMPUTE_32F) == CUBLAS_STATUS_NOT_SUPPORTED);
  REQUIRE(call(CUDA_R_16F, CUDA_R_16F, CUDA_R_16BF, CUBLAS_COMPUTE_32F) == CUBLAS_STATUS_NOT_SUPPORTED);
  REQUIRE(call(CUDA_R_16F, CUDA_R_16F, CUDA_R_16F, static_cast<cublasComputeType_t>(64)) ==
          CUBLAS_STATUS_NOT_SUPPORTED);
}

TEST_CASE("batched products lie a stride apart", "[cublas]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const int count = GENERATE(1, 3, 70);
  const auto [m, n, k] = GENERATE(table<int, int, int>({{3, 5, 4}, {20, 30, 40}, {200, 190, 180}}));
  if (count * m > 1000) return;
  const hostcuda_tests::fresh_device restored;
  settings().workers = 2;
  const scoped_handle handle;
  std::mt19937 random(7);
  const float alpha = 1.5f, beta = 0.25f;
  std::vector<matrix<float>> c, before;
  const auto a = random_matrix<float>(m, k * count, 1, random), b = random_matrix<float>(k, n, 1, random);
  auto all = random_matrix<float>(m, n * count, 1, random);
  const auto all_before = all;
  REQUIRE(cublasSgemmStridedBatched(handle, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &alpha, a.data(), a.ld,
                                    static_cast<long long>(a.ld) * k, b.data(), b.ld, 0, &beta, all.data(),
                                    all.ld, static_cast<long long>(all.ld) * n,
                                    count) == CUBLAS_STATUS_SUCCESS);
  const auto columns = [](const matrix<float>& from, int first, int number) {
    matrix<float> result = from;
    result.cols = number;
    result.memory.erase(result.memory.begin(),
                        result.memory.begin() + static_cast<std::ptrdiff_t>(first) * from.ld);
    return result;
  };
  for (int i = 0; i < count; i += 23) {
    require_product(columns(a, i * k, k), CUBLAS_OP_N, b, CUBLAS_OP_N, k, alpha, beta,
                    columns(all_before, i * n, n), columns(all, i * n, n));
  }
}

TEST_CASE("batched products of half", "[cublas]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const scoped_handle handle;
  std::mt19937 random(8);
  const int m = 9, n = 10, k = 11;
  const float alpha = 1, beta = 0;
  const auto a = random_matrix<__half>(m, k * 2, 0, random), b = random_matrix<__half>(n, k, 0, random);
  matrix<__half> c(m, n * 2, 0, __half(NAN));
  const matrix<__half> before = c;
  REQUIRE(cublasGemmStridedBatchedEx(handle, CUBLAS_OP_N, CUBLAS_OP_T, m, n, k, &alpha, a.data(), CUDA_R_16F,
                                     a.ld, static_cast<long long>(a.ld) * k, b.data(), CUDA_R_16F, b.ld, 0,
                                     &beta, c.data(), CUDA_R_16F, c.ld, static_cast<long long>(c.ld) * n, 2,
                                     CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
  for (const int i : {0, 1}) {
    for (const int col : {0, 7}) {
      const double expected = product_at(a, false, b, true, k, 2, col).value;
      if (i == 0) CHECK(static_cast<float>(c(2, col)) == Approx(expected).margin(2e-3));
      double second = 0;
      for (int j = 0; j < k; ++j)
        second += static_cast<float>(a(2, k + j)) * static_cast<double>(static_cast<float>(b(col, j)));
      if (i == 1) CHECK(static_cast<float>(c(2, n + col)) == Approx(second).margin(2e-3));
    }
  }
}

TEST_CASE("sgemv multiplies by a matrix or its transpose", "[cublas]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const auto [m, n] = GENERATE(table<int, int>({{1, 1}, {3, 3}, {2, 7}, {33, 65}, {1001, 700}, {700, 1001}}));
  const cublasOperation_t op = any_operation();
  const auto [x_step, y_step] = GENERATE(table<int, int>({{1, 1}, {2, -3}, {-2, 1}}));
  const auto [alpha, beta] = GENERATE(table<float, float>({{1.0f, 0.0f}, {2.0f, -0.5f}}));
  const hostcuda_tests::fresh_device restored;
  settings().workers = 2;
  const scoped_handle handle;
  std::mt19937 random(9);
  const auto a = random_matrix<float>(m, n, 4, random);
  const int inputs = op == CUBLAS_OP_N ? n : m, outputs = op == CUBLAS_OP_N ? m : n;
  // One row, elements |step| apart; a negative step goes from its end to its start.
  const auto x = random_matrix<float>(1, inputs, std::abs(x_step) - 2, random);
  auto y = beta == 0 ? matrix<float>(1, outputs, std::abs(y_step) - 2, NAN)
                     : random_matrix<float>(1, outputs, std::abs(y_step) - 2, random);
  const auto before = y;
  REQUIRE((x.ld == std::abs(x_step) && y.ld == std::abs(y_step)));
  REQUIRE(cublasSgemv(handle, op, m, n, &alpha, a.data(), a.ld, x.data(), x_step, &beta, y.data(), y_step) ==
          CUBLAS_STATUS_SUCCESS);
  double worst = 0;
  for (int out = 0; out < outputs; ++out) {
    double sum = 0;
    for (int in = 0; in < inputs; ++in) {
      const float element = op == CUBLAS_OP_N ? a(out, in) : a(in, out);
      sum += static_cast<double>(element) * x(0, x_step < 0 ? inputs - 1 - in : in);
    }
    const int at = y_step < 0 ? outputs - 1 - out : out;
    const double expected = alpha * sum + (beta == 0 ? 0 : beta * before(0, at));
    worst = std::max(worst, std::isnan(y(0, at)) ? 1e300 : std::fabs(y(0, at) - expected));
  }
  REQUIRE(worst < 2e-6 * std::sqrt(inputs) * 4);
}

TEST_CASE("outer products and vectors", "[cublas]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const scoped_handle handle;
  std::mt19937 random(10);
  const int m = 7, n = 5;
  const float alpha = 0.5f;
  auto a = random_matrix<float>(m, n, 2, random);
  const auto before = a;
  const auto x = random_matrix<float>(1, m, 1, random), y = random_matrix<float>(1, n, -1, random);
  REQUIRE(cublasSger(handle, m, n, &alpha, x.data(), x.ld, y.data(), -1, a.data(), a.ld) ==
          CUBLAS_STATUS_SUCCESS);
  for (int row = 0; row < m; ++row) {
    for (int col = 0; col < n; ++col) {
      CHECK(a(row, col) == Approx(before(row, col) + 0.5 * x(0, row) * y(0, n - 1 - col)).margin(1e-6));
    }
  }
  std::vector<float> u = {1, -2, 3, 4}, v = {5, 7, 9, -1};
  REQUIRE(cublasSaxpy(handle, 2, &alpha, u.data(), 2, v.data(), 1) == CUBLAS_STATUS_SUCCESS);
  REQUIRE(v == std::vector<float>{5.5f, 8.5f, 9, -1});
  REQUIRE(cublasSscal(handle, 3, &alpha, u.data(), 1) == CUBLAS_STATUS_SUCCESS);
  REQUIRE(u == std::vector<float>{0.5f, -1, 1.5f, 4});
  float dot = NAN;
  REQUIRE(cublasSdot(handle, 4, u.data(), 1, v.data(), 1, &dot) == CUBLAS_STATUS_SUCCESS);
  REQUIRE(dot == 2.75f - 8.5f + 13.5f - 4);
}

TEST_CASE("cuBLAS refuses wrong arguments by status", "[cublas]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const scoped_handle handle;
  const float one = 1;
  std::vector<float> x(16, 1.0f);
  const auto gemm = [&](cublasHandle_t with, int m, int n, int k, int lda, int ldb, int ldc) {
    return cublasSgemm(with, CUBLAS_OP_N, CUBLAS_OP_T, m, n, k, &one, x.data(), lda, x.data(), ldb, &one,
                       x.data(), ldc);
  };
  CHECK(gemm(nullptr, 1, 1, 1, 1, 1, 1) == CUBLAS_STATUS_NOT_INITIALIZED);
  CHECK(gemm(handle, -1, 1, 1, 1, 1, 1) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(gemm(handle, 1, -1, 1, 1, 1, 1) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(gemm(handle, 1, 1, -1, 1, 1, 1) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(gemm(handle, 3, 2, 1, 2, 2, 3) == CUBLAS_STATUS_INVALID_VALUE);  // lda < m
  CHECK(gemm(handle, 2, 3, 1, 2, 2, 2) == CUBLAS_STATUS_INVALID_VALUE);  // ldb < n
  CHECK(gemm(handle, 3, 1, 1, 3, 1, 2) == CUBLAS_STATUS_INVALID_VALUE);  // ldc < m
  CHECK(gemm(handle, 0, 0, 0, 0, 1, 1) == CUBLAS_STATUS_INVALID_VALUE);  // lda < 1
  CHECK(gemm(handle, 3, 2, 1, 3, 2, 3) == CUBLAS_STATUS_SUCCESS);
  const auto pointers = [&](const float* alpha, const float* a, const float* beta, float* c) {
    return cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, alpha, a, 1, x.data(), 1, beta, c, 1);
  };
  CHECK(pointers(nullptr, x.data(), &one, x.data()) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(pointers(&one, nullptr, &one, x.data()) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(pointers(&one, x.data(), nullptr, x.data()) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(pointers(&one, x.data(), &one, nullptr) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasSgemm(handle, static_cast<cublasOperation_t>(9), CUBLAS_OP_N, 1, 1, 1, &one, x.data(), 1,
                    x.data(), 1, &one, x.data(), 1) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasSgemmStridedBatched(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, x.data(), 1, 1, x.data(),
                                  1, 1, &one, x.data(), 1, 1, -1) == CUBLAS_STATUS_INVALID_VALUE);

  const auto gemv = [&](int m, int n, int lda, int x_step, int y_step) {
    return cublasSgemv(handle, CUBLAS_OP_N, m, n, &one, x.data(), lda, x.data(), x_step, &one, x.data() + 8,
                       y_step);
  };
  CHECK(gemv(2, 2, 1, 1, 1) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(gemv(2, 2, 2, 0, 1) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(gemv(2, 2, 2, 1, 0) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(gemv(-2, 2, 2, 1, 1) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(gemv(2, 0, 2, 1, 1) == CUBLAS_STATUS_SUCCESS);
  CHECK(cublasSger(handle, 2, 2, &one, x.data(), 1, x.data(), 0, x.data(), 2) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasSaxpy(handle, -1, &one, x.data(), 1, x.data(), 1) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasSscal(handle, 1, nullptr, x.data(), 1) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasSdot(handle, 1, x.data(), 1, x.data(), 1, nullptr) == CUBLAS_STATUS_INVALID_VALUE);

  CHECK(cublasCreate(nullptr) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasDestroy(nullptr) == CUBLAS_STATUS_NOT_INITIALIZED);
  CHECK(cublasSetStream(nullptr, nullptr) == CUBLAS_STATUS_NOT_INITIALIZED);
  CHECK(cublasSetWorkspace(nullptr, nullptr, 0) == CUBLAS_STATUS_NOT_INITIALIZED);
  alignas(256) static std::byte workspace[512];
  CHECK(cublasSetWorkspace(handle, workspace + 1, 256) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasSetWorkspace(handle, workspace, 512) == CUBLAS_STATUS_SUCCESS);
  CHECK(cublasSetPointerMode(handle, static_cast<cublasPointerMode_t>(2)) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasSetMathMode(handle, static_cast<cublasMath_t>(7)) == CUBLAS_STATUS_INVALID_VALUE);
  REQUIRE(cublasSetMathMode(handle, CUBLAS_TF32_TENSOR_OP_MATH) == CUBLAS_STATUS_SUCCESS);
  cublasMath_t math{};
  REQUIRE(cublasGetMathMode(handle, &math) == CUBLAS_STATUS_SUCCESS);
  CHECK(math == CUBLAS_TF32_TENSOR_OP_MATH);
  CHECK(std::string(cublasGetStatusName(CUBLAS_STATUS_INVALID_VALUE)) == "CUBLAS_STATUS_INVALID_VALUE");
}

TEST_CASE("a product is work on the handle's stream", "[cublas]") {
  const stream_mode_scope mode(stream_mode::deferred);
  const scoped_stream stream;
  const scoped_handle handle;
  REQUIRE(cublasSetStream(handle, stream) == CUBLAS_STATUS_SUCCESS);
  cudaStream_t given = nullptr;
  REQUIRE(cublasGetStream(handle, &given) == CUBLAS_STATUS_SUCCESS);
  REQUIRE(given == static_cast<cudaStream_t>(stream));
  float x = 3, y = 5, alpha = 2, beta = 0, out = -1;
  const auto multiply = [&] {
    return cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &alpha, &x, 1, &y, 1, &beta, &out, 1);
  };
  SECTION("deferred; alpha and beta on the host are read at the call") {
    REQUIRE(multiply() == CUBLAS_STATUS_SUCCESS);
    alpha = 100;
    y = 7;
    REQUIRE(out == -1);
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    REQUIRE(out == 42);
  }
  SECTION("alpha and beta on the device are read when it runs") {
    REQUIRE(cublasSetPointerMode(handle, CUBLAS_POINTER_MODE_DEVICE) == CUBLAS_STATUS_SUCCESS);
    REQUIRE(multiply() == CUBLAS_STATUS_SUCCESS);
    alpha = 100;
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    REQUIRE(out == 1500);
  }
  SECTION("captured and replayed") {
    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
    REQUIRE(multiply() == CUBLAS_STATUS_SUCCESS);
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
    REQUIRE(cudaGraphInstantiate(&executable, graph) == cudaSuccess);
    x = 10;
    REQUIRE(cudaGraphLaunch(executable, stream) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    REQUIRE(out == 100);
    cudaGraphDestroy(graph);
    cudaGraphExecDestroy(executable);
  }
  SECTION("a dot product for the host has arrived") {
    float dot = 0;
    REQUIRE(cublasSdot(handle, 1, &x, 1, &y, 1, &dot) == CUBLAS_STATUS_SUCCESS);
    REQUIRE(dot == 15);
  }
  SECTION("after a fault it fails") {
    settings().streams = stream_mode::immediate;
    detail::enqueue(stream, [] { return cudaErrorLaunchFailure; });
    REQUIRE(multiply() == CUBLAS_STATUS_EXECUTION_FAILED);
    REQUIRE(out == -1);
  }
}

#if defined(HOSTCUDA_ADDRESS_SANITIZER)
TEST_CASE("a product beyond its matrix is a fault that AddressSanitizer finds", "[cublas]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const scoped_handle handle;
  const device_array<float> a(6 * 4 - 1), b(36);
  const float one = 1;
  REQUIRE(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 6, 6, 4, &one, a.get(), 6, b.get(), 4, &one, b.get(),
                      6) == CUBLAS_STATUS_EXECUTION_FAILED);
  REQUIRE(cudaGetLastError() == cudaErrorIllegalAddress);
  REQUIRE_THAT(last_report(), Catch::Matchers::ContainsSubstring("cuBLAS: A"));
}
#endif
