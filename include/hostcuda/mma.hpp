// Warp matrix multiply-accumulate (nvcuda::wmma) on the CPU: 16-bit floating point in shapes 16×16×16,
// 32×8×16 and 8×32×16, tf32 in 16×16×8.
//
// Which lane holds which element is nobody's business on a GPU, and here it is another mapping: element e of
// lane l is number 32·e + l of the matrix, row by row. Loads and stores are each lane's own and order no
// memory between lanes, as on a GPU: what another lane wrote needs a __syncwarp() or __syncthreads() in
// between.
#pragma once

#include <hostcuda/builtins/warp.hpp>
#include <hostcuda/cuda_bf16.hpp>
#include <hostcuda/cuda_fp16.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

namespace hostcuda::nvcuda::wmma {

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;

enum layout_t { mem_row_major, mem_col_major };

namespace precision {
struct tf32;
}

namespace detail {

inline constexpr unsigned lanes = 32;

template <int m, int n, int k, class T>
inline constexpr bool is_input = std::is_same_v<T, precision::tf32>
                                     ? m == 16 && n == 16 && k == 8
                                     : (std::is_same_v<T, __half> || std::is_same_v<T, __nv_bfloat16>)&&k ==
                                               16 &&
                                           ((m == 16 && n == 16) || (m == 32 && n == 8) ||
                                            (m == 8 && n == 32));

template <int m, int n, int k, class T>
inline constexpr bool is_output =
    std::is_same_v<T, float> ? is_input<m, n, k, __half> || is_input<m, n, k, precision::tf32>
                             : std::is_same_v<T, __half>&& is_input<m, n, k, __half>;

// tf32 is kept as float.
template <class T>
using storage = std::conditional_t<std::is_same_v<T, precision::tf32>, float, T>;

template <class T, int Rows, int Cols>
struct elements {
  static constexpr int rows = Rows, cols = Cols;
  static constexpr int num_elements = Rows * Cols / static_cast<int>(lanes);
  static constexpr int num_storage_elements = num_elements;
  using element_type = T;
  using storage_element_type = storage<T>;

  storage_element_type x[num_elements];

  // A fragment that nothing was put into is NaN.
  elements() {
    for (auto& element : x) element = storage_element_type(std::numeric_limits<float>::quiet_NaN());
  }

  static constexpr unsigned number(unsigned lane, int element) {
    return static_cast<unsigned>(element) * lanes + lane;
  }
};

}  // namespace detail

template <class Use, int m, int n, int k, class T, class Layout = void>
class fragment {
  static_assert(sizeof(Use) == 0,
                "hostcuda has no such fragment: __half or __nv_bfloat16 in 16x16x16, 32x8x16 or "
                "8x32x16, precision::tf32 in 16x16x8, accumulators of float or (for __half) __half");
};

template <int m, int n, int k, class T, class Layout>
requires(detail::is_input<m, n, k, T>) class fragment<matrix_a, m, n, k, T, Layout>
    : public detail::elements<T, m, k> {
};

template <int m, int n, int k, class T, class Layout>
requires(detail::is_input<m, n, k, T>) class fragment<matrix_b, m, n, k, T, Layout>
    : public detail::elements<T, k, n> {
};

template <int m, int n, int k, class T>
requires(detail::is_output<m, n, k, T>) class fragment<accumulator, m, n, k, T, void>
    : public detail::elements<T, m, n> {
};

namespace detail {

using hostcuda::detail::kernel_fault;

// What all lanes must agree on.
struct access {
  const void* memory;
  unsigned ldm;
  layout_t layout;
  bool operator==(const access&) const = default;
};

template <class Argument>
void require_full_warp(const std::array<Argument*, lanes>& arguments, const char* operation) {
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if (arguments[lane] == nullptr) {
      throw kernel_fault{cudaErrorLaunchFailure, std::string("wmma::") + operation +
                                                     " needs all 32 lanes of the warp; lane " +
                                                     std::to_string(lane) + " does not take part"};
    }
  }
}

// Waits for the warp and checks that its lanes ask for the same.
inline void meet(access mine, const char* operation) {
  hostcuda::detail::warp_collective(
      ~0u, mine,
      [operation](const std::array<access*, lanes>& all) {
        require_full_warp(all, operation);
        for (const access* one : all) {
          if (*one == *all[0]) continue;
          throw kernel_fault{cudaErrorLaunchFailure,
                             std::string("wmma::") + operation +
                                 ": the lanes of a warp must give the same pointer, ldm and layout"};
        }
      },
      operation);
}

// The hardware reads and writes by 16 bytes, and wants the matrix to begin at a multiple of 32.
template <class T>
void check_alignment(const T* memory, unsigned ldm, const char* operation) {
  if (reinterpret_cast<std::uintptr_t>(memory) % 32 != 0 || ldm * sizeof(T) % 16 != 0) {
    char text[160];
    std::snprintf(text, sizeof text,
                  "wmma::%s at %p with ldm %u: the address must be a multiple of 32 bytes, ldm of %zu "
                  "elements (16 bytes)",
                  operation, static_cast<const void*>(memory), ldm, 16 / sizeof(T));
    throw kernel_fault{cudaErrorMisalignedAddress, text};
  }
}

template <class Elements, class T>
T* place_of(T* memory, unsigned ldm, layout_t layout, unsigned number) {
  const std::size_t row = number / Elements::cols, col = number % Elements::cols;
  return memory + (layout == mem_row_major ? row * ldm + col : row + col * ldm);
}

template <class T, int rows, int cols>
void load(elements<T, rows, cols>& to, const storage<T>* from, unsigned ldm, layout_t layout) {
  constexpr const char* operation = "load_matrix_sync";
  const unsigned lane = hostcuda::detail::this_lane(operation);
  check_alignment(from, ldm, operation);
  for (int i = 0; i < to.num_elements; ++i) {
    to.x[i] = *place_of<elements<T, rows, cols>>(from, ldm, layout, to.number(lane, i));
  }
  meet({from, ldm, layout}, operation);
}

// A whole matrix, gathered from the fragments of the lanes.
template <class T, int rows, int cols>
struct whole {
  using part = elements<T, rows, cols>;
  float at[rows * cols];

