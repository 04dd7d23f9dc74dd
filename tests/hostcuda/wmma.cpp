// nvcuda::wmma against products in double of the inputs as the tensor core sees them.
#include <hostcuda/mma.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "engine_support.hpp"
#include "runtime_support.hpp"

using namespace hostcuda_tests;
namespace wmma = nvcuda::wmma;

namespace {

template <class T>
using storage = std::conditional_t<std::is_same_v<T, wmma::precision::tf32>, float, T>;

// Rows × cols elements in memory whose rows (or columns) lie ld apart, from a multiple of 32 bytes on; NaN
// between them.
template <class T>
class device_matrix {
 public:
  device_matrix(int rows, int cols, bool row_major, int gap)
      : rows_(rows),
        cols_(cols),
        row_major_(row_major),
        ld_((row_major ? cols : rows) + gap),
        memory_(size()) {
    for (std::size_t i = 0; i < size(); ++i) memory_.get()[i] = T(std::numeric_limits<float>::quiet_NaN());
  }

  T& operator()(int row, int col) const {
    return memory_.get()[row_major_ ? row * ld_ + col : row + col * ld_];
  }
  T* data() const { return memory_.get(); }
  unsigned ld() const { return static_cast<unsigned>(ld_); }
  int rows() const { return rows_; }
  int cols() const { return cols_; }

  void fill(std::mt19937& random) const {
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (int row = 0; row < rows_; ++row) {
      for (int col = 0; col < cols_; ++col) (*this)(row, col) = T(uniform(random));
    }
  }

  // Elements between the rows (or columns) that are still NaN, as they began.
  bool gaps_untouched() const {
    const int inner = row_major_ ? cols_ : rows_, outer = row_major_ ? rows_ : cols_;
    for (int o = 0; o < outer; ++o) {
      for (int i = inner; i < ld_; ++i) {
        if (!std::isnan(static_cast<float>(memory_.get()[o * ld_ + i]))) return false;
      }
    }
    return true;
  }

