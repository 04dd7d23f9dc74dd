// cuBLAS on a CBLAS: the same names, arguments, column-major matrices and status codes. Calls are work on the
// handle's stream, so they are captured and deferred like launches. Creating a handle tells an OpenBLAS to
// use one thread; large products are shared out over hostcuda's own threads.
#pragma once

#if !__has_include(<cblas.h>)
#error "hostcuda/cublas.hpp needs a CBLAS: install one (Debian: libopenblas-dev) and link it"
#endif

#include <hostcuda/blas/products.hpp>
#if defined(HOSTCUDA_ONEDNN)
#include <hostcuda/blas/bf16_products.hpp>
#endif
#include <hostcuda/cuda_bf16.hpp>
#include <hostcuda/cuda_fp16.hpp>
#include <hostcuda/runtime/stream.hpp>

#include <initializer_list>

namespace hostcuda {

enum cublasStatus_t : int {
  CUBLAS_STATUS_SUCCESS = 0,
  CUBLAS_STATUS_NOT_INITIALIZED = 1,
  CUBLAS_STATUS_ALLOC_FAILED = 3,
  CUBLAS_STATUS_INVALID_VALUE = 7,
  CUBLAS_STATUS_EXECUTION_FAILED = 13,
  CUBLAS_STATUS_INTERNAL_ERROR = 14,
  CUBLAS_STATUS_NOT_SUPPORTED = 15,
};

enum cublasOperation_t : int { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1, CUBLAS_OP_C = 2 };

enum cublasPointerMode_t : int { CUBLAS_POINTER_MODE_HOST = 0, CUBLAS_POINTER_MODE_DEVICE = 1 };

enum cublasMath_t : int {
  CUBLAS_DEFAULT_MATH = 0,
  CUBLAS_TENSOR_OP_MATH = 1,
  CUBLAS_PEDANTIC_MATH = 2,
  CUBLAS_TF32_TENSOR_OP_MATH = 3,
  CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION = 16,
};

enum cublasComputeType_t : int {
  CUBLAS_COMPUTE_32F = 68,
  CUBLAS_COMPUTE_32F_PEDANTIC = 69,
  CUBLAS_COMPUTE_32F_FAST_16F = 74,
  CUBLAS_COMPUTE_32F_FAST_16BF = 75,
  CUBLAS_COMPUTE_32F_FAST_TF32 = 77,
};

enum cublasGemmAlgo_t : int { CUBLAS_GEMM_DEFAULT = -1, CUBLAS_GEMM_DEFAULT_TENSOR_OP = 99 };

enum cudaDataType_t : int { CUDA_R_32F = 0, CUDA_R_16F = 2, CUDA_R_16BF = 14 };
using cudaDataType = cudaDataType_t;

struct handle::blas {
  cudaStream_t stream = nullptr;
  cublasPointerMode_t pointer_mode = CUBLAS_POINTER_MODE_HOST;
  cublasMath_t math_mode = CUBLAS_DEFAULT_MATH;
};
using cublasHandle_t = handle::blas*;

namespace detail::blas {

inline cublasStatus_t status_of(cudaError_t error) {
  if (error == cudaSuccess) [[likely]]
    return CUBLAS_STATUS_SUCCESS;
  return error == cudaErrorMemoryAllocation ? CUBLAS_STATUS_ALLOC_FAILED : CUBLAS_STATUS_EXECUTION_FAILED;
}

inline cudaError_t first_of(std::initializer_list<cudaError_t> errors) {
  for (const cudaError_t error : errors) {
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

inline bool is_operation(cublasOperation_t op) { return op >= CUBLAS_OP_N && op <= CUBLAS_OP_C; }

// alpha or beta: a host value is read at the call, a device value when the work runs.
class scalar {
 public:
  scalar(cublasHandle_t handle, const float* from)
      : device_(handle->pointer_mode == CUBLAS_POINTER_MODE_DEVICE ? from : nullptr),
        value_(device_ != nullptr ? 0 : *from) {}
  float value() const { return device_ != nullptr ? *device_ : value_; }

 private:
  const float* device_;
  float value_;
};

// A matrix as cuBLAS is given it: elements of `type`, column-major, taken transposed or not.
struct typed_matrix {
  const void* data = nullptr;
  cudaDataType_t type = CUDA_R_32F;
  int ld = 0;
  cublasOperation_t op = CUBLAS_OP_N;

  std::size_t element_size() const { return type == CUDA_R_32F ? sizeof(float) : sizeof(__half); }
  typed_matrix plus(std::ptrdiff_t elements) const {
    typed_matrix moved = *this;
    moved.data = static_cast<const char*>(data) + elements * static_cast<std::ptrdiff_t>(element_size());
    return moved;
  }
};

// The stored columns of a matrix whose op() is rows × cols.
struct stored_shape {
  int rows, cols;
  stored_shape(const typed_matrix& x, int op_rows, int op_cols)
      : rows(x.op == CUBLAS_OP_N ? op_rows : op_cols), cols(x.op == CUBLAS_OP_N ? op_cols : op_rows) {}
};

inline cudaError_t check_addressable(const char* call, const typed_matrix& x, int op_rows, int op_cols) {
  const stored_shape shape(x, op_rows, op_cols);
  return check_addressable(call, x.data, x.element_size(), shape.rows, x.ld, shape.cols);
}

template <class Element>
void widen(const void* from, int ld, const stored_shape& shape, float* to) {
  for (int col = 0; col < shape.cols; ++col, to += shape.rows) {
    const Element* column = static_cast<const Element*>(from) + static_cast<std::ptrdiff_t>(col) * ld;
    for (int row = 0; row < shape.rows; ++row) to[row] = column[row];
  }
}

template <class Element>
void narrow(const float* from, const stored_shape& shape, void* to, int ld) {
  for (int col = 0; col < shape.cols; ++col, from += shape.rows) {
    Element* column = static_cast<Element*>(to) + static_cast<std::ptrdiff_t>(col) * ld;
    for (int row = 0; row < shape.rows; ++row) column[row] = from[row];
  }
}

// Room for a matrix in float, kept by the thread from call to call.
class float_room {
 public:
  float* of(const stored_shape& shape) {
    const std::size_t size = static_cast<std::size_t>(shape.rows) * static_cast<std::size_t>(shape.cols);
    if (room_.size() < size) room_.resize(size);
    return room_.data();
  }

 private:
  std::vector<float> room_;
};

// The matrix in float: itself, or a copy in `room`.
inline operand in_float(const typed_matrix& x, const stored_shape& shape, float_room& room) {
  const bool transposed = x.op != CUBLAS_OP_N;
  if (x.type == CUDA_R_32F) return {static_cast<const float*>(x.data), x.ld, transposed};
  float* copy = room.of(shape);
  if (x.type == CUDA_R_16F) {
    widen<__half>(x.data, x.ld, shape, copy);
  } else {
    widen<__nv_bfloat16>(x.data, x.ld, shape, copy);
  }
  return {copy, std::max(shape.rows, 1), transposed};
}

struct gemm_call {
  int m, n, k;
  scalar alpha;
  typed_matrix a, b;
  scalar beta;
  typed_matrix c;

  cudaError_t operator()() const { return run(a, b, c); }

  cudaError_t run(const typed_matrix& a_now, const typed_matrix& b_now, const typed_matrix& c_now) const {
    if (const cudaError_t error = check_all(a_now, b_now, c_now); error != cudaSuccess) return error;
    if (a.type == CUDA_R_32F && c.type == CUDA_R_32F) [[likely]] {
      multiply({m, n, k, alpha.value(), plain<float>(a_now), plain<float>(b_now), beta.value(),
                output<float>(c_now), c.ld});
      return cudaSuccess;
    }
#if defined(HOSTCUDA_ONEDNN)
    if (a.type == CUDA_R_16BF && c.type == CUDA_R_32F) {
      const onednn::product p{m,
                              n,
                              k,
                              alpha.value(),
                              plain<__nv_bfloat16>(a_now),
                              plain<__nv_bfloat16>(b_now),
                              beta.value(),
                              output<float>(c_now),
                              c.ld};
      if (onednn::suits(p)) return onednn::multiply(p);
    }
#endif
    return run_in_float(a_now, b_now, c_now);
  }

 private:
  template <class Element>
  static operand_of<Element> plain(const typed_matrix& x) {
    return {static_cast<const Element*>(x.data), x.ld, x.op != CUBLAS_OP_N};
  }

  template <class Element>
  static Element* output(const typed_matrix& x) {
    return static_cast<Element*>(const_cast<void*>(x.data));
  }

  cudaError_t run_in_float(const typed_matrix& a_now, const typed_matrix& b_now,
                           const typed_matrix& c_now) const try {
    static thread_local float_room a_room, b_room, c_room;
    const stored_shape c_shape(c_now, m, n);
    product p{.m = m, .n = n, .k = k, .alpha = alpha.value(), .beta = beta.value()};
    p.a = in_float(a_now, {a_now, m, k}, a_room);
    p.b = in_float(b_now, {b_now, k, n}, b_room);
    if (c.type == CUDA_R_32F) {
      p.c = output<float>(c_now);
      p.ldc = c.ld;
      multiply(p);
      return cudaSuccess;
    }
    p.c = c_room.of(c_shape);
    p.ldc = m;
    if (p.beta != 0) in_float(c_now, c_shape, c_room);
    multiply(p);
    if (c.type == CUDA_R_16F) {
      narrow<__half>(p.c, c_shape, output<void>(c_now), c.ld);
    } else {
      narrow<__nv_bfloat16>(p.c, c_shape, output<void>(c_now), c.ld);
    }
    return cudaSuccess;
  } catch (const std::bad_alloc&) {
    return fail(cudaErrorMemoryAllocation, "cublasGemmEx: no host memory is left to convert a matrix in");
  }

  cudaError_t check_all(const typed_matrix& a_now, const typed_matrix& b_now,
                        const typed_matrix& c_now) const {
    return first_of({check_addressable("cuBLAS: A", a_now, m, k), check_addressable("cuBLAS: B", b_now, k, n),
                     check_addressable("cuBLAS: C", c_now, m, n)});
  }
};

// What cuBLAS checks of a product before it looks at any memory.
inline cublasStatus_t check_gemm(cublasHandle_t handle, int m, int n, int k, const float* alpha,
                                 const typed_matrix& a, const typed_matrix& b, const float* beta,
                                 const typed_matrix& c) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!is_operation(a.op) || !is_operation(b.op) || m < 0 || n < 0 || k < 0 || alpha == nullptr ||
      beta == nullptr) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (a.ld < std::max(1, a.op == CUBLAS_OP_N ? m : k) || b.ld < std::max(1, b.op == CUBLAS_OP_N ? k : n) ||
      c.ld < std::max(1, m)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const bool writes = m > 0 && n > 0;
  if (writes && (c.data == nullptr || (k > 0 && (a.data == nullptr || b.data == nullptr)))) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  return CUBLAS_STATUS_SUCCESS;
}

inline cublasStatus_t gemm(cublasHandle_t handle, int m, int n, int k, const float* alpha,
                           const typed_matrix& a, const typed_matrix& b, const float* beta,
                           const typed_matrix& c) {
  if (const auto wrong = check_gemm(handle, m, n, k, alpha, a, b, beta, c)) return wrong;
  if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;
  return status_of(enqueue(handle->stream, gemm_call{m, n, k, {handle, alpha}, a, b, {handle, beta}, c}));
}

// Products of matrices that lie a fixed number of elements apart.
inline cublasStatus_t gemm_strided_batched(cublasHandle_t handle, int m, int n, int k, const float* alpha,
                                           const typed_matrix& a, long long a_stride, const typed_matrix& b,
                                           long long b_stride, const float* beta, const typed_matrix& c,
                                           long long c_stride, int count) {
  if (const auto wrong = check_gemm(handle, m, n, k, alpha, a, b, beta, c)) return wrong;
  if (count < 0) return CUBLAS_STATUS_INVALID_VALUE;
  if (m == 0 || n == 0 || count == 0) return CUBLAS_STATUS_SUCCESS;
  const gemm_call call{m, n, k, {handle, alpha}, a, b, {handle, beta}, c};
  return status_of(enqueue(handle->stream, [=] {
    std::atomic<cudaError_t> error{cudaSuccess};
    const auto one = [&](std::size_t number) {
      const auto i = static_cast<long long>(number);
      const cudaError_t result =
          call.run(call.a.plus(i * a_stride), call.b.plus(i * b_stride), call.c.plus(i * c_stride));
      if (result != cudaSuccess) error.store(result);
    };
    const auto products = static_cast<std::size_t>(count);
    if (worth_sharing(product{.m = m, .n = n, .k = k})) {
      for (std::size_t i = 0; i < products; ++i) one(i);  // each is shared out in itself
    } else {
      pool().run(products, one);
    }
    return error.load();
  }));
}

// The types that cublasGemmEx is implemented for, of those that cuBLAS has.
inline bool supports(cudaDataType_t a, cudaDataType_t b, cudaDataType_t c, cublasComputeType_t compute) {
  const bool computes_in_float = compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_PEDANTIC ||
                                 compute == CUBLAS_COMPUTE_32F_FAST_16F ||
                                 compute == CUBLAS_COMPUTE_32F_FAST_16BF ||
                                 compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  const bool known = a == CUDA_R_32F || a == CUDA_R_16F || a == CUDA_R_16BF;
  return computes_in_float && known && a == b && (c == a || c == CUDA_R_32F);
}

inline cublasStatus_t check_vector_call(cublasHandle_t handle, int n, const void* x, int x_step,
                                        const void* y, int y_step) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (n < 0 || (n > 0 && (x == nullptr || y == nullptr || x_step == 0 || y_step == 0))) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  return CUBLAS_STATUS_SUCCESS;
}

inline cudaError_t check_vector(const char* call, const float* x, int size, int step) {
  return check_addressable(call, x, sizeof(float), 1, std::abs(step), size);
}

}  // namespace detail::blas

inline const char* cublasGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
  return "unknown cuBLAS status";
}

