// The products behind cublas.hpp, on a CBLAS and, with HOSTCUDA_ONEDNN, on oneDNN before it: column-major,
// C = alpha·op(A)·op(B) + beta·C.
//
// The BLAS itself is told to use one thread: its own pool spins while it waits, and takes the cores that
// others need. A large product is cut into tiles of C, which the pool shares out. The cut depends on the
// sizes alone, and each element of C is summed within one tile: a product has the same bits in every run,
// whatever the number of threads.
#pragma once

#include <hostcuda/engine/pool.hpp>
#include <hostcuda/engine/sanitizers.hpp>
#include <hostcuda/runtime/error.hpp>

#if defined(HOSTCUDA_ONEDNN)
#include <hostcuda/blas/onednn.hpp>
#endif

#include <cblas.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

// OpenBLAS's; null where the program is linked with another BLAS.
extern "C" {
__attribute__((weak)) void openblas_set_num_threads(int threads);
__attribute__((weak)) char* openblas_get_corename();
}

namespace hostcuda::detail::blas {

inline void use_one_thread() {
  if (&openblas_set_num_threads != nullptr) openblas_set_num_threads(1);
}

// Whether the BLAS multiplies small matrices without packing them first, as OpenBLAS does with AVX-512.
inline bool has_unpacked_products() {
#if defined(HOSTCUDA_ONEDNN)
  if (onednn::multiplies_float()) return false;
#endif
  static const bool found = [] {
    const std::string_view core = &openblas_get_corename != nullptr ? openblas_get_corename() : "";
    return core == "SkylakeX" || core == "Cooperlake" || core == "SapphireRapids";
  }();
  return found;
}

// A column-major matrix as the caller stores it, and whether a product takes it transposed.
template <class T>
struct operand_of {
  const T* data = nullptr;
  int ld = 0;
  bool transposed = false;

  // The place of element (row, col) of op(A).
  const T* at(int row, int col) const {
    if (transposed) std::swap(row, col);
    return data + row + static_cast<std::ptrdiff_t>(col) * ld;
  }
  CBLAS_TRANSPOSE transpose() const { return transposed ? CblasTrans : CblasNoTrans; }
};

using operand = operand_of<float>;

template <class T>
struct product_of {
  int m = 0, n = 0, k = 0;
  float alpha = 1;
  operand_of<T> a = {}, b = {};
  float beta = 0;
  float* c = nullptr;
  int ldc = 0;

  double flops() const { return 2.0 * m * n * k; }
};
using product = product_of<float>;

// Where beta is 0, c is written without being read: it may hold anything.
inline float scaled(float beta, float c) { return beta == 0 ? 0 : beta * c; }

// As it stands in the book. For products so small that the BLAS would spend more on preparing.
inline void multiply_plainly(const product& p) {
  for (int col = 0; col < p.n; ++col) {
    for (int row = 0; row < p.m; ++row) {
      float sum = 0;
      for (int i = 0; i < p.k; ++i) sum += *p.a.at(row, i) * *p.b.at(i, col);
      float& c = p.c[row + static_cast<std::ptrdiff_t>(col) * p.ldc];
      c = p.alpha * sum + scaled(p.beta, c);
    }
  }
}

inline void multiply_by_blas(const product& p) {
#if defined(HOSTCUDA_ONEDNN)
  if (onednn::sgemm(p.a.transposed, p.b.transposed, p.m, p.n, p.k, p.alpha, p.a.data, p.a.ld, p.b.data,
                    p.b.ld, p.beta, p.c, p.ldc))
    return;
#endif
  cblas_sgemm(CblasColMajor, p.a.transpose(), p.b.transpose(), p.m, p.n, p.k, p.alpha, p.a.data, p.a.ld,
              p.b.data, p.b.ld, p.beta, p.c, p.ldc);
}

inline int divide_up(int a, int b) { return (a + b - 1) / b; }

// How C is cut into tiles.
//
// The BLAS packs the rows of A and the columns of B that a tile needs, so tiles are to be few: four for
// threads to share, eight where the product has work for them, more only where a tile would outgrow the
// caches. Doubled numbers come out even on 2, 4 and 8 threads. Tiles are cut across the columns first where
// these are not much shorter: the columns of C lie one after the other in memory, and what passes over C
// after the product deals it out to the threads in that order.
//
// A product that the BLAS does not pack is the quickest in tiles of up to 10⁶ multiplications (and about
// 32 × 32 where A is transposed), as long as A and B, which they read many times, stay in the caches; but
// where neither operand is transposed, or k is so large that tiles would be tiny, packing wins.
class tiling {
 public:
  template <class T>
  explicit tiling(const product_of<T>& p) : m_(p.m), n_(p.n) {
    if (is_unpacked(p)) {
      step_ = 16;
      const double most = std::min(1e6 / p.k, p.a.transposed ? 32.0 * 32 : 1e6);
      while (1.0 * rows() * cols() > most && std::max(rows(), cols()) > step_) ++longer_side(1);
    } else {
      const double work = 1.0 * p.m * p.n * p.k, enough_work = 16e6, most_elements = 256 * 256;
      const double wanted =
          std::max(std::clamp(work / enough_work, 4.0, 8.0), 1.0 * p.m * p.n / most_elements);
      if constexpr (std::is_same_v<T, float>) {
        while (down_ * across_ < wanted && std::max(rows(), cols()) > 2 * step_) longer_side(2) *= 2;
      } else {  // oneDNN's quickest code wants all rows of C
        while (across_ < wanted && cols() > 2 * step_) across_ *= 2;
      }
    }
  }