 private:
  std::size_t size() const { return static_cast<std::size_t>(ld_ * (row_major_ ? rows_ : cols_)); }
  int rows_, cols_;
  bool row_major_;
  int ld_;
  device_array<T> memory_;
};

template <int M, int N, int K, class In, class ALayout, class BLayout, class C, class D>
struct problem {
  static constexpr int m = M, n = N, k = K;
  static constexpr bool a_row_major = std::is_same_v<ALayout, wmma::row_major>;
  static constexpr bool b_row_major = std::is_same_v<BLayout, wmma::row_major>;
  using in = In;
  using c = C;
  using d = D;
  using a_fragment = wmma::fragment<wmma::matrix_a, M, N, K, In, ALayout>;
  using b_fragment = wmma::fragment<wmma::matrix_b, M, N, K, In, BLayout>;
  using c_fragment = wmma::fragment<wmma::accumulator, M, N, K, C>;
  using d_fragment = wmma::fragment<wmma::accumulator, M, N, K, D>;
};

using row = wmma::row_major;
using col = wmma::col_major;
using tf32 = wmma::precision::tf32;

// D = A·B + 2·C: the accumulator goes through x[], as elementwise code does.
template <class P>
__global__ void multiply(const storage<typename P::in>* a, unsigned a_ld, const storage<typename P::in>* b,
                         unsigned b_ld, const typename P::c* c, unsigned c_ld, typename P::d* d,
                         unsigned d_ld, wmma::layout_t layout) {
  typename P::a_fragment a_part;
  typename P::b_fragment b_part;
  typename P::c_fragment c_part;
  typename P::d_fragment d_part;
  wmma::load_matrix_sync(a_part, a, a_ld);
  wmma::load_matrix_sync(b_part, b, b_ld);
  wmma::load_matrix_sync(c_part, c, c_ld, layout);
  for (int i = 0; i < c_part.num_elements; ++i) c_part.x[i] = c_part.x[i] + c_part.x[i];
  wmma::mma_sync(d_part, a_part, b_part, c_part);
  wmma::store_matrix_sync(d, d_part, d_ld, layout);
}

// What a tensor core multiplies: all of a 16-bit number, the upper 19 bits of a float as tf32.
template <class T>
double seen(storage<T> value) {
  if constexpr (!std::is_same_v<T, tf32>) return static_cast<float>(value);
  int exponent = 0;
  const double fraction = std::frexp(static_cast<float>(value), &exponent);
  return std::ldexp(std::trunc(std::ldexp(fraction, 11)), exponent - 11);  // ten bits and the leading one
}

template <class P>
void check_product(bool c_row_major, int gap) {
  using in = storage<typename P::in>;
  const device_matrix<in> a(P::m, P::k, P::a_row_major, gap), b(P::k, P::n, P::b_row_major, 2 * gap);
  const device_matrix<typename P::c> c(P::m, P::n, c_row_major, gap);
  const device_matrix<typename P::d> d(P::m, P::n, c_row_major, 3 * gap);
  std::mt19937 random(static_cast<unsigned>(P::m * 100 + P::n + gap));
  a.fill(random);
  b.fill(random);
  c.fill(random);
  REQUIRE(launch({1, 32}, multiply<P>, static_cast<const in*>(a.data()), a.ld(),
                 static_cast<const in*>(b.data()), b.ld(), static_cast<const typename P::c*>(c.data()),
                 c.ld(), d.data(), d.ld(),
                 c_row_major ? wmma::mem_row_major : wmma::mem_col_major) == cudaSuccess);
  const double of_result = std::is_same_v<typename P::d, __half> ? 5e-4 : 1e-7;
  double worst = 0;
  for (int i = 0; i < P::m; ++i) {
    for (int j = 0; j < P::n; ++j) {
      double sum = 2.0 * static_cast<float>(c(i, j)), magnitude = std::fabs(sum);
      for (int p = 0; p < P::k; ++p) {
        const double term = seen<typename P::in>(a(i, p)) * seen<typename P::in>(b(p, j));
        sum += term;
        magnitude += std::fabs(term);
      }
      const double error = std::fabs(static_cast<float>(d(i, j)) - sum);
      const double allowed = 1e-6 * magnitude + of_result * std::fabs(sum);
      worst = std::max(worst, error <= allowed ? error / allowed : 1e300);
    }
  }
  REQUIRE(worst <= 1);
  REQUIRE(d.gaps_untouched());
}

}  // namespace

TEMPLATE_TEST_CASE("a warp multiplies fragments", "[wmma]",
                   (problem<16, 16, 16, __half, row, col, float, float>),
                   (problem<16, 16, 16, __half, col, row, float, float>),
                   (problem<16, 16, 16, __half, row, row, __half, __half>),
                   (problem<16, 16, 16, __half, col, col, float, __half>),
                   (problem<16, 16, 16, __half, row, row, __half, float>),
                   (problem<16, 16, 16, __nv_bfloat16, row, row, float, float>),
                   (problem<16, 16, 16, __nv_bfloat16, col, col, float, float>),
                   (problem<32, 8, 16, __half, row, col, float, float>),
                   (problem<32, 8, 16, __nv_bfloat16, col, row, float, float>),
                   (problem<8, 32, 16, __half, col, row, __half, __half>),
                   (problem<8, 32, 16, __nv_bfloat16, row, row, float, float>),
                   (problem<16, 16, 8, tf32, row, col, float, float>),
                   (problem<16, 16, 8, tf32, col, row, float, float>)) {
  const stream_mode_scope mode(stream_mode::immediate);
  const fresh_device restored;
  settings().order = GENERATE(thread_order::forward, thread_order::reverse, thread_order::shuffled);
  check_product<TestType>(true, 0);
  check_product<TestType>(false, 0);
  check_product<TestType>(true, 8);
  check_product<TestType>(false, 8);
}

