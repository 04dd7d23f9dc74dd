// A summary's numbers by hand calculation, and its memory byte for byte as networks allocate it.
#include <plexus/inspect/summary.hpp>
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"

namespace px = plexus;
using namespace plexus::cuda_names;  // cudaMemGetInfo
using px::inspect::summary;

// As it is on a GPU, also where the device is the CPU.
template <class... Precision>
using chain = px::network<Precision..., px::input<7>, px::dense<13, px::tanh>, px::dense<3>>;
template <>
inline constexpr bool px::may_be_fused<chain<>::layers> = true;

namespace user {

// A user's layer that says no more of itself than it must.
struct pass_on {
  template <class InputShape>
  struct layer : px::basic_layer<InputShape> {
    static constexpr std::array<px::parameter_spec, 1> parameters{{{"shift", {3}, {}, false}}};
  };
};

}  // namespace user

namespace {

template <class... Precision>
using lenet_in = px::network<Precision..., px::image<1, 28, 28>, px::conv2d<6, 5, px::relu, px::same>,
                             px::max_pool<2>, px::conv2d<16, 5, px::relu>, px::average_pool<2>,
                             px::dense<120, px::relu>, px::dense<84, px::gelu>, px::dense<10>>;
using lenet = lenet_in<>;

std::size_t used_memory() {
  std::size_t free = 0, total = 0;
  px::check(cudaMemGetInfo(&free, &total), "asking for free memory");
  return total - free;
}

// What a network allocates at each stage is what the summary says. Only the CPU's device counts every byte.
template <class Network, class Optimizer>
void check_memory(int batch, const Optimizer& optimizer) {
  if (!px::platform::on_cpu) return;
  CAPTURE(batch);
  const auto expected = summary<Network>(batch, optimizer);
  const auto n = static_cast<std::size_t>(batch);
  const px::buffer<float> x(n * Network::input_size), y(n * Network::output_size);
  const std::size_t before = used_memory();
  Network net{px::seed{1}, px::gemm_policy::native};
  fill_zero(net.stream(), x.view());
  fill_zero(net.stream(), y.view());
  std::size_t at = used_memory();
  // Beside them the totals, the moment of an optimiser, its step, and the loss scaler.
  const std::size_t small = at - before - expected.parameter_bytes;
  CHECK(small < 512);

  net.reserve(batch);
  CHECK(used_memory() - at == expected.memory.inference);
  at = used_memory();
  const auto inputs = px::matrix<const float>(x.data(), batch, Network::input_size);
  net.forward(inputs);
  CHECK(used_memory() == at);
  net.backward(inputs, {.values = y.data(), .ld = Network::output_size}, px::quadratic{});
  CHECK(used_memory() - at == expected.gradient_bytes + expected.memory.training - expected.memory.inference);
  at = used_memory();
  net.update(optimizer);
  CHECK(used_memory() - at == expected.optimizer_bytes);
}

template <class... Precision>
void check_memories() {
  check_memory<lenet_in<Precision...>>(3, px::adam{});
  check_memory<px::network<Precision..., px::image<3, 4, 4>, px::batch_norm<px::gelu>, px::layer_norm<>,
                           px::dense<9>, px::batch_norm<>, px::softmax>>(5, px::lion{});
  check_memory<chain<Precision...>>(200, px::sgd{});
  check_memory<px::network<Precision..., px::input<7>, px::dense<5, px::gelu>>>(2, px::sgd{.momentum = 0.9f});
}

}  // namespace

