// CUDA C++ on the CPU: what a program gets from <cuda_runtime.h> and from nvcc, in namespace hostcuda.
//
// Wanted by name, as with CUDA: cuda_fp16.hpp, cuda_bf16.hpp, mma.hpp, cuda_pipeline.hpp, cublas.hpp.
#pragma once

#include <hostcuda/builtins.hpp>
#include <hostcuda/host_work.hpp>
#include <hostcuda/keywords.hpp>
#include <hostcuda/launch.hpp>
#include <hostcuda/runtime/device.hpp>
#include <hostcuda/runtime/error.hpp>
#include <hostcuda/runtime/graph.hpp>
#include <hostcuda/runtime/memory.hpp>
#include <hostcuda/runtime/stream.hpp>
#include <hostcuda/settings.hpp>
#include <hostcuda/vector_types.hpp>