namespace {

using fragment_a = wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, row>;
using fragment_b = wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, row>;
using sums = wmma::fragment<wmma::accumulator, 16, 16, 16, float>;

// The warps of a block, each its own 16 columns of C = A·B.
__global__ void by_warps(const __half* a, const __half* b, float* c, int warps) {
  const unsigned warp = threadIdx.x / 32, ld = static_cast<unsigned>(warps) * 16;
  fragment_a a_part;
  fragment_b b_part;
  sums sum;
  wmma::fill_fragment(sum, 0.0f);
  for (unsigned i = 0; i < 3; ++i) {
    wmma::load_matrix_sync(a_part, a + 16 * i, 48);
    wmma::load_matrix_sync(b_part, b + 16 * i * ld + 16 * warp, ld);
    wmma::mma_sync(sum, a_part, b_part, sum);
  }
  wmma::store_matrix_sync(c + 16 * warp, sum, ld, wmma::mem_row_major);
}

// What a fragment holds that was never filled.
__global__ void unfilled(float* out) {
  sums sum;
  wmma::store_matrix_sync(out, sum, 16, wmma::mem_row_major);
}

enum class mistake { half_a_warp, load_address, load_ldm, store_address, different_pointers };

__global__ void make(mistake what, const __half* a, float* c) {
  fragment_a part;
  sums sum;
  wmma::fill_fragment(sum, 1.0f);
  const unsigned other = threadIdx.x == 7 ? 16 : 0;
  switch (what) {
    case mistake::half_a_warp:
      if (threadIdx.x < 16) return;
      wmma::store_matrix_sync(c, sum, 16, wmma::mem_row_major);
      return;
    case mistake::load_address:
      wmma::load_matrix_sync(part, a + 8, 16);
      return;
    case mistake::load_ldm:
      wmma::load_matrix_sync(part, a, 20);
      return;
    case mistake::store_address:
      wmma::store_matrix_sync(c + 4, sum, 16, wmma::mem_row_major);
      return;
    case mistake::different_pointers:
      wmma::load_matrix_sync(part, a + other, 16);
      return;
  }
}

// Each lane writes its row, and the warp loads the matrix: right only with the __syncwarp in between.
__global__ void hand_over(float* out, bool synchronised) {
  alignas(32) __shared__ float tile[16 * 16];
  sums sum;
  for (float& element : tile) {
    if (threadIdx.x == 0) element = -1;
  }
  __syncwarp();
  if (threadIdx.x < 16) {
    for (unsigned i = 0; i < 16; ++i) tile[16 * threadIdx.x + i] = 2;
  }
  if (synchronised) __syncwarp();
  wmma::load_matrix_sync(sum, tile, 16, wmma::mem_row_major);
  wmma::store_matrix_sync(out, sum, 16, wmma::mem_row_major);
}

// The other way round: the warp stores, and each lane reads what others stored.
__global__ void take_over(float* out, bool synchronised) {
  alignas(32) __shared__ float tile[16 * 16];
  sums sum;
  for (float& element : tile) {
    if (threadIdx.x == 0) element = -1;
  }
  __syncwarp();
  wmma::fill_fragment(sum, 2.0f);
  wmma::store_matrix_sync(tile, sum, 16, wmma::mem_row_major);
  if (synchronised) __syncwarp();
  for (unsigned i = 0; i < 8; ++i) out[8 * threadIdx.x + i] = tile[255 - 8 * threadIdx.x - i];
}

}  // namespace

TEST_CASE("each warp of a block has its own fragments", "[wmma]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const int warps = 3;
  const device_matrix<__half> a(16, 48, true, 0), b(48, 48, true, 0);
  const device_matrix<float> c(16, 48, true, 0);
  std::mt19937 random(3);
  a.fill(random);
  b.fill(random);
  REQUIRE(launch({1, 32 * warps}, by_warps, static_cast<const __half*>(a.data()),
                 static_cast<const __half*>(b.data()), c.data(), warps) == cudaSuccess);
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 48; ++j) {
      double sum = 0;
      for (int p = 0; p < 48; ++p)
        sum += static_cast<double>(static_cast<float>(a(i, p))) * static_cast<float>(b(p, j));
      CHECK(c(i, j) == Approx(sum).margin(1e-5));
    }
  }
}

TEST_CASE("a fragment that was never filled is NaN", "[wmma]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const device_array<float> out(256);
  std::memset(out.get(), 0, 1024);
  REQUIRE(launch({1, 32}, unfilled, out.get()) == cudaSuccess);
  for (int i = 0; i < 256; ++i) CHECK(std::isnan(out.get()[i]));
}

