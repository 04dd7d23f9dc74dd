// Where work runs: a stream, the policy that chooses between hand-written kernels and the vendor's BLAS, what
// the choice goes by, and the memory and the vendor's handle that products need.
#pragma once

#include <plexus/core/buffer.hpp>
#include <plexus/core/stream.hpp>

#if defined(PLEXUS_VENDOR_BLAS)
#include <type_traits>
#endif

namespace plexus::inline PLEXUS_ABI {

enum class gemm_policy {
  native,  // the kernels of this library
  vendor,  // cuBLAS; on the CPU a CBLAS
  tuned,   // whichever tune() found quickest for a product; the default policy for products it has not seen
};

// What gemm_policy::tuned goes by, and who measures: linalg/gemm_choices.hpp.
class gemm_choices;
class gemm_measurement;

#if defined(PLEXUS_VENDOR_BLAS)
inline constexpr bool has_vendor_blas = true;
#else
inline constexpr bool has_vendor_blas = false;
#endif

// Hand-written kernels on a GPU. A CPU's BLAS knows its caches and vectors better than a kernel made of
// fibers.
inline constexpr gemm_policy default_gemm_policy =
    platform::on_cpu && has_vendor_blas ? gemm_policy::vendor : gemm_policy::native;

// What the choice of a kernel goes by.
struct device_traits {
  int multiprocessors;
  int capability;  // 10·major + minor
};

inline device_traits current_device() {
  const auto attribute = [](cudaDeviceAttr which) {
    int device = 0, value = 0;
    check(cudaGetDevice(&device), "asking for the current device");
    check(cudaDeviceGetAttribute(&value, which, device), "asking for a device's attribute");
    return value;
  };
  return {attribute(cudaDevAttrMultiProcessorCount),
          10 * attribute(cudaDevAttrComputeCapabilityMajor) + attribute(cudaDevAttrComputeCapabilityMinor)};
}

class context {
 public:
  explicit context(gemm_policy policy = default_gemm_policy) { set_policy(policy); }

  gemm_policy policy() const { return policy_; }
  void set_policy(gemm_policy policy) {
    require(policy != gemm_policy::vendor || has_vendor_blas, "choosing gemm_policy::vendor",
            "this program was built without a vendor BLAS",
            "define PLEXUS_VENDOR_BLAS and link cuBLAS (on the CPU: a CBLAS), or choose gemm_policy::native");
    policy_ = policy;
  }

  cudaStream_t stream() const { return stream_.get(); }
  void synchronize() const { stream_.synchronize(); }
  const device_traits& device() const { return device_; }
  // For the parts of sums that are computed in slices. It is there from the beginning, so that nothing is
  // allocated while a graph is recorded.
  view<float> parts() const { return parts_.view(); }
  static constexpr std::size_t parts_size = platform::on_cpu ? 0 : std::size_t{2} << 20;

  // Null where there are none.
  const gemm_choices* choices() const { return choices_.get(); }
  void set_choices(std::shared_ptr<const gemm_choices> choices) { choices_ = std::move(choices); }

  // Where it is not null, it measures every product that is computed.
  gemm_measurement* measurement() const { return measurement_; }
  void set_measurement(gemm_measurement* measurement) { measurement_ = measurement; }

  // Room for the sums of the next product. It moves when it grows: who records a graph asks for the most
  // before.
  float* room_for_sums(std::size_t size) {
    if (sums_.size() < size) sums_ = buffer<float>(size);
    return sums_.data();
  }

#if defined(PLEXUS_VENDOR_BLAS)
  // The cuBLAS handle of this context's stream, made on first use.
  cublasHandle_t vendor_blas() {
    if (!blas_) make_vendor_blas();
    return blas_.get();
  }
#endif

 private:
  gemm_policy policy_;
  std::shared_ptr<const gemm_choices> choices_;
  gemm_measurement* measurement_ = nullptr;
  plexus::stream stream_;
  buffer<float> sums_;
  device_traits device_ = current_device();
  buffer<float> parts_{parts_size};
#if defined(PLEXUS_VENDOR_BLAS)
  // cuBLAS's own memory, given to it once so that it never allocates, in a recorded graph least of all: what
  // NVIDIA recommends for the largest devices. A CBLAS needs none.
  static constexpr std::size_t workspace_bytes = platform::on_cpu ? 0 : std::size_t{32} << 20;

  void make_vendor_blas() {
    buffer<std::byte> workspace(workspace_bytes);
    cublasHandle_t handle = nullptr;
    require(cublasCreate(&handle) == CUBLAS_STATUS_SUCCESS, "creating a cuBLAS handle", "cuBLAS refused",
            "check that cuBLAS fits the driver and that device memory is left");
    std::unique_ptr<std::remove_pointer_t<cublasHandle_t>, destroy> blas(handle);
    // The workspace comes second: a new stream takes it away.
    require(cublasSetStream(handle, stream()) == CUBLAS_STATUS_SUCCESS &&
                cublasSetWorkspace(handle, workspace.data(), workspace.size()) == CUBLAS_STATUS_SUCCESS,
            "giving cuBLAS a stream and a workspace", "cuBLAS refused",
            "see the CUDA error of an earlier call");
    workspace_ = std::move(workspace);
    blas_ = std::move(blas);
  }

  struct destroy {
    void operator()(cublasHandle_t handle) const { cublasDestroy(handle); }
  };
  buffer<std::byte> workspace_;  // outlives the handle
  std::unique_ptr<std::remove_pointer_t<cublasHandle_t>, destroy> blas_;
#endif
};

}  // namespace plexus::inline PLEXUS_ABI
