// Instructions for which CUDA C++ has no function: the one place with PTX. Those of tensor cores are called
// by device code for sm_80 and later alone, and hostcuda calls none: they are templates so that nothing else
// compiles them.
//
// Operands are registers of 32 bits, whose places in the matrices the PTX manual lays down under "Matrix
// fragments for mma.m16n8k16" and, for TF32, "mma.m16n8k8". Lane l stands in row l / 4 of a fragment, at
// column l % 4.
#pragma once

#include <plexus/platform.hpp>

#include <type_traits>

namespace plexus::inline PLEXUS_ABI::kernels {

// Four matrices of 8 rows of 16 bytes from shared memory, of which lane 8·i + r names row r of matrix i: lane
// l gets of each the 4 bytes l % 4 of row l / 4 or, transposed, the 16-bit elements 2·(l % 4) and the next of
// column l / 4.
template <bool Transposed, class T>
__device__ void load_matrices(unsigned (&parts)[4], const T* row) {
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if constexpr (Transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(parts[0]), "=r"(parts[1]), "=r"(parts[2]), "=r"(parts[3])
                 : "r"(address)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(parts[0]), "=r"(parts[1]), "=r"(parts[2]), "=r"(parts[3])
                 : "r"(address)
                 : "memory");
  }
}

// Four words to shared memory by one instruction: of an assignment the compiler now and then makes four,
// whose lanes meet in banks.
template <class T>
__device__ void store_four_words(T* to, const uint4& words) {
  asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};"
               :
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(to))), "r"(words.x), "r"(words.y),
                 "r"(words.z), "r"(words.w)
               : "memory");
}

// d (16, 8) = a (16, k) · b (k, 8) + c, with k = 16, for float 8. c and d may be the same.
template <class T>
__device__ void multiply_add(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1,
                             const float (&c)[4]) {
  if constexpr (std::is_same_v<T, __half>) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"
        : "=" PLEXUS_FLOAT_REGISTER(d[0]), "=" PLEXUS_FLOAT_REGISTER(d[1]), "=" PLEXUS_FLOAT_REGISTER(d[2]),
          "=" PLEXUS_FLOAT_REGISTER(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), PLEXUS_FLOAT_REGISTER(c[0]),
          PLEXUS_FLOAT_REGISTER(c[1]), PLEXUS_FLOAT_REGISTER(c[2]), PLEXUS_FLOAT_REGISTER(c[3]));
  } else if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"
        : "=" PLEXUS_FLOAT_REGISTER(d[0]), "=" PLEXUS_FLOAT_REGISTER(d[1]), "=" PLEXUS_FLOAT_REGISTER(d[2]),
          "=" PLEXUS_FLOAT_REGISTER(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), PLEXUS_FLOAT_REGISTER(c[0]),
          PLEXUS_FLOAT_REGISTER(c[1]), PLEXUS_FLOAT_REGISTER(c[2]), PLEXUS_FLOAT_REGISTER(c[3]));
  } else {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"
        : "=" PLEXUS_FLOAT_REGISTER(d[0]), "=" PLEXUS_FLOAT_REGISTER(d[1]), "=" PLEXUS_FLOAT_REGISTER(d[2]),
          "=" PLEXUS_FLOAT_REGISTER(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), PLEXUS_FLOAT_REGISTER(c[0]),
          PLEXUS_FLOAT_REGISTER(c[1]), PLEXUS_FLOAT_REGISTER(c[2]), PLEXUS_FLOAT_REGISTER(c[3]));
  }
}

// The bits of a float, rounded to TF32.
template <class T>
__device__ void round_to_tf32(unsigned& bits) {
  asm("cvt.rna.tf32.f32 %0, %0;" : "+r"(bits));
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