TEST_CASE("what a tensor core cannot do is a fault", "[wmma]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const device_matrix<__half> a(32, 16, true, 0);
  const device_matrix<float> c(32, 16, true, 0);
  const auto fault = [&](mistake what, cudaError_t expected, const char* text) {
    REQUIRE(launch({1, 32}, make, what, static_cast<const __half*>(a.data()), c.data()) == expected);
    REQUIRE_THAT(last_report(), Catch::Matchers::ContainsSubstring(text));
    REQUIRE_THAT(last_report(), Catch::Matchers::ContainsSubstring("make"));
    reset_device();
  };
  fault(mistake::half_a_warp, cudaErrorLaunchFailure,
        "store_matrix_sync needs all 32 lanes of the warp; lane 0");
  fault(mistake::load_address, cudaErrorMisalignedAddress, "load_matrix_sync at");
  fault(mistake::load_ldm, cudaErrorMisalignedAddress, "ldm 20");
  fault(mistake::store_address, cudaErrorMisalignedAddress, "store_matrix_sync at");
  fault(mistake::different_pointers, cudaErrorLaunchFailure, "the same pointer");
  // A warp of 16 threads is no warp.
  REQUIRE(launch({1, 16}, unfilled, c.data()) == cudaErrorLaunchFailure);
  REQUIRE_THAT(last_report(), Catch::Matchers::ContainsSubstring("lane 16 does not take part"));
}

TEST_CASE("loads and stores order no memory between lanes", "[wmma]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const fresh_device restored;
  settings().order = GENERATE(thread_order::forward, thread_order::reverse);
  const device_array<float> out(256);
  const auto count = [&](float value) { return std::count(out.get(), out.get() + 256, value); };
  REQUIRE(launch({1, 32}, hand_over, out.get(), true) == cudaSuccess);
  REQUIRE(count(2) == 256);
  REQUIRE(launch({1, 32}, take_over, out.get(), true) == cudaSuccess);
  REQUIRE(count(2) == 256);
#if !defined(HOSTCUDA_THREAD_SANITIZER)  // which would report the races
  REQUIRE(launch({1, 32}, hand_over, out.get(), false) == cudaSuccess);
  if (settings().order == thread_order::forward) REQUIRE(count(-1) > 0);
  REQUIRE(launch({1, 32}, take_over, out.get(), false) == cudaSuccess);
  REQUIRE(count(-1) > 0);
#endif
}

TEST_CASE("tf32 is rounded to ten bits, ties away from zero", "[wmma]") {
  const float ulp = std::ldexp(1.0f, -10);
  REQUIRE(wmma::__float_to_tf32(1 + 0.5f * ulp) == 1 + ulp);
  REQUIRE(wmma::__float_to_tf32(-1 - 0.5f * ulp) == -1 - ulp);
  REQUIRE(wmma::__float_to_tf32(1 + 0.499f * ulp) == 1);
  REQUIRE(wmma::__float_to_tf32(std::numeric_limits<float>::infinity()) ==
          std::numeric_limits<float>::infinity());
  REQUIRE(std::isnan(wmma::__float_to_tf32(NAN)));
}

namespace {

__global__ void exchange(const __half* in, __half* out, __nv_bfloat162* both) {
  out[threadIdx.x] = __shfl_xor_sync(~0u, in[threadIdx.x], 5);
  const auto pair = __floats2bfloat162_rn(static_cast<float>(threadIdx.x), -1);
  both[threadIdx.x] = __shfl_down_sync(~0u, pair, 1);
}

}  // namespace

TEST_CASE("16-bit numbers go through shuffles", "[half]") {
  const stream_mode_scope mode(stream_mode::immediate);
  const device_array<__half> in(32), out(32);
  const device_array<__nv_bfloat162> both(32);
  for (int i = 0; i < 32; ++i) in.get()[i] = __half(0.25f * static_cast<float>(i));
  REQUIRE(launch({1, 32}, exchange, static_cast<const __half*>(in.get()), out.get(), both.get()) ==
          cudaSuccess);
  for (int i = 0; i < 32; ++i) {
    CHECK(static_cast<float>(out.get()[i]) == 0.25f * static_cast<float>(i ^ 5));
    CHECK(static_cast<float>(both.get()[i].x) == static_cast<float>(i == 31 ? 31 : i + 1));
  }
}