TEST_CASE("LeNet's summary is what a hand calculation finds", "[inspect]") {
  const auto found = summary<lenet>(32);
  REQUIRE(found.layers.size() == 7);
  CHECK(found.parameters == 61'706);
  const std::size_t parameters[] = {156, 0, 2'416, 0, 48'120, 10'164, 850};
  // 6 images of 28 × 28 by 5 × 5; 16 of 10 × 10 by 6 × 5 × 5; and matrices.
  const std::size_t multiply_adds[] = {117'600, 0, 240'000, 0, 48'000, 10'080, 840};
  const std::vector<std::size_t> shapes[] = {{6, 28, 28}, {6, 14, 14}, {16, 10, 10}, {16, 5, 5},
                                             {120},       {84},        {10}};
  const std::string names[] = {"conv2d", "max_pool", "conv2d", "average_pool", "dense", "dense", "dense"};
  for (std::size_t l = 0; l < 7; ++l) {
    CAPTURE(l);
    CHECK(found.layers[l].name == names[l]);
    CHECK(found.layers[l].shape == shapes[l]);
    CHECK(found.layers[l].parameters == parameters[l]);
    CHECK(found.layers[l].multiply_adds == multiply_adds[l]);
  }
  CHECK(found.multiply_adds == 416'520);
  CHECK(found.input == std::vector<std::size_t>{1, 28, 28});
  // gelu keeps z, for which training makes room beside every layer's delta: 3 values an output and 1 byte of
  // a max-pool's. 32 samples are whole blocks of 256 bytes.
  CHECK(found.layers[0].memory.inference == 32 * 4704 * 4);
  CHECK(found.layers[0].memory.training == 3 * 32 * 4704 * 4);
  CHECK(found.layers[1].memory.training == 3 * 32 * 1176 * 4 + 32 * 1176);
  CHECK(found.optimizer_bytes == 0);
  CHECK(summary(lenet{}, 32, px::adam{}).optimizer_bytes == 2 * found.parameter_bytes);
}

TEST_CASE("A summary's memory is what networks allocate", "[inspect]") {
  check_memories<>();
  check_memories<px::mixed<px::fp16>>();
  check_memories<px::mixed<px::bf16>>();
}

TEST_CASE("Groups, windows and a layer that does not say what it is are summed up", "[inspect]") {
  const auto found =
      summary<px::network<px::image<4, 5, 5>, px::conv2d<6, 3, px::relu, px::groups<2>, px::no_bias>,
                          user::pass_on, px::local_response_norm<2>, px::global_average_pool>>(1);
  CHECK(found.parameters == 6 * 2 * 9 + 3);
  CHECK(found.layers[0].parameters == 6 * 2 * 9);
  CHECK(found.layers[1].name == "layer");
  CHECK(found.layers[1].parameters == 3);
  CHECK(found.multiply_adds == 9 * 6 * 2 * 9);
  CHECK(found.layers[1].multiply_adds == 0);
  CHECK(found.layers[2].name == "local_response_norm");
  CHECK(found.layers[3].name == "global_average_pool");
}

TEST_CASE("A summary's text is a table", "[inspect]") {
  const std::string text = to_string(summary<lenet>(64, px::adam{}));
  CHECK(text.find("layer         output        parameters  multiply-adds  inference   training\n") == 3);
  CHECK(text.find("\n   input         (1, 28, 28)                                  512 B      512 B\n") !=
        std::string::npos);
  CHECK(text.find("\n3  average_pool  (16, 5, 5)             0              0  100.0 KiB  300.0 KiB\n") !=
        std::string::npos);
  CHECK(text.find("\n   all                             61,706        416,520    2.0 MiB    6.0 MiB\n") !=
        std::string::npos);
  CHECK(text.find("memory of a batch of 64, and beside it\n"
                  "parameters 242.5 KiB, gradients 242.5 KiB, optimiser 485.0 KiB\n") != std::string::npos);
}

TEST_CASE("Numbers are written in groups, and bytes in the unit that suits them", "[inspect]") {
  using px::inspect::summing_up::bytes, px::inspect::summing_up::counted;
  CHECK(counted(0) == "0");
  CHECK(counted(999) == "999");
  CHECK(counted(1000) == "1,000");
  CHECK(counted(1234567890) == "1,234,567,890");
  CHECK(bytes(0) == "0 B");
  CHECK(bytes(1023) == "1023 B");
  CHECK(bytes(1024) == "1.0 KiB");
  CHECK(bytes((std::size_t{1} << 20) - 1) == "1.0 MiB");  // and not 1024.0 KiB
  CHECK(bytes(std::size_t{3} << 29) == "1.5 GiB");
}

TEST_CASE("Columns of a table stand below each other, whatever their letters", "[inspect]") {
  px::inspect::text_table table({"name", "size"}, 1);
  table.add({"größe", "7"});
  table.add({"a"});
  table.add({"b", "12345"});
  CHECK(table.text() == "name    size\ngröße      7\na\nb      12345\n");
}
