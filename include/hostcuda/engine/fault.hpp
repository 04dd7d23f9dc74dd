// What ends a kernel early.
#pragma once

#include <hostcuda/runtime/error.hpp>

#include <string>

namespace hostcuda::detail {

// Thrown by device code that cannot go on. The engine adds kernel, block and thread and makes a report of it.
struct kernel_fault {
  cudaError_t error;
  std::string text;
};

// Thrown in the threads of a block that another one's fault ended, so that their stacks are unwound.
struct block_abandoned {};

}  // namespace hostcuda::detail
