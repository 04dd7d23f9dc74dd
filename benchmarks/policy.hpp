// Who multiplies matrices, as --policy says.
#pragma once

#include "workload.hpp"

#include <plexus/linalg/gemm.hpp>

namespace workload {

inline plexus::gemm_policy policy_of(const arguments& arguments) {
  if (arguments.policy == "native") return plexus::gemm_policy::native;
  if (arguments.policy == "vendor") return plexus::gemm_policy::vendor;
  return plexus::default_gemm_policy;
}

}  // namespace workload