inline cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  if (handle == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  detail::blas::use_one_thread();
  *handle = new (std::nothrow) handle::blas;
  return *handle != nullptr ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}

inline cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

inline cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}

inline cublasStatus_t cublasGetStream(cublasHandle_t handle, cudaStream_t* stream) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (stream == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *stream = handle->stream;
  return CUBLAS_STATUS_SUCCESS;
}

// Only checked: a CBLAS has memory of its own.
inline cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void* workspace, std::size_t) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  constexpr std::uintptr_t alignment = 256;
  return reinterpret_cast<std::uintptr_t>(workspace) % alignment == 0 ? CUBLAS_STATUS_SUCCESS
                                                                      : CUBLAS_STATUS_INVALID_VALUE;
}

inline cublasStatus_t cublasSetPointerMode(cublasHandle_t handle, cublasPointerMode_t mode) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (mode != CUBLAS_POINTER_MODE_HOST && mode != CUBLAS_POINTER_MODE_DEVICE)
    return CUBLAS_STATUS_INVALID_VALUE;
  handle->pointer_mode = mode;
  return CUBLAS_STATUS_SUCCESS;
}

inline cublasStatus_t cublasGetPointerMode(cublasHandle_t handle, cublasPointerMode_t* mode) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (mode == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *mode = handle->pointer_mode;
  return CUBLAS_STATUS_SUCCESS;
}

