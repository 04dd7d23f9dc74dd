// Single layers against PyTorch's float64: outputs and every gradient.
#pragma once

#include "golden.hpp"

namespace golden {

struct layer_results {
  std::vector<float> output, dx;
  std::vector<std::pair<std::string, std::vector<float>>> gradients;
};

// Of the quadratic cost. dx holds NaN before, so that what is never written shows.
template <class Network>
layer_results run_layer(int n, const std::vector<float>& x, const std::vector<float>& y,
                        plexus::gemm_policy policy) {
  Network net{plexus::seed{0}, policy};
  set_parameters(net, {1});
  layer_results all{net.predict(x, n), {}, {}};
  const plexus::buffer<float> inputs = plexus::to_device(net.stream(), x),
                              targets = plexus::to_device(net.stream(), y),
                              dx = plexus::to_device(net.stream(), std::vector<float>(x.size(), NAN));
  net.backward(plexus::matrix<const float>(inputs.data(), n, Network::input_size),
               {nullptr, targets.data(), Network::output_size}, plexus::quadratic{},
               plexus::matrix(dx.data(), n, Network::input_size));
  all.dx = plexus::to_host(net.stream(), dx.view());
  for (const auto& gradient : net.gradients())
    all.gradients.emplace_back(gradient.name, plexus::to_host(net.stream(), gradient.values));
  return all;
}

// The cases of one of make_golden.py's functions, below a folder of its file.
class layer_cases {
 public:
  using generator = std::vector<float>(std::size_t size);

  layer_cases(const std::string& maker, std::string folder, generator* inputs)
      : file_(golden::folder() / (maker + ".safetensors")), folder_(std::move(folder)), inputs_(inputs) {}

  template <class Image, class Layer>
  void check(const std::string& name) const {
    using network = plexus::network<Image, Layer>;
    const std::string path = folder_ + "/" + name;
    const std::size_t n = file_[path + "/output"].size() / std::size_t{network::output_size};
    const std::vector<float> x = inputs_(n * std::size_t{network::input_size});
    const std::vector<float> y = unit(2, n * std::size_t{network::output_size});
    for (const auto policy : policies) {
      INFO(path << (policy == plexus::gemm_policy::native ? ", native" : ", vendor"));
      check_results(path, run_layer<network>(static_cast<int>(n), x, y, policy));
    }
  }

  // Last: every tensor of the folder has been compared with.
  void check_complete() const { CHECK(file_.unread(folder_) == std::vector<std::string>{}); }

 private:
  void check_results(const std::string& path, const layer_results& computed) const {
    check_tensor(path + "/output", computed.output);
    check_tensor(path + "/dx", computed.dx);
    for (const auto& [name, values] : computed.gradients) check_tensor(path + "/gradient/" + name, values);
  }
  void check_tensor(const std::string& name, const std::vector<float>& values) const {
    INFO(name);
    check_close(values, file_[name]);
  }

  file file_;
  std::string folder_;
  generator* inputs_;
};

}  // namespace golden
