// What goes wrong is an exception that says what was being done, what is wrong and what to do.
#pragma once

#include <plexus/platform.hpp>

#include <stdexcept>
#include <string>

namespace plexus::inline PLEXUS_ABI {

// Every error of the library. what() reads "<doing>: <wrong>; <remedy>".
class error : public std::runtime_error {
 public:
  error(const std::string& doing, const std::string& wrong, const std::string& remedy)
      : std::runtime_error(doing + ": " + wrong + "; " + remedy) {}
};

// Throws plexus::error when `condition` does not hold. The texts are built only then.
inline void require(bool condition, const char* doing, const char* wrong, const char* remedy) {
  if (!condition) throw error(doing, wrong, remedy);
}

[[noreturn]] inline void throw_cuda_error(cudaError_t status, const char* doing) {
  cudaGetLastError();  // the exception carries it from here: nobody shall find it again at his own call
  std::string wrong = std::string(cudaGetErrorString(status)) + " (" + cudaGetErrorName(status) + ")";
  if (const std::string report = platform::fault_report(); !report.empty()) wrong += ": " + report;
  throw error(doing, wrong,
              status == cudaErrorMemoryAllocation
                  ? "use a smaller batch or network, or free device memory"
                  : "see the CUDA error; a fault of an earlier kernel may show only here");
}

// Every CUDA call passes here.
inline void check(cudaError_t status, const char* doing) {
  if (status != cudaSuccess) throw_cuda_error(status, doing);
}

}  // namespace plexus::inline PLEXUS_ABI