// Only kept: the CPU computes FP32 products in FP32 in every mode.
inline cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  const int base = mode & ~CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
  if (base < CUBLAS_DEFAULT_MATH || base > CUBLAS_TF32_TENSOR_OP_MATH) return CUBLAS_STATUS_INVALID_VALUE;
  handle->math_mode = mode;
  return CUBLAS_STATUS_SUCCESS;
}

inline cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t* mode) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (mode == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *mode = handle->math_mode;
  return CUBLAS_STATUS_SUCCESS;
}

// C = alpha·op(A)·op(B) + beta·C, column-major; op(A) is m × k, op(B) k × n.
inline cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t a_op, cublasOperation_t b_op,
                                  int m, int n, int k, const float* alpha, const float* a, int lda,
                                  const float* b, int ldb, const float* beta, float* c, int ldc) {
  return detail::blas::gemm(handle, m, n, k, alpha, {a, CUDA_R_32F, lda, a_op}, {b, CUDA_R_32F, ldb, b_op},
                            beta, {c, CUDA_R_32F, ldc});
}

inline cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t a_op,
                                                cublasOperation_t b_op, int m, int n, int k,
                                                const float* alpha, const float* a, int lda,
                                                long long a_stride, const float* b, int ldb,
                                                long long b_stride, const float* beta, float* c, int ldc,
                                                long long c_stride, int count) {
  return detail::blas::gemm_strided_batched(handle, m, n, k, alpha, {a, CUDA_R_32F, lda, a_op}, a_stride,
                                            {b, CUDA_R_32F, ldb, b_op}, b_stride, beta, {c, CUDA_R_32F, ldc},
                                            c_stride, count);
}

