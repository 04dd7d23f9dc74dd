// The golden numbers of make_golden.py: its generator again, its files, and how plexus is compared with them.
#pragma once

#include <plexus/io/safetensors.hpp>
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace golden {

inline std::filesystem::path folder() { return std::filesystem::path(PLEXUS_TESTS_DIR) / "golden"; }

// ---- The generator: number i of a seed is the upper 12 bits of SplitMix64's output for the state seed · 2³²
// + i.

inline std::uint64_t splitmix64(std::uint64_t x) {
  std::uint64_t z = x + 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

inline int number(std::uint64_t seed, std::size_t i) {
  return static_cast<int>(splitmix64((seed << 32) + i) >> 52);
}

// Multiples of 2⁻¹² in [0, 1).
inline std::vector<float> unit(std::uint64_t seed, std::size_t size) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(number(seed, i)) / 4096;
  return values;
}

// Multiples of scale · 2⁻¹¹ in [−scale, scale).
inline std::vector<float> between(std::uint64_t seed, float scale, std::size_t size) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i)
    values[i] = static_cast<float>(number(seed, i) - 2048) / 2048 * scale;
  return values;
}

inline std::vector<int> labels(std::uint64_t seed, std::size_t size, int classes) {
  std::vector<int> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = number(seed, i) % classes;
  return values;
}

// Parameter i is numbers of the seed 10 + i; `scale` has one for each layer.
template <class Network>
void set_parameters(Network& net, const std::vector<float>& scale) {
  const auto parameters = net.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i)
    support::set_parameter(net, i, between(10 + i, scale[i / 2], parameters[i].values.size));
}

// ---- The files

// A file's tensors, whatever they are stored as, in double.
class file {
 public:
  explicit file(const std::filesystem::path& path) : tensors_(plexus::read_safetensors(path).tensors) {}

  bool has(const std::string& name) const { return find(name) != tensors_.end(); }

  std::vector<double> operator[](const std::string& name) const {
    const auto found = find(name);
    if (found == tensors_.end()) throw std::runtime_error("no golden tensor is called " + name);
    read_.insert(name);
    return found->dtype == "F64" ? in_double<double>(found->data) : in_double<float>(found->data);
  }

  // The tensors below `folder` that nobody has asked for.
  std::vector<std::string> unread(const std::string& folder) const {
    std::vector<std::string> names;
    for (const auto& tensor : tensors_) {
      if (tensor.name.starts_with(folder + "/") && !read_.contains(tensor.name)) names.push_back(tensor.name);
    }
    return names;
  }

 private:
  std::vector<plexus::stored_tensor>::const_iterator find(const std::string& name) const {
    return std::find_if(tensors_.begin(), tensors_.end(), [&](const auto& t) { return t.name == name; });
  }

  template <class Stored>
  static std::vector<double> in_double(const std::vector<std::byte>& bytes) {
    std::vector<Stored> values(bytes.size() / sizeof(Stored));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return {values.begin(), values.end()};
  }

  std::vector<plexus::stored_tensor> tensors_;
  mutable std::set<std::string> read_;
};

// ---- The comparison

inline const std::vector<plexus::gemm_policy> policies =
    plexus::has_vendor_blas ? std::vector{plexus::gemm_policy::native, plexus::gemm_policy::vendor}
                            : std::vector{plexus::gemm_policy::native};

inline double root_mean_square(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum / static_cast<double>(std::max<std::size_t>(values.size(), 1)));
}

// Every value within 1e-5 of the golden one, relative to the larger of that value and `scale`. An entry much
// smaller than its tensor's root mean square (the usual scale) is what large terms cancelled to, and has
// their rounding error.
template <class Number>
void check_close(const std::vector<Number>& computed, const std::vector<double>& expected, double scale) {
  REQUIRE(computed.size() == expected.size());
  double worst = 0;
  std::size_t where = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double error =
        std::abs(static_cast<double>(computed[i]) - expected[i]) / std::max(std::abs(expected[i]), scale);
    if (error <= worst) continue;
    worst = std::isnan(error) ? INFINITY : error;
    where = i;
  }
  INFO("worst is entry " << where << " of " << expected.size());
  CHECK(worst <= 1e-5);
}

template <class Number>
void check_close(const std::vector<Number>& computed, const std::vector<double>& expected) {
  check_close(computed, expected, root_mean_square(expected));
}

}  // namespace golden
