// Weights go to PyTorch and come back: the same names, shapes and outputs as an nn.Sequential of the same
// layers.
#include <plexus/io/safetensors.hpp>
#include <plexus/plexus.hpp>

#include "golden.hpp"
#include "support/files.hpp"

#include <cstdlib>

namespace px = plexus;

namespace {

// The nn.Sequential of make_golden.py's SEQUENTIALS, under the same names.
struct sequential {
  static constexpr auto name = "sequential";
  using network =
      px::network<px::input<6>, px::dense<9, px::tanh>, px::dense<4, px::sigmoid, px::no_bias>, px::dense<3>>;
};
struct image_sequential {
  static constexpr auto name = "image_sequential";
  using network =
      px::network<px::image<2, 11, 9>, px::conv2d<4, 3, px::relu, px::padding<1>>, px::max_pool<2>,
                  px::conv2d<6, px::extent2d{2, 3}, px::sigmoid, px::groups<2>, px::no_bias>, px::dense<3>>;
};
struct normalized_sequential {
  static constexpr auto name = "normalized_sequential";
  using network = px::network<px::image<2, 6, 5>, px::conv2d<4, 3, px::identity, px::no_bias>,
                              px::batch_norm<px::relu>, px::dropout<0.25>, px::layer_norm<>, px::dense<5>,
                              px::batch_norm<>, px::dense<3>, px::softmax>;
};
constexpr int samples = 5;

std::filesystem::path golden_file(const std::string& name) {
  return golden::folder() / (name + ".safetensors");
}

template <class Network>
void check_outputs(const std::filesystem::path& weights, const std::filesystem::path& example) {
  const golden::file expected(example);
  const std::vector<double> stored = expected["x"];
  const std::vector<float> x(stored.begin(), stored.end());
  Network net;
  px::load(net, weights);
  golden::check_close(net.predict(x, samples), expected["output"]);
}

px::stored_tensor tensor(const std::string& name, std::vector<std::size_t> shape,
                         const std::vector<float>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {name, "F32", std::move(shape), {bytes.begin(), bytes.end()}};
}

// The first Python that has PyTorch: PLEXUS_PYTHON, or else the path's or the system's. Empty where there is
// none.
std::string python_with_torch() {
  const char* chosen = std::getenv("PLEXUS_PYTHON");
  for (const std::string python : {chosen != nullptr ? chosen : "python3", "/usr/bin/python3"}) {
    if (std::system((python + " -c 'import torch' >/dev/null 2>&1").c_str()) == 0) return python;
  }
  return {};
}

}  // namespace

TEMPLATE_TEST_CASE("A state_dict saved by PyTorch loads and gives PyTorch's outputs", "[golden]", sequential,
                   image_sequential, normalized_sequential) {
  const std::string name = TestType::name;
  check_outputs<typename TestType::network>(golden_file(name), golden_file(name + "_example"));
}

TEMPLATE_TEST_CASE("A network saved has the names and shapes of nn.Sequential", "[golden]", sequential,
                   image_sequential, normalized_sequential) {
  const support::temporary_folder folder;
  typename TestType::network net{px::seed{3}};
  px::save(net, folder / "net.safetensors");
  const auto saved = px::read_safetensors(folder / "net.safetensors").tensors;
  auto by_pytorch = px::read_safetensors(golden_file(TestType::name)).tensors;
  // A count of batches, on which nothing depends, is not written.
  std::erase_if(by_pytorch, [](const auto& t) { return t.name.ends_with(".num_batches_tracked"); });
  REQUIRE(saved.size() == by_pytorch.size());
  for (const auto& expected : by_pytorch) {
    const auto same =
        std::find_if(saved.begin(), saved.end(), [&](const auto& t) { return t.name == expected.name; });
    REQUIRE(same != saved.end());
    CHECK(same->dtype == expected.dtype);
    CHECK(same->shape == expected.shape);
  }
}

TEMPLATE_TEST_CASE("PyTorch loads what plexus saves and the other way round", "[golden][slow]", sequential,
                   image_sequential, normalized_sequential) {
  using network = typename TestType::network;
  const std::string python = python_with_torch();
  if (python.empty()) {
    WARN("skipped: no Python here has PyTorch; PLEXUS_PYTHON may name one");
    return;
  }
  const support::temporary_folder folder;
  network net{px::seed{4}, px::gemm_policy::native};
  const std::vector<float> x = golden::between(5, 2, samples * std::size_t{network::input_size});
  px::save(net, folder / "plexus.safetensors");
  px::write_safetensors(folder / "plexus_example.safetensors",
                        {tensor("x", {samples, network::input_size}, x),
                         tensor("output", {samples, network::output_size}, net.predict(x, samples))});
  const std::string script = (golden::folder() / "exchange.py").string();
  const std::string arguments = " '" + script + "' '" + folder.path().string() + "' " + TestType::name;
  REQUIRE(std::system((python + arguments).c_str()) == 0);
  check_outputs<network>(folder / "pytorch.safetensors", folder / "pytorch_example.safetensors");
}
