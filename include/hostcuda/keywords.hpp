// CUDA's keywords, as macros: the only global names that hostcuda has.
#pragma once

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(bytes) alignas(bytes)

// One block runs on an OS thread at a time, so what belongs to the OS thread belongs to the block.
#if defined(__clang__)
#define __shared__ static thread_local
#else
// constinit: g++ would guard arrays of classes such as __half, and the race checker would see the guard.
#define __shared__ static constinit thread_local
#endif