// A and B in FP32, half or bfloat16, both the same; C the same or FP32; alpha, beta and all sums in FP32.
inline cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t a_op, cublasOperation_t b_op,
                                   int m, int n, int k, const void* alpha, const void* a,
                                   cudaDataType_t a_type, int lda, const void* b, cudaDataType_t b_type,
                                   int ldb, const void* beta, void* c, cudaDataType_t c_type, int ldc,
                                   cublasComputeType_t compute, cublasGemmAlgo_t) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!detail::blas::supports(a_type, b_type, c_type, compute)) return CUBLAS_STATUS_NOT_SUPPORTED;
  return detail::blas::gemm(handle, m, n, k, static_cast<const float*>(alpha), {a, a_type, lda, a_op},
                            {b, b_type, ldb, b_op}, static_cast<const float*>(beta), {c, c_type, ldc});
}

inline cublasStatus_t cublasGemmStridedBatchedEx(
    cublasHandle_t handle, cublasOperation_t a_op, cublasOperation_t b_op, int m, int n, int k,
    const void* alpha, const void* a, cudaDataType_t a_type, int lda, long long a_stride, const void* b,
    cudaDataType_t b_type, int ldb, long long b_stride, const void* beta, void* c, cudaDataType_t c_type,
    int ldc, long long c_stride, int count, cublasComputeType_t compute, cublasGemmAlgo_t) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!detail::blas::supports(a_type, b_type, c_type, compute)) return CUBLAS_STATUS_NOT_SUPPORTED;
  return detail::blas::gemm_strided_batched(
      handle, m, n, k, static_cast<const float*>(alpha), {a, a_type, lda, a_op}, a_stride,
      {b, b_type, ldb, b_op}, b_stride, static_cast<const float*>(beta), {c, c_type, ldc}, c_stride, count);
}

