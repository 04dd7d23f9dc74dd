// The products behind cublas.hpp, on a CBLAS: column-major, C = alpha·op(A)·op(B) + beta·C.
//
// The BLAS itself is told to use one thread: its own pool spins while it waits, and takes the cores that
// others need. A large product is cut into tiles of C, which the pool shares out. The cut depends on the
// sizes alone, and each element of C is summed within one tile: a product has the same bits in every run,
// whatever the number of threads.
#pragma once

#include <hostcuda/engine/pool.hpp>
#include <hostcuda/engine/sanitizers.hpp>
#include <hostcuda/runtime/error.hpp>

#include <cblas.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

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
  static const bool found = [] {
    const std::string_view core = &openblas_get_corename != nullptr ? openblas_get_corename() : "";
    return core == "SkylakeX" || core == "Cooperlake" || core == "SapphireRapids";
  }();
  return found;
}

// A column-major matrix as the caller stores it, and whether a product takes it transposed.
struct operand {
  const float* data = nullptr;
  int ld = 0;
  bool transposed = false;

  // The place of element (row, col) of op(A).
  const float* at(int row, int col) const {
    if (transposed) std::swap(row, col);
    return data + row + static_cast<std::ptrdiff_t>(col) * ld;
  }
  CBLAS_TRANSPOSE transpose() const { return transposed ? CblasTrans : CblasNoTrans; }
};

struct product {
  int m = 0, n = 0, k = 0;
  float alpha = 1;
  operand a = {}, b = {};
  float beta = 0;
  float* c = nullptr;
  int ldc = 0;

  double flops() const { return 2.0 * m * n * k; }
};

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
  cblas_sgemm(CblasColMajor, p.a.transpose(), p.b.transpose(), p.m, p.n, p.k, p.alpha, p.a.data, p.a.ld,
              p.b.data, p.b.ld, p.beta, p.c, p.ldc);
}

inline int divide_up(int a, int b) { return (a + b - 1) / b; }

// How C is cut: into tiles of few enough elements, about square, their sides multiples of what the BLAS's
// kernels take at once.
struct tiling {
  int rows, cols;  // of a tile

  explicit tiling(const product& p) : rows(p.m), cols(p.n) {
    const double enough = enough_elements(p);
    while (1.0 * rows * cols > enough && std::max(rows, cols) > step) {
      int& longer = rows > cols ? rows : cols;
      longer = (longer - 1) / step * step;
    }
    rows = evenly(p.m, rows);
    cols = evenly(p.n, cols);
  }

 private:
  static constexpr int step = 16;

  // Tiles of up to 10⁶ multiplications (and about 32 × 32 where A is transposed) are not packed, and are the
  // quickest where A and B, which they read many times, stay in the caches; but where neither operand is
  // transposed, or k is so large that they would be tiny, packing wins. What is packed is to be large, as
  // each tile packs its rows of A and its columns of B, but not so large that threads find nothing to do.
  static double enough_elements(const product& p) {
    constexpr double most_unpacked = 1e6, packed_work = 2.5e6, most_packed = 256 * 256;
    const bool cached = 1.0 * (p.m + p.n) * p.k <= 1.5e6;
    if (has_unpacked_products() && p.a.transposed != p.b.transposed && cached && p.k <= 2000)
      return std::min(most_unpacked / p.k, p.a.transposed ? 32.0 * 32 : most_unpacked);
    return std::min(most_packed, std::max(1.0 * p.m * p.n / 8, packed_work / p.k));
  }

  // The least side that needs no more parts of `length` than `side` does.
  static int evenly(int length, int side) {
    const int parts = divide_up(length, side);
    return divide_up(divide_up(length, parts), step) * step;
  }
};

inline void multiply_in_tiles(const product& p, const tiling& tile) {
  const int down = divide_up(p.m, tile.rows), across = divide_up(p.n, tile.cols);
  pool().share(static_cast<std::size_t>(down) * static_cast<std::size_t>(across), [&](std::size_t number) {
    const int row = static_cast<int>(number) % down * tile.rows;
    const int col = static_cast<int>(number) / down * tile.cols;
    product part = p;
    part.m = std::min(tile.rows, p.m - row);
    part.n = std::min(tile.cols, p.n - col);
    part.a.data = p.a.at(row, 0);
    part.b.data = p.b.at(0, col);
    part.c = p.c + row + static_cast<std::ptrdiff_t>(col) * p.ldc;
    multiply_by_blas(part);
  });
}

// Worth the time that waking others takes. A single thread cuts as well, to come to the same bits; of large
// cubes that costs it some per cent.
inline bool worth_sharing(const product& p) { return p.flops() > 4e6; }

inline void multiply(const product& p) {
  constexpr std::int64_t plain_work = 64;
  if (static_cast<std::int64_t>(p.m) * p.n * p.k <= plain_work) {
    multiply_plainly(p);
  } else if (worth_sharing(p)) {
    multiply_in_tiles(p, tiling(p));
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

}  // namespace hostcuda::detail::blas
