// CUDA's error codes, their texts, the last error of a thread and the sticky fault of the device.
//
// What a code alone cannot say (which kernel, thread, address, why) is a report: printed to stderr when it is
// made and kept for last_report().
#pragma once

#include <hostcuda/runtime/text.hpp>

#include <atomic>
#include <cstdio>
#include <mutex>
#include <string>
#include <utility>

namespace hostcuda {

enum cudaError : int {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInitializationError = 3,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInvalidPitchValue = 12,
  cudaErrorInvalidMemcpyDirection = 21,
  cudaErrorInvalidDeviceFunction = 98,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorIllegalState = 401,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchOutOfResources = 701,
  cudaErrorLaunchTimeout = 702,
  cudaErrorAssert = 710,
  cudaErrorIllegalInstruction = 715,
  cudaErrorMisalignedAddress = 716,
  cudaErrorLaunchFailure = 719,
  cudaErrorNotPermitted = 800,
  cudaErrorNotSupported = 801,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901,
  cudaErrorStreamCaptureMerge = 902,
  cudaErrorStreamCaptureUnmatched = 903,
  cudaErrorStreamCaptureUnjoined = 904,
  cudaErrorStreamCaptureIsolation = 905,
  cudaErrorStreamCaptureImplicit = 906,
  cudaErrorCapturedEvent = 907,
  cudaErrorStreamCaptureWrongThread = 908,
  cudaErrorUnknown = 999,
};
using cudaError_t = cudaError;

namespace detail {

struct error_description {
  cudaError_t code;
  const char* name;
  const char* text;
};

inline constexpr error_description error_descriptions[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidPitchValue, "cudaErrorInvalidPitchValue", "invalid pitch argument"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorIllegalState, "cudaErrorIllegalState",
     "the operation cannot be performed in the present state"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources",
     "too many resources requested for launch"},
    {cudaErrorLaunchTimeout, "cudaErrorLaunchTimeout", "the launch timed out and was terminated"},
    {cudaErrorAssert, "cudaErrorAssert", "device-side assert triggered"},
    {cudaErrorIllegalInstruction, "cudaErrorIllegalInstruction", "an illegal instruction was encountered"},
    {cudaErrorMisalignedAddress, "cudaErrorMisalignedAddress", "misaligned address"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNotPermitted, "cudaErrorNotPermitted", "operation not permitted"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureMerge, "cudaErrorStreamCaptureMerge",
     "operation would result in a merge of separate capture sequences"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not ended in the same stream as it began"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined", "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
    {cudaErrorStreamCaptureWrongThread, "cudaErrorStreamCaptureWrongThread",
     "attempt to terminate a thread-local capture sequence from another thread"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

inline const error_description* describe(cudaError_t error) {
  for (const error_description& one : error_descriptions) {
    if (one.code == error) return &one;
  }
  return nullptr;
}

// A fault ends the device: every later call returns it until reset_device().
constexpr bool is_fault(cudaError_t error) {
  return error == cudaErrorIllegalAddress || error == cudaErrorLaunchTimeout || error == cudaErrorAssert ||
         error == cudaErrorIllegalInstruction || error == cudaErrorMisalignedAddress ||
         error == cudaErrorLaunchFailure;
}

// How many things keep enqueue() from running work at once: a fault, captures, work that is still queued, a
// host function. One number, so that the usual case costs one load.
inline constinit std::atomic<int> obstacles{0};

inline constinit std::atomic<cudaError_t> sticky_fault{cudaSuccess};
inline constinit thread_local cudaError_t last_error = cudaSuccess;

struct fault_report {
  std::mutex mutex;
  std::string text;
  cudaError_t code = cudaSuccess;  // the error the text belongs to; cudaSuccess until that is recorded
};

// Never destroyed: owners with static storage may still call CUDA while the program ends.
inline fault_report& current_report() {
  static auto* one = new fault_report;
  return *one;
}

// Keeps and prints the long text of an error. The next record() says which code it belongs to.
[[gnu::cold, gnu::noinline]] inline void report(std::string text) {
  fault_report& current = current_report();
  const std::lock_guard lock(current.mutex);
  std::fprintf(stderr, "hostcuda: %s\n", text.c_str());
  current.text = std::move(text);
  current.code = cudaSuccess;
}

// A report belongs to one error: a different one that comes later must not be explained by it.
[[gnu::cold, gnu::noinline]] inline void match_report(cudaError_t error) {
  fault_report& current = current_report();
  const std::lock_guard lock(current.mutex);
  if (current.code == cudaSuccess) {
    current.code = error;
  } else if (current.code != error && !is_fault(current.code)) {
    current.text.clear();
    current.code = error;
  }
}

// Makes `error` the last error (and, a fault, the sticky one) and returns it.
inline cudaError_t record(cudaError_t error) {
  if (error == cudaSuccess) [[likely]]
    return error;
  match_report(error);
  last_error = error;
  cudaError_t none = cudaSuccess;
  if (is_fault(error) && sticky_fault.compare_exchange_strong(none, error)) obstacles.fetch_add(1);
  return error;
}

[[gnu::cold, gnu::noinline]] inline cudaError_t fail(cudaError_t error, std::string text) {
  report(std::move(text));
  return record(error);
}

inline void clear_report() {
  fault_report& current = current_report();
  const std::lock_guard lock(current.mutex);
  current.text.clear();
  current.code = cudaSuccess;
}

inline void clear_errors() {
  if (sticky_fault.exchange(cudaSuccess) != cudaSuccess) obstacles.fetch_sub(1);
  last_error = cudaSuccess;
  clear_report();
}

}  // namespace detail

// The long text of the last error: for a kernel's fault its kernel, block and thread. Empty if there is
// nothing to say.
inline std::string last_report() {
  detail::fault_report& current = detail::current_report();
  const std::lock_guard lock(current.mutex);
  return current.text;
}

inline const char* cudaGetErrorName(cudaError_t error) {
  const detail::error_description* known = detail::describe(error);
  return known != nullptr ? known->name : "unrecognized error code";
}

inline const char* cudaGetErrorString(cudaError_t error) {
  const detail::error_description* known = detail::describe(error);
  return known != nullptr ? known->text : "unrecognized error code";
}

inline cudaError_t cudaPeekAtLastError() {
  const cudaError_t fault = detail::sticky_fault.load(std::memory_order_relaxed);
  return fault != cudaSuccess ? fault : detail::last_error;
}

// Clears the calling thread's last error, but not a fault of the device.
inline cudaError_t cudaGetLastError() {
  const cudaError_t error = cudaPeekAtLastError();
  detail::last_error = cudaSuccess;
  if (error != cudaSuccess && !detail::is_fault(error)) detail::clear_report();
  return error;
}

}  // namespace hostcuda
