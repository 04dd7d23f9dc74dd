// The data of the workloads that train.
#pragma once

#include <plexus/data/idx.hpp>

#include <string>

namespace workload {

// `set` is "train" or "t10k".
inline plexus::dataset load(const std::string& folder, const std::string& set) {
  return plexus::load_idx(folder + "/" + set + "-images-idx3-ubyte.gz",
                          folder + "/" + set + "-labels-idx1-ubyte.gz");
}

}  // namespace workload
