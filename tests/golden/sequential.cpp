// Weights go to PyTorch and come back: the same names, shapes, outputs and bits as an nn.Sequential of the
// same layers.
#include <plexus/io/safetensors.hpp>
#include <plexus/plexus.hpp>

#include "golden.hpp"
#include "support/files.hpp"

#include <bit>
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
// Every layer that has weights or statistics, and between them every layer that only shifts the names.
struct every_layer {
  static constexpr auto name = "every_layer";
  using network =
      px::network<px::image<4, 12, 10>, px::conv2d<6, 3, px::relu, px::groups<2>, px::no_bias>,
                  px::local_response_norm<3>, px::max_pool<2>, px::batch_norm<px::tanh>, px::dropout<0.25>,
                  px::conv2d<4, px::extent2d{2, 1}, px::silu>, px::average_pool<2>,
                  px::layer_norm<px::sigmoid>, px::conv2d<5, 1>, px::global_average_pool,
                  px::dense<6, px::identity, px::no_bias>, px::batch_norm<>, px::dropout<0.5>,
                  px::layer_norm<px::softplus>, px::dense<4>, px::softmax>;
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

// The bits of −0, the least and the largest denormal, the largest number, infinities, and NaNs of which one
// signals and all carry something; make_golden.py has them too.
constexpr std::uint32_t rare_bits[] = {0x80000000, 0x00000001, 0x807fffff, 0x7f7fffff,
                                       0x7f800000, 0xff800000, 0x7fc12345, 0xff800001};

// Half of them rare, and half of them any bits at all.
template <class Network>
void set_odd_values(Network& net) {
  std::uint64_t seed = 20;
  for (const auto& tensor : net.tensors()) {
    std::vector<float> values(tensor.values.size);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::uint64_t random = golden::splitmix64((seed << 32) + i);
      values[i] = std::bit_cast<float>((random >> 63) != 0 ? static_cast<std::uint32_t>(random)
                                                           : rare_bits[random % std::size(rare_bits)]);
    }
    px::copy_to_device<float>(net.stream(), tensor.values.data, values);
    ++seed;
  }
}

// What plexus reads of a file, written again.
template <class Network>
void copy_through_plexus(const std::filesystem::path& from, const std::filesystem::path& to) {
  Network net{px::seed{5}};
  px::load(net, from);
  px::save(net, to);
}

// By name, and without a count of batches, on which nothing depends and which is not written.
std::vector<px::stored_tensor> tensors_of(const std::filesystem::path& path) {
  auto tensors = px::read_safetensors(path).tensors;
  std::erase_if(tensors, [](const auto& t) { return t.name.ends_with(".num_batches_tracked"); });
  std::ranges::sort(tensors, {}, &px::stored_tensor::name);
  return tensors;
}

void check_same_bits(const std::filesystem::path& saved, const std::filesystem::path& expected) {
  const auto tensors = tensors_of(saved), of_pytorch = tensors_of(expected);
  REQUIRE(tensors.size() == of_pytorch.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    INFO(of_pytorch[i].name);
    CHECK(tensors[i].name == of_pytorch[i].name);
    CHECK(tensors[i].dtype == of_pytorch[i].dtype);
    CHECK(tensors[i].shape == of_pytorch[i].shape);
    CHECK((tensors[i].data == of_pytorch[i].data));
  }
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
                   image_sequential, normalized_sequential, every_layer) {
  const std::string name = TestType::name;
  check_outputs<typename TestType::network>(golden_file(name), golden_file(name + "_example"));
}

TEMPLATE_TEST_CASE("A state_dict saved by PyTorch, loaded and saved again keeps names, shapes and bits",
                   "[golden]", sequential, image_sequential, normalized_sequential, every_layer) {
  const support::temporary_folder folder;
  const std::string name = TestType::name;
  for (const std::string& file : {name, name + "_odd"}) {
    copy_through_plexus<typename TestType::network>(golden_file(file), folder / "again.safetensors");
    check_same_bits(folder / "again.safetensors", golden_file(file));
  }
}

TEMPLATE_TEST_CASE("PyTorch loads what plexus saves and the other way round, bit for bit", "[golden][slow]",
                   sequential, image_sequential, normalized_sequential, every_layer) {
  using network = typename TestType::network;
  const std::string python = python_with_torch();
  if (python.empty()) {
    WARN("skipped: no Python here has PyTorch; PLEXUS_PYTHON may name one");
    return;
  }
  const support::temporary_folder folder;
  const auto in_pytorch = [&](const std::string& action) {
    const std::string script = (golden::folder() / "exchange.py").string();
    return std::system((python + " '" + script + "' " + action + " '" + folder.path().string() + "' " +
                        TestType::name)
                           .c_str()) == 0;
  };

  REQUIRE(in_pytorch("write"));
  check_outputs<network>(folder / "pytorch.safetensors", folder / "pytorch_example.safetensors");
  copy_through_plexus<network>(folder / "pytorch_odd.safetensors", folder / "pytorch_odd_again.safetensors");

  network net{px::seed{4}, px::gemm_policy::native};
  const std::vector<float> x = golden::between(5, 2, samples * std::size_t{network::input_size});
  px::save(net, folder / "plexus.safetensors");
  px::write_safetensors(folder / "plexus_example.safetensors",
                        {tensor("x", {samples, network::input_size}, x),
                         tensor("output", {samples, network::output_size}, net.predict(x, samples))});
  set_odd_values(net);
  px::save(net, folder / "plexus_odd.safetensors");

  REQUIRE(in_pytorch("read"));
  copy_through_plexus<network>(folder / "plexus_odd_again.safetensors",
                               folder / "plexus_odd_twice.safetensors");
  CHECK((support::read_file(folder / "plexus_odd_twice.safetensors") ==
         support::read_file(folder / "plexus_odd.safetensors")));
}