  // Whether the BLAS multiplies tiles of this product as they lie.
  template <class T>
  static bool is_unpacked(const product_of<T>& p) {
    if (!std::is_same_v<T, float>) return false;
    const bool cached = 1.0 * (p.m + p.n) * p.k <= 1.5e6;
    return has_unpacked_products() && p.a.transposed != p.b.transposed && cached && p.k <= 2000;
  }

  std::size_t count() const { return static_cast<std::size_t>(down_) * static_cast<std::size_t>(across_); }

  // The part of the product that comes to tile `number`.
  template <class T>
  product_of<T> part(const product_of<T>& p, std::size_t number) const {
    const int place = static_cast<int>(number);
    const int row = bound(m_, down_, place % down_), col = bound(n_, across_, place / down_);
    product_of<T> tile = p;
    tile.m = bound(m_, down_, place % down_ + 1) - row;
    tile.n = bound(n_, across_, place / down_ + 1) - col;
    tile.a.data = p.a.at(row, 0);
    tile.b.data = p.b.at(0, col);
    tile.c = p.c + row + static_cast<std::ptrdiff_t>(col) * p.ldc;
    return tile;
  }

 private:
  // Into how many parts the longer side of the tiles is cut, rows being preferred `times` as long as columns.
  int& longer_side(int times) { return rows() > times * cols() ? down_ : across_; }

  // The most that a tile has.
  int rows() const { return divide_up(divide_up(m_, down_), step_) * step_; }
  int cols() const { return divide_up(divide_up(n_, across_), step_) * step_; }

  // Where part `i` of `length` begins: as evenly as multiples of the step allow, which the BLAS's kernels
  // take at once.
  int bound(int length, int parts, int i) const {
    const auto even = static_cast<int>(static_cast<std::int64_t>(length) * i / parts);
    return i == parts ? length : std::min(length, (even + step_ / 2) / step_ * step_);
  }

  int m_, n_;
  int step_ = 8;
  int down_ = 1, across_ = 1;
};

inline void multiply_in_tiles(const product& p) {
  const tiling tiles(p);
  pool().share(tiles.count(), [&](std::size_t number) { multiply_by_blas(tiles.part(p, number)); });
}

// By this thread alone: in tiles only where these are what keeps the BLAS from packing.
inline void multiply_alone(const product& p) {
  if (!tiling::is_unpacked(p)) return multiply_by_blas(p);
  const tiling tiles(p);
  for (std::size_t number = 0; number < tiles.count(); ++number) multiply_by_blas(tiles.part(p, number));
}

// Worth the time that waking others takes. A single thread cuts as well, to come to the same bits; of large
// cubes that costs it some per cent.
template <class T>
bool worth_sharing(const product_of<T>& p) {
  return p.flops() > 4e6;
}

inline void multiply(const product& p) {
  constexpr std::int64_t plain_work = 64;
  if (static_cast<std::int64_t>(p.m) * p.n * p.k <= plain_work) {
    multiply_plainly(p);
  } else if (worth_sharing(p)) {
    multiply_in_tiles(p);
  } else {
    multiply_by_blas(p);
  }
}

// `size` elements, `step` apart; where that is negative the first one is the last in memory, as BLAS has it.
template <class T>
struct strided {
  T* data = nullptr;
  int step = 1;

  T* first(int size) const { return step < 0 ? data - static_cast<std::ptrdiff_t>(size - 1) * step : data; }
};

// y = alpha·op(A)·x + beta·y, A being m × n.
struct vector_product {
  int m = 0, n = 0;
  float alpha = 1;
  operand a = {};
  strided<const float> x = {};
  float beta = 0;
  strided<float> y = {};

