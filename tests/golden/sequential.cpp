// Weights go to PyTorch and come back: the same names, shapes and outputs as an nn.Sequential of the same
// layers.
#include <plexus/io/safetensors.hpp>
#include <plexus/plexus.hpp>

#include "golden.hpp"
#include "support/files.hpp"

#include <cstdlib>

namespace px = plexus;

namespace {

// As exchange.py builds it: Linear(6, 9), Tanh, Linear(9, 4, bias=False), Sigmoid, Linear(4, 3).
using sequential =
    px::network<px::input<6>, px::dense<9, px::tanh>, px::dense<4, px::sigmoid, px::no_bias>, px::dense<3>>;
constexpr int samples = 5;

void check_outputs(const std::filesystem::path& weights, const std::filesystem::path& example) {
  const golden::file expected(example);
  const std::vector<double> stored = expected["x"];
  const std::vector<float> x(stored.begin(), stored.end());
  sequential net;
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

TEST_CASE("A state_dict saved by PyTorch loads and gives PyTorch's outputs", "[golden]") {
  check_outputs(golden::folder() / "sequential.safetensors",
                golden::folder() / "sequential_example.safetensors");
}

TEST_CASE("A network saved has the names and shapes of nn.Sequential", "[golden]") {
  const support::temporary_folder folder;
  sequential net{px::seed{3}};
  px::save(net, folder / "net.safetensors");
  const auto saved = px::read_safetensors(folder / "net.safetensors").tensors;
  const auto by_pytorch = px::read_safetensors(golden::folder() / "sequential.safetensors").tensors;
  REQUIRE(saved.size() == by_pytorch.size());
  for (const auto& expected : by_pytorch) {
    const auto same =
        std::find_if(saved.begin(), saved.end(), [&](const auto& t) { return t.name == expected.name; });
    REQUIRE(same != saved.end());
    CHECK(same->dtype == expected.dtype);
    CHECK(same->shape == expected.shape);
  }
}

TEST_CASE("PyTorch loads what plexus saves and the other way round", "[golden][slow]") {
  const std::string python = python_with_torch();
  if (python.empty()) {
    WARN("skipped: no Python here has PyTorch; PLEXUS_PYTHON may name one");
    return;
  }
  const support::temporary_folder folder;
  sequential net{px::seed{4}, px::gemm_policy::native};
  const std::vector<float> x = golden::between(5, 2, samples * 6);
  px::save(net, folder / "plexus.safetensors");
  px::write_safetensors(
      folder / "plexus_example.safetensors",
      {tensor("x", {samples, 6}, x), tensor("output", {samples, 3}, net.predict(x, samples))});
  const std::string script = (golden::folder() / "exchange.py").string();
  REQUIRE(std::system((python + " '" + script + "' '" + folder.path().string() + "'").c_str()) == 0);
  check_outputs(folder / "pytorch.safetensors", folder / "pytorch_example.safetensors");
}
