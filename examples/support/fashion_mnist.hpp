// What the examples that train on Fashion-MNIST share: where its files are, and LeNet. H. Xiao, K. Rasul, R.
// Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", 2017.
#pragma once

#include <plexus/data/idx.hpp>
#include <plexus/inference.hpp>

#include <array>
#include <filesystem>
#include <string>

namespace fashion_mnist {

// Where the Debian package dataset-fashion-mnist puts them.
inline const std::filesystem::path usual_folder = "/usr/share/datasets/fashion-mnist";

inline constexpr std::array classes{"T-shirt", "trouser", "pullover", "dress", "coat",
                                    "sandal",  "shirt",   "sneaker",  "bag",   "ankle boot"};

// LeNet-5's layers (Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998) with
// rectifiers and maxima, without padding.
template <class Precision>
using lenet =
    plexus::network<Precision, plexus::image<1, 28, 28>, plexus::conv2d<6, 5, plexus::relu>,
                    plexus::max_pool<2>, plexus::conv2d<16, 5, plexus::relu>, plexus::max_pool<2>,
                    plexus::dense<120, plexus::relu>, plexus::dense<84, plexus::relu>, plexus::dense<10>>;

// The file's place, packed or not; empty where it is missing.
inline std::filesystem::path find(const std::filesystem::path& folder, const std::string& name) {
  for (const std::string ending : {".gz", ""}) {
    if (std::filesystem::exists(folder / (name + ending))) return folder / (name + ending);
  }
  return {};
}

inline void require_data(const std::filesystem::path& folder) {
  std::string missing;
  for (const std::string name : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                 "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    if (find(folder, name).empty()) missing += (missing.empty() ? "" : ", ") + name + "[.gz]";
  }
  if (missing.empty()) return;
  const bool there = std::filesystem::is_directory(folder);
  throw plexus::error(
      "reading Fashion-MNIST from " + folder.string(),
      there ? "the folder lacks " + missing : "there is no such folder (expected in it: " + missing + ")",
      "install the Debian package dataset-fashion-mnist (apt-get install dataset-fashion-mnist), or name "
      "a folder that has the four files with --data");
}

// `part` is "train" or "t10k".
inline plexus::dataset load(const std::filesystem::path& folder, const std::string& part) {
  return plexus::load_idx(find(folder, part + "-images-idx3-ubyte"),
                          find(folder, part + "-labels-idx1-ubyte"), 10);
}

}  // namespace fashion_mnist
