// The built-in variables of a kernel. They belong to the OS thread; the engine sets them when a CUDA thread
// goes on.
#pragma once

#include <hostcuda/vector_types.hpp>

namespace hostcuda {

inline constinit thread_local uint3 threadIdx{0, 0, 0};
inline constinit thread_local uint3 blockIdx{0, 0, 0};
inline constinit thread_local dim3 blockDim{0, 0, 0};
inline constinit thread_local dim3 gridDim{0, 0, 0};
inline constexpr int warpSize = 32;

}  // namespace hostcuda