// y = alpha·op(A)·x + beta·y, A being m × n.
inline cublasStatus_t cublasSgemv(cublasHandle_t handle, cublasOperation_t op, int m, int n,
                                  const float* alpha, const float* a, int lda, const float* x, int x_step,
                                  const float* beta, float* y, int y_step) {
  using namespace detail::blas;
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!is_operation(op) || m < 0 || n < 0 || lda < std::max(1, m) || x_step == 0 || y_step == 0 ||
      alpha == nullptr || beta == nullptr) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;
  if (a == nullptr || x == nullptr || y == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  const bool transposed = op != CUBLAS_OP_N;
  return status_of(detail::enqueue(
      handle->stream, [=, alpha = scalar(handle, alpha), beta = scalar(handle, beta)]() -> cudaError_t {
        const vector_product p{m,          n, alpha.value(), {a, lda, transposed}, {x, x_step}, beta.value(),
                               {y, y_step}};
        const cudaError_t error = first_of({check_addressable("cublasSgemv: A", a, sizeof(float), m, lda, n),
                                            check_vector("cublasSgemv: x", x, p.inputs(), x_step),
                                            check_vector("cublasSgemv: y", y, p.outputs(), y_step)});
        if (error == cudaSuccess) multiply(p);
        return error;
      }));
}