  int outputs() const { return a.transposed ? n : m; }
  int inputs() const { return a.transposed ? m : n; }
};

inline void multiply_plainly(const vector_product& p) {
  const float* const x = p.x.first(p.inputs());
  float* const y = p.y.first(p.outputs());
  for (int row = 0; row < p.outputs(); ++row) {
    float sum = 0;
    for (int i = 0; i < p.inputs(); ++i)
      sum += *p.a.at(row, i) * x[static_cast<std::ptrdiff_t>(i) * p.x.step];
    float& out = y[static_cast<std::ptrdiff_t>(row) * p.y.step];
    out = p.alpha * sum + scaled(p.beta, out);
  }
}

inline void multiply_by_blas(const vector_product& p) {
#if defined(HOSTCUDA_ONEDNN)
  if (p.x.step == 1 && p.y.step == 1 &&
      onednn::sgemm(p.a.transposed, false, p.outputs(), 1, p.inputs(), p.alpha, p.a.data, p.a.ld, p.x.data,
                    p.inputs(), p.beta, p.y.data, p.outputs()))
    return;
#endif
  cblas_sgemv(CblasColMajor, p.a.transpose(), p.m, p.n, p.alpha, p.a.data, p.a.ld, p.x.data, p.x.step, p.beta,
              p.y.data, p.y.step);
}

// Memory's speed limits it: parts of half a megabyte of A.
inline void multiply_in_parts(const vector_product& p) {
  const int part_size = std::max(16, (1 << 17) / p.inputs() / 16 * 16);
  const int parts = divide_up(p.outputs(), part_size);
  pool().share(static_cast<std::size_t>(parts), [&](std::size_t number) {
    const int first = static_cast<int>(number) * part_size;
    const int size = std::min(part_size, p.outputs() - first);
    vector_product part = p;
    (p.a.transposed ? part.n : part.m) = size;
    part.a.data = p.a.at(first, 0);
    // With a negative step the parts come from the end of memory.
    const int before = p.y.step > 0 ? first : p.outputs() - first - size;
    part.y.data = p.y.data + static_cast<std::ptrdiff_t>(before) * std::abs(p.y.step);
    multiply_by_blas(part);
  });
}

inline void multiply(const vector_product& p) {
  constexpr std::int64_t plain_work = 16, shared_work = 1 << 19;
  const std::int64_t work = static_cast<std::int64_t>(p.m) * p.n;
  if (work <= plain_work) {
    multiply_plainly(p);
  } else if (work > shared_work) {
    multiply_in_parts(p);
  } else {
    multiply_by_blas(p);
  }
}

// AddressSanitizer does not see into a BLAS: here it is shown the memory that a call will touch, `count`
// columns of `size` elements, `ld` elements apart.
inline cudaError_t check_addressable([[maybe_unused]] const char* call, [[maybe_unused]] const void* first,
                                     [[maybe_unused]] std::size_t element, [[maybe_unused]] std::int64_t size,
                                     [[maybe_unused]] std::int64_t ld, [[maybe_unused]] std::int64_t count) {
#if defined(HOSTCUDA_ADDRESS_SANITIZER)
  for (std::int64_t col = 0; col < count && size > 0; ++col) {
    auto* column =
        const_cast<char*>(static_cast<const char*>(first)) + static_cast<std::size_t>(col * ld) * element;
    if (const void* bad = __asan_region_is_poisoned(column, static_cast<std::size_t>(size) * element)) {
      char text[160];
      std::snprintf(text, sizeof text,
                    "%s: %p lies in a matrix or vector of the call, but not in memory that is its own", call,
                    bad);
      return fail(cudaErrorIllegalAddress, text);
    }
  }
#endif
  return cudaSuccess;
}

// The same for who has no status to give: a read of the first such byte makes AddressSanitizer speak.
inline void touch_if_poisoned([[maybe_unused]] const float* first, [[maybe_unused]] int rows,
                              [[maybe_unused]] int cols, [[maybe_unused]] int ld) {
#if defined(HOSTCUDA_ADDRESS_SANITIZER)
  for (std::ptrdiff_t row = 0; row < rows && cols > 0; ++row) {
    auto* begin = const_cast<float*>(first + row * ld);
    if (const void* bad = __asan_region_is_poisoned(begin, static_cast<std::size_t>(cols) * sizeof(float)))
      static_cast<void>(*static_cast<const volatile char*>(bad));
  }
#endif
}

}  // namespace hostcuda::detail::blas

namespace hostcuda {

// C (m, n) = op(A)·op(B) + beta·C, row-major, by the calling thread alone where the BLAS is OpenBLAS: for who
// shares out work himself. Under AddressSanitizer memory that is not the caller's is reported before the
// call.
inline void multiply_here(bool transpose_a, bool transpose_b, int m, int n, int k, const float* a, int lda,
                          const float* b, int ldb, float beta, float* c, int ldc) {
  static const bool alone = (detail::blas::use_one_thread(), true);
  static_cast<void>(alone);
  detail::blas::touch_if_poisoned(a, transpose_a ? k : m, transpose_a ? m : k, lda);
  detail::blas::touch_if_poisoned(b, transpose_b ? n : k, transpose_b ? k : n, ldb);
  detail::blas::touch_if_poisoned(c, m, n, ldc);
  // To a BLAS of columns these are the transposed matrices.
  detail::blas::multiply_alone({n, m, k, 1, {b, ldb, transpose_b}, {a, lda, transpose_a}, beta, c, ldc});
}

}  // namespace hostcuda
