// Products by the vendor's BLAS: cuBLAS, under hostcuda oneDNN or a CBLAS behind the same names.
//
// A BLAS counts columns first: a row-major (rows, cols) matrix with leading dimension ld is to it the
// transposed, (cols × rows) with the same ld. So C = A·B is asked for as Cᵀ = Bᵀ·Aᵀ, with the operands
// exchanged.
#pragma once

#include <plexus/core/context.hpp>
#include <plexus/core/for_each.hpp>
#include <plexus/core/precision.hpp>
#include <plexus/kernels/gemm.hpp>
#include <plexus/linalg/epilogue_pass.hpp>

namespace plexus::inline PLEXUS_ABI::vendor {

#if defined(PLEXUS_VENDOR_BLAS)

inline void check(cublasStatus_t status, const char* doing) {
  require(status == CUBLAS_STATUS_SUCCESS, doing, "the vendor's BLAS refused",
          "see the CUDA error of an earlier call, or choose gemm_policy::native");
}

// How A and B enter a row-major product.
template <layout L>
inline constexpr cublasOperation_t operation_of_a = L == layout::tn ? CUBLAS_OP_T : CUBLAS_OP_N;
template <layout L>
inline constexpr cublasOperation_t operation_of_b = L == layout::nt ? CUBLAS_OP_T : CUBLAS_OP_N;

// Makes what later calls need, so that they can be recorded in a graph.
inline void prepare(context& context) { context.vendor_blas(); }

// C = op(A)·op(B) + beta·C
template <layout L>
void sgemm(context& context, matrix_view<const float> a, matrix_view<const float> b, float beta,
           matrix_view<float> c) {
  constexpr float alpha = 1;
  const int depth = L == layout::tn ? a.rows : a.cols;
  check(cublasSgemm(context.vendor_blas(), operation_of_b<L>, operation_of_a<L>, c.cols, c.rows, depth,
                    &alpha, b.data, b.ld, a.data, a.ld, &beta, c.data, c.ld),
        "multiplying matrices");
}

// C(1,n) = x(1,k)·op(W) + beta·C, op(W) being (k,n).
template <layout L>
void sgemv(context& context, matrix_view<const float> x, matrix_view<const float> w, float beta,
           matrix_view<float> c) {
  constexpr float alpha = 1;
  check(cublasSgemv(context.vendor_blas(), operation_of_b<L>, w.cols, w.rows, &alpha, w.data, w.ld, x.data, 1,
                    &beta, c.data, 1),
        "multiplying a vector by a matrix");
}

template <layout L, class Epilogue>
void gemm(context& context, matrix_view<const float> a, matrix_view<const float> b,
          const Epilogue& epilogue) {
  constexpr float beta = Epilogue::accumulates ? 1 : 0;
  if (L != layout::tn && a.rows == 1) {
    sgemv<L>(context, a, b, beta, epilogue.c);
  } else {
    sgemm<L>(context, a, b, beta, epilogue.c);
  }
  pass_epilogue(context, epilogue);
}

template <class T>
inline constexpr cudaDataType data_type = CUDA_R_32F;
template <>
inline constexpr cudaDataType data_type<__half> = CUDA_R_16F;
template <>
inline constexpr cudaDataType data_type<__nv_bfloat16> = CUDA_R_16BF;

// `Plain` is store or accumulate. FP32 operands are rounded to TF32 where the device has it.
template <layout L, class T, class Plain>
void mixed_gemm(context& context, matrix_view<const T> a, matrix_view<const T> b, const Plain& plain) {
  constexpr float alpha = 1, beta = Plain::accumulates ? 1 : 0;
  constexpr auto compute = sixteen_bit_float<T> ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_FAST_TF32;
  const matrix_view<float>& c = plain.c;
  check(cublasGemmEx(context.vendor_blas(), operation_of_b<L>, operation_of_a<L>, c.cols, c.rows,
                     L == layout::tn ? a.rows : a.cols, &alpha, b.data, data_type<T>, b.ld, a.data,
                     data_type<T>, a.ld, &beta, c.data, CUDA_R_32F, c.ld, compute, CUBLAS_GEMM_DEFAULT),
        "multiplying matrices");
}

// A batch of products whose matrices lie one below the other. `Plain` is store or accumulate.
template <layout L, class T, class Plain>
void batched_gemm(context& context, int count, matrix_view<const T> a, matrix_view<const T> b,
                  const Plain& plain) {
  constexpr float alpha = 1, beta = Plain::accumulates ? 1 : 0;
  const matrix_view<float>& c = plain.c;
  const auto stride = [&](const auto& stack) {
    return static_cast<long long>(stack.rows / count) * stack.ld;
  };
  check(cublasGemmStridedBatchedEx(context.vendor_blas(), operation_of_b<L>, operation_of_a<L>, c.cols,
                                   c.rows / count, L == layout::tn ? a.rows / count : a.cols, &alpha, b.data,
                                   data_type<T>, b.ld, stride(b), a.data, data_type<T>, a.ld, stride(a),
                                   &beta, c.data, CUDA_R_32F, c.ld, stride(c), count, CUBLAS_COMPUTE_32F,
                                   CUBLAS_GEMM_DEFAULT),
        "multiplying a batch of matrices");
}

#else

// Never called: no context has gemm_policy::vendor.
inline void prepare(context&) {}

template <layout L, class Epilogue>
void gemm(context&, matrix_view<const float>, matrix_view<const float>, const Epilogue&) {}

template <layout L, class T, class Plain>
void batched_gemm(context&, int, matrix_view<const T>, matrix_view<const T>, const Plain&) {}

template <layout L, class T, class Plain>
void mixed_gemm(context&, matrix_view<const T>, matrix_view<const T>, const Plain&) {}

#endif

}  // namespace plexus::inline PLEXUS_ABI::vendor