// A = alpha·x·yᵀ + A, A being m × n.
inline cublasStatus_t cublasSger(cublasHandle_t handle, int m, int n, const float* alpha, const float* x,
                                 int x_step, const float* y, int y_step, float* a, int lda) {
  using namespace detail::blas;
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (m < 0 || n < 0 || x_step == 0 || y_step == 0 || lda < std::max(1, m) || alpha == nullptr) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;
  if (a == nullptr || x == nullptr || y == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  return status_of(detail::enqueue(handle->stream, [=, alpha = scalar(handle, alpha)]() -> cudaError_t {
    const cudaError_t error =
        first_of({check_addressable("cublasSger: A", a, sizeof(float), m, lda, n),
                  check_vector("cublasSger: x", x, m, x_step), check_vector("cublasSger: y", y, n, y_step)});
    if (error == cudaSuccess) cblas_sger(CblasColMajor, m, n, alpha.value(), x, x_step, y, y_step, a, lda);
    return error;
  }));
}

// y = alpha·x + y
inline cublasStatus_t cublasSaxpy(cublasHandle_t handle, int n, const float* alpha, const float* x,
                                  int x_step, float* y, int y_step) {
  using namespace detail::blas;
  if (const auto wrong = check_vector_call(handle, n, x, x_step, y, y_step)) return wrong;
  if (alpha == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  return status_of(detail::enqueue(handle->stream, [=, alpha = scalar(handle, alpha)]() -> cudaError_t {
    const cudaError_t error = first_of(
        {check_vector("cublasSaxpy: x", x, n, x_step), check_vector("cublasSaxpy: y", y, n, y_step)});
    if (error == cudaSuccess) cblas_saxpy(n, alpha.value(), x, x_step, y, y_step);
    return error;
  }));
}

// x = alpha·x
inline cublasStatus_t cublasSscal(cublasHandle_t handle, int n, const float* alpha, float* x, int x_step) {
  using namespace detail::blas;
  if (const auto wrong = check_vector_call(handle, n, x, x_step, x, x_step)) return wrong;
  if (alpha == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  return status_of(detail::enqueue(handle->stream, [=, alpha = scalar(handle, alpha)]() -> cudaError_t {
    const cudaError_t error = check_vector("cublasSscal: x", x, n, x_step);
    if (error == cudaSuccess) cblas_sscal(n, alpha.value(), x, x_step);
    return error;
  }));
}

// *result = x·y. To host memory: waits for the stream.
inline cublasStatus_t cublasSdot(cublasHandle_t handle, int n, const float* x, int x_step, const float* y,
                                 int y_step, float* result) {
  using namespace detail::blas;
  if (const auto wrong = check_vector_call(handle, n, x, x_step, y, y_step)) return wrong;
  if (result == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  const cudaError_t error = detail::enqueue(handle->stream, [=]() -> cudaError_t {
    const cudaError_t wrong =
        first_of({check_vector("cublasSdot: x", x, n, x_step), check_vector("cublasSdot: y", y, n, y_step)});
    if (wrong == cudaSuccess) *result = cblas_sdot(n, x, x_step, y, y_step);
    return wrong;
  });
  if (error != cudaSuccess || handle->pointer_mode == CUBLAS_POINTER_MODE_DEVICE) return status_of(error);
  return status_of(cudaStreamSynchronize(handle->stream));
}

}  // namespace hostcuda