  void gather(unsigned lane, const part& from) {
    for (int i = 0; i < part::num_elements; ++i) at[part::number(lane, i)] = multiplied(from.x[i]);
  }

 private:
  // The tensor core does not see the lower 13 bits of a tf32.
  static float multiplied(storage<T> value) {
    if constexpr (!std::is_same_v<T, precision::tf32>) return value;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(static_cast<float>(value)) & ~0x1fffu);
  }
};

template <class A, class B, class C, class D>
struct mma_operands {
  D* d;
  const A* a;
  const B* b;
  const C* c;
};

}  // namespace detail

template <class Use, int m, int n, int k, class T, class Layout>
void fill_fragment(fragment<Use, m, n, k, T, Layout>& to, std::type_identity_t<detail::storage<T>> value) {
  for (auto& element : to.x) element = value;
}

// From an m × k (matrix_a) or k × n (matrix_b) matrix in the fragment's layout; its rows, or columns, lie
// `ldm` elements apart.
template <class Use, int m, int n, int k, class T, class Layout>
requires(!std::is_void_v<Layout>) void load_matrix_sync(fragment<Use, m, n, k, T, Layout>& to,
                                                        const detail::storage<T>* from, unsigned ldm) {
  detail::load(to, from, ldm, std::is_same_v<Layout, row_major> ? mem_row_major : mem_col_major);
}

template <int m, int n, int k, class T>
void load_matrix_sync(fragment<accumulator, m, n, k, T>& to, const T* from, unsigned ldm, layout_t layout) {
  detail::load(to, from, ldm, layout);
}

template <int m, int n, int k, class T>
void store_matrix_sync(T* to, const fragment<accumulator, m, n, k, T>& from, unsigned ldm, layout_t layout) {
  constexpr const char* operation = "store_matrix_sync";
  const unsigned lane = hostcuda::detail::this_lane(operation);
  detail::check_alignment(to, ldm, operation);
  detail::meet({to, ldm, layout}, operation);
  for (int i = 0; i < from.num_elements; ++i) {
    *detail::place_of<detail::elements<T, m, n>>(to, ldm, layout, from.number(lane, i)) = from.x[i];
  }
}

// D = A·B + C. Products are exact, sums in float in the order of k; D of __half is rounded once.
template <int m, int n, int k, class In, class ALayout, class BLayout, class C, class D>
void mma_sync(fragment<accumulator, m, n, k, D>& d, const fragment<matrix_a, m, n, k, In, ALayout>& a,
              const fragment<matrix_b, m, n, k, In, BLayout>& b, const fragment<accumulator, m, n, k, C>& c) {
  static_assert(std::is_same_v<In, __half> || (std::is_same_v<C, float> && std::is_same_v<D, float>),
                "wmma::mma_sync: bfloat16 and tf32 accumulate in float only");
  using operands = detail::mma_operands<detail::elements<In, m, k>, detail::elements<In, k, n>,
                                        detail::elements<C, m, n>, detail::elements<D, m, n>>;
  operands mine{&d, &a, &b, &c};
  hostcuda::detail::warp_collective(~0u, mine, [](const std::array<operands*, detail::lanes>& warp) {
    detail::require_full_warp(warp, "mma_sync");
    detail::whole<In, m, k> whole_a;
    detail::whole<In, k, n> whole_b;
    detail::whole<C, m, n> sums;
    for (unsigned lane = 0; lane < detail::lanes; ++lane) {
      whole_a.gather(lane, *warp[lane]->a);
      whole_b.gather(lane, *warp[lane]->b);
      sums.gather(lane, *warp[lane]->c);
    }
    for (int row = 0; row < m; ++row) {
      for (int i = 0; i < k; ++i) {
        for (int col = 0; col < n; ++col)
          sums.at[row * n + col] += whole_a.at[row * k + i] * whole_b.at[i * n + col];
      }
    }
    for (unsigned lane = 0; lane < detail::lanes; ++lane) {
      for (int i = 0; i < detail::elements<D, m, n>::num_elements; ++i) {
        warp[lane]->d->x[i] = D(sums.at[detail::elements<D, m, n>::number(lane, i)]);
      }
    }
  });
}

// To the nearest tf32, ties away from zero.
inline float __float_to_tf32(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7f800000u) == 0x7f800000u) return value;
  return std::bit_cast<float>((bits + 0x1000u) & ~0x1fffu);
}

}  // namespace hostcuda::nvcuda::wmma
