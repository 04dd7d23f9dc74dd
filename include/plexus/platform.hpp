// The only file that knows which CUDA this is: the toolkit's (nvcc) or hostcuda's (any other C++20 compiler).
//
// It gives everything else: the CUDA runtime's names inside namespace plexus, the namespace that keeps a unit
// built by nvcc and one built by g++ apart when they are linked into one program, and the few operations that
// are written differently on the two sides.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#if defined(__CUDACC__)

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_pipeline.h>
#include <cuda_runtime.h>
#include <mma.h>
#define PLEXUS_ABI on_cuda
#define PLEXUS_FLOAT_REGISTER "f"

// mma.h declares it only for architectures that have it.
namespace nvcuda::wmma::precision {
struct tf32;
}

// For kernels of a user's own: `using namespace plexus::cuda_names;` gives threadIdx and its kin where they
// are not global, that is, where the device is the CPU.
namespace plexus::inline PLEXUS_ABI::cuda_names {}

#else

#include <hostcuda/cuda_bf16.hpp>
#include <hostcuda/cuda_fp16.hpp>
#include <hostcuda/cuda_pipeline.hpp>
#include <hostcuda/hostcuda.hpp>
#include <hostcuda/mma.hpp>
#define PLEXUS_ABI on_host
#define PLEXUS_FLOAT_REGISTER "m"

namespace plexus::inline PLEXUS_ABI {
using namespace hostcuda;
}
namespace plexus::inline PLEXUS_ABI::cuda_names {
using namespace hostcuda;
}

#endif

// PLEXUS_FLOAT_REGISTER is what an asm statement of device code calls a register with a float: a CPU's
// compiler, which leaves the statement alone, still reads it, and knows no such register.

// A function that a kernel and the host may both call: the two functions of an activation, for example.
#define PLEXUS_FN __host__ __device__

// Stands before a short loop of constant length that a kernel needs laid out flat: arrays indexed by it then
// live in registers. A CPU's compiler vectorises the loop as it is, which is quicker to compile and to run.
// The opposite keeps code short that is seldom run.
#if defined(__CUDA_ARCH__)
#define PLEXUS_UNROLL _Pragma("unroll")
#define PLEXUS_NO_UNROLL _Pragma("unroll 1")
#else
#define PLEXUS_UNROLL
#define PLEXUS_NO_UNROLL
#endif

// Stands before a PLEXUS_FN that calls a function of its caller's. That one may be the host's alone or the
// device's alone, where the caller is, but nvcc would warn that both cannot call it.
#if defined(__CUDACC__)
#define PLEXUS_CALLS_A_PARAMETER _Pragma("nv_exec_check_disable")
#else
#define PLEXUS_CALLS_A_PARAMETER
#endif

namespace plexus::inline PLEXUS_ABI::platform {

// On a GPU, values that this thread has read are read again after this rather than kept in registers that it
// needs for other things: the compiler moves no read across a fence.
PLEXUS_FN inline void read_again() {
#if defined(__CUDA_ARCH__)
  __threadfence_block();
#endif
}

// Whether the architecture compiled for multiplies bfloat16 and tf32 on tensor cores, as all since sm_80 do.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
inline constexpr bool has_bf16_and_tf32_mma = false;
#else
inline constexpr bool has_bf16_and_tf32_mma = true;
#endif

#if defined(__CUDACC__)

inline constexpr bool on_cpu = false;

// What is known about the last fault beyond its error code.
inline std::string fault_report() { return {}; }

template <class Function>
__global__ void parallel_for_kernel(std::size_t count, Function function) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    function(i);
  }
}

// function(i) for every i in [0, count), in no particular order.
template <class Function>
cudaError_t parallel_for(cudaStream_t stream, std::size_t count, Function function) {
  constexpr unsigned block_size = 256;
  constexpr std::size_t most_blocks = 65535;  // beyond it the grid-stride loop goes on
  const std::size_t blocks = (count + block_size - 1) / block_size;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks < most_blocks ? blocks : most_blocks));
  config.blockDim = dim3(block_size);
  config.stream = stream;
  return cudaLaunchKernelEx(&config, parallel_for_kernel<Function>, count, function);
}

// Never called: the work of a GPU is kernels.
template <class Work>
cudaError_t run_on_host(cudaStream_t stream, Work work);
template <class Function>
void share(std::size_t parts, const Function& function);

// The block's dynamic shared memory.
template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ __align__(128) unsigned char plexus_dynamic_shared[];
  return reinterpret_cast<T*>(plexus_dynamic_shared);
}

#else

inline constexpr bool on_cpu = true;

inline std::string fault_report() { return hostcuda::last_report(); }

template <class Function>
cudaError_t parallel_for(cudaStream_t stream, std::size_t count, Function function) {
  return hostcuda::parallel_for(stream, count, function);
}

// work() on the stream. It may call share().
template <class Work>
cudaError_t run_on_host(cudaStream_t stream, Work work) {
  return hostcuda::run_on_host(stream, std::move(work));
}

// function(part) for every part in [0, parts), each of them worth waking another thread for.
template <class Function>
void share(std::size_t parts, const Function& function) {
  hostcuda::share(parts, function);
}

template <class T>
T* dynamic_shared() {
  return static_cast<T*>(hostcuda::dynamic_shared_memory());
}

#endif

}  // namespace plexus::inline PLEXUS_ABI::platform

// The vendor's BLAS (cuBLAS; under hostcuda a CBLAS behind the same names) is used where the build links one.
#if defined(PLEXUS_VENDOR_BLAS)
#if defined(__CUDACC__)
#include <cublas_v2.h>
#else
#include <hostcuda/cublas.hpp>
#endif
#endif

namespace plexus::inline PLEXUS_ABI::platform {

// C (m, n) = op(A)·op(B) + beta·C, row-major, by the calling thread alone: a CPU's BLAS. Never called where
// there is none.
#if defined(PLEXUS_VENDOR_BLAS) && !defined(__CUDACC__)
using hostcuda::multiply_here;
#else
void multiply_here(bool transpose_a, bool transpose_b, int m, int n, int k, const float* a, int lda,
                   const float* b, int ldb, float beta, float* c, int ldc);
#endif

}  // namespace plexus::inline PLEXUS_ABI::platform
