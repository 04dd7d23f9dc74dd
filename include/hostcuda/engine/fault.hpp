// What ends a kernel early.
#pragma once

#include <hostcuda/runtime/error.hpp>

#include <exception>
#include <string>

namespace hostcuda::detail {

// Thrown by device code that cannot go on. The engine adds kernel, block and thread and makes a report of it.
struct kernel_fault {
  cudaError_t error;
  std::string text;
};

// In a handler: the fault that an exception is which left user code, `what` being the kind of code.
inline kernel_fault caught_fault(const char* what) {
  try {
    throw;
  } catch (const kernel_fault& fault) {
    return fault;
  } catch (const std::exception& error) {
    return {cudaErrorLaunchFailure, text_of("an exception left the ", what, ": ", error.what())};
  } catch (...) {
    return {cudaErrorLaunchFailure, text_of("an exception left the ", what)};
  }
}

// Thrown in the threads of a block that another one's fault ended, so that their stacks are unwound.
struct block_abandoned {};

}  // namespace hostcuda::detail
