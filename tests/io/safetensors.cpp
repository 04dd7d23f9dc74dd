// Safetensors files: one written by hand, byte by byte, and those of networks.
#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/files.hpp"

#include <plexus/io/safetensors.hpp>
#include <plexus/plexus.hpp>

#include <sys/stat.h>

namespace {

using namespace support;
namespace px = plexus;

// The format's own words: 8 bytes of header length, JSON, data. The second tensor's data come first.
const std::string header_text =
    "{\"__metadata__\":{\"format\":\"pt\"},"
    "\"2.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[3,11]},"
    "\"mask\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[0,3]},"
    "\"scale\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[11,13]}}     ";
const std::string header_length("\xd8\x00\x00\x00\x00\x00\x00\x00", 8);
const std::string one_and_minus_two("\x00\x00\x80\x3f\x00\x00\x00\xc0", 8);
const std::string by_hand =
    header_length + header_text + std::string("\x01\x00\x01", 3) + one_and_minus_two + "\x80\x3f";

std::string text_of(const std::vector<std::byte>& bytes) {
  std::string text;
  for (const std::byte b : bytes) text += std::to_integer<char>(b);
  return text;
}

TEST_CASE("a safetensors file written by hand is understood") {
  REQUIRE(header_text.size() == 0xd8);
  const temporary_folder folder;
  write_file(folder / "file", by_hand);
  const px::tensor_file file = GENERATE(false, true) ? px::read_safetensors(folder / "file")
                                                     : px::parse_safetensors(bytes_of(by_hand));
  CHECK(file.metadata == std::map<std::string, std::string>{{"format", "pt"}});
  REQUIRE(file.tensors.size() == 3);
  CHECK(file.tensors[0].name == "mask");
  CHECK(file.tensors[0].dtype == "BOOL");
  CHECK(file.tensors[0].shape == std::vector<std::size_t>{3});
  CHECK(text_of(file.tensors[0].data) == std::string("\x01\x00\x01", 3));
  CHECK(file.tensors[1].name == "2.weight");
  CHECK(file.tensors[1].shape == std::vector<std::size_t>{2, 1});
  CHECK(text_of(file.tensors[1].data) == one_and_minus_two);
  CHECK(file.tensors[2].dtype == "BF16");
  CHECK(file.tensors[2].shape.empty());
}

TEST_CASE("the bytes of a written safetensors file") {
  const temporary_folder folder;
  const auto bytes = bytes_of(one_and_minus_two);
  px::write_safetensors(
      folder / "file", {{"b", "U8", {1}, {std::byte{7}}}, {"a", "F32", {1, 2}, {bytes.begin(), bytes.end()}}},
      {{"format", "pt"}});
  // Aligned: the header to 8 bytes, and the tensor of wider elements first.
  std::string header =
      "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"data_offsets\":[0,8],\"dtype\":\"F32\",\"shape\":[1,2]}"
      ","
      "\"b\":{\"data_offsets\":[8,9],\"dtype\":\"U8\",\"shape\":[1]}}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  CHECK(read_file(folder / "file") == little_endian(header.size()) + header + one_and_minus_two + "\x07");
}

TEST_CASE("a safetensors file without tensors, and one with empty tensors") {
  const temporary_folder folder;
  px::write_safetensors(folder / "none", {});
  CHECK(px::read_safetensors(folder / "none").tensors.empty());
  px::write_safetensors(folder / "empty", {{"x", "F32", {0, 3}, {}}, {"y", "I64", {5, 0}, {}}});
  CHECK(px::read_safetensors(folder / "empty").tensors.size() == 2);
}

// Whatever the bytes, there are tensors or a plexus::error; the sanitizers watch over the rest.
void must_not_crash(const std::string& bytes) {
  try {
    px::parse_safetensors(bytes_of(bytes));
  } catch (const px::error&) {
  }
}

TEST_CASE("safetensors files with any byte changed or missing never crash the reader") {
  for (std::size_t at = 0; at < by_hand.size(); ++at) {
    std::string damaged = by_hand;
    for (int value = 0; value < 256; ++value) {
      damaged[at] = static_cast<char>(value);
      must_not_crash(damaged);
    }
    CHECK_THROWS_AS(px::parse_safetensors(bytes_of(by_hand.substr(0, at))), px::error);
    must_not_crash(by_hand.substr(at));
  }
}

// Pieces of the header's language in random order reach states that single changed bytes do not.
TEST_CASE("safetensors headers of random tokens never crash the reader") {
  const std::vector<std::string> tokens = {"{",
                                           "}",
                                           "[",
                                           "]",
                                           ",",
                                           ":",
                                           "\"w\"",
                                           "\"__metadata__\"",
                                           "\"dtype\"",
                                           "\"shape\"",
                                           "\"data_offsets\"",
                                           "\"F32\"",
                                           "0",
                                           "4",
                                           "16",
                                           "-1",
                                           "1e999",
                                           "18446744073709551615",
                                           "null",
                                           "true",
                                           "\"w\":{\"dtype\":\"F32\"",
                                           ",\"shape\":[4]",
                                           ",\"data_offsets\":[0,16]}",
                                           "\"\xff\"",
                                           "\"\\ud800\""};
  std::uint64_t draw = 0;
  const px::random_stream random{11};
  for (int file = 0; file < 20000; ++file) {
    std::string header = "{";
    const std::uint32_t length = random.below(draw++, 14);
    for (std::uint32_t i = 0; i < length; ++i) {
      header += tokens[random.below(draw++, static_cast<std::uint32_t>(tokens.size()))];
    }
    must_not_crash(little_endian(header.size()) + header + std::string(16, 'x'));
  }
}

using mlp = px::network<px::input<5>, px::dense<7, px::relu>, px::dense<3>>;

TEST_CASE("a network's file has the names and shapes of PyTorch's nn.Sequential") {
  const temporary_folder folder;
  mlp net{px::seed{4}};
  px::save(net, folder / "net");
  const px::tensor_file file = px::read_safetensors(folder / "net");
  // nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)).state_dict()
  const std::map<std::string, std::vector<std::size_t>> state_dict = {
      {"0.weight", {7, 5}}, {"0.bias", {7}}, {"2.weight", {3, 7}}, {"2.bias", {3}}};
  std::map<std::string, std::vector<std::size_t>> found;
  for (const px::stored_tensor& tensor : file.tensors) {
    CHECK(tensor.dtype == "F32");
    found[tensor.name] = tensor.shape;
  }
  CHECK(found == state_dict);
  // Row-major (out, in): values[i] of the file is values[i] of the parameter.
  const auto values = parameter_values(net);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string name = net.parameters()[i].name;
    const auto at = std::ranges::find(file.tensors, name, &px::stored_tensor::name);
    const auto bytes = std::as_bytes(std::span(values[i]));
    CHECK(std::ranges::equal(at->data, bytes));
  }
}

TEST_CASE("load brings back what save wrote, bit by bit, in whatever order the file has it") {
  const temporary_folder folder;
  mlp net{px::seed{4}}, other{px::seed{5}};
  REQUIRE(parameter_values(net) != parameter_values(other));
  px::save(net, folder / "net");
  if (GENERATE(false, true)) {
    px::tensor_file file = px::read_safetensors(folder / "net");
    std::ranges::reverse(file.tensors);
    px::write_safetensors(folder / "net", file.tensors);
  }
  px::load(other, folder / "net");
  CHECK(parameter_values(net) == parameter_values(other));
}

TEST_CASE("a file that does not fit changes nothing") {
  const temporary_folder folder;
  mlp net{px::seed{4}};
  px::save(net, folder / "net");
  px::tensor_file file = px::read_safetensors(folder / "net");
  file.tensors.back().shape.push_back(1);
  px::write_safetensors(folder / "net", file.tensors);
  mlp other{px::seed{5}};
  const auto before = parameter_values(other);
  CHECK_THROWS_AS(px::load(other, folder / "net"), px::error);
  CHECK_THROWS_AS(px::load_checkpoint(other, folder / "net"), px::error);
  CHECK(parameter_values(other) == before);
}

template <class Network = mlp, class Optimizer>
void check_going_on(const Optimizer& optimizer) {
  const temporary_folder folder;
  const px::dataset data = largest_feature(50, 5, 3);
  const auto train = [&](Network& net, int epochs) {
    px::fit(net, data, px::softmax_cross_entropy{}, optimizer, {.epochs = epochs, .batch = 8});
  };
  Network unbroken{px::seed{4}};
  train(unbroken, 5);

  Network first{px::seed{4}};
  train(first, 2);
  px::save_checkpoint(first, folder / "checkpoint");
  Network second{px::seed{99}};
  train(second, 1);  // what it has learnt, its velocities and its counters must all be replaced
  px::load_checkpoint(second, folder / "checkpoint");
  CHECK(second.training_state().epoch == 2);
  CHECK(second.training_state().step == 14);
  train(second, 3);
  CHECK(tensor_values(second) == tensor_values(unbroken));

  Network fresh{px::seed{98}};
  px::load_checkpoint(fresh, folder / "checkpoint");
  train(fresh, 3);
  CHECK(tensor_values(fresh) == tensor_values(unbroken));
}

TEST_CASE("training that goes on from a checkpoint ends in the same bits") {
  check_going_on(px::sgd{.rate = 0.1f, .momentum = GENERATE(0.0f, 0.9f)});
  check_going_on(px::scheduled{px::adamw{.rate = 0.05f}, px::cosine{.steps = 35, .warm_up = 20}});
  check_going_on(px::scheduled{px::sgd{.rate = 0.1f}, px::exponential_decay{.factor = 0.9f}});
  check_going_on(px::clip_norm{px::rmsprop{.rate = 0.01f, .momentum = 0.9f}, 0.5f});
}

// Of five values a parameter, all of which count, and without anything to validate.
struct five_means {
  static constexpr const char* name = "five_means";
  int state_count() const { return 5; }
  PLEXUS_FN void operator()(float& w, float gradient, px::parameter_state state) const {
    float step = 0;
    for (int i = 0; i < 5; ++i) {
      state[i] += (gradient - state[i]) / static_cast<float>(2 + i);
      step += static_cast<float>(1 + i) * state[i];
    }
    w -= 0.01f * step;
  }
};

TEST_CASE("training with statistics and random numbers goes on from a checkpoint as well") {
  using network = px::network<px::input<5>, px::dense<7>, px::batch_norm<px::relu>, px::dropout<0.25>,
                              px::dense<6>, px::layer_norm<px::tanh>, px::dropout<0.5>, px::dense<3>>;
  check_going_on<network>(px::adam{.rate = 0.01f});
}

TEST_CASE("an optimiser of the user's goes on from a checkpoint as well") { check_going_on(five_means{}); }

// The scale is so large that steps are skipped before and after the checkpoint.
TEST_CASE("training in FP16 goes on from a checkpoint with its scale and its count of updates") {
  using network = px::network<px::mixed<px::fp16>, px::input<5>, px::dense<7, px::tanh>, px::dense<3>>;
  const temporary_folder folder;
  const px::dataset data = largest_feature(50, 5, 3);
  const px::clip_norm optimizer{
      px::scheduled{px::adamw{.rate = 0.05f}, px::cosine{.steps = 35, .warm_up = 20}}, 0.5f};
  const auto train = [&](network& net, int epochs) {
    px::fit(net, data, px::softmax_cross_entropy{}, optimizer, {.epochs = epochs, .batch = 8});
  };
  network unbroken{px::seed{4}}, first{px::seed{4}}, second{px::seed{5}};
  for (network* net : {&unbroken, &first}) {
    net->set_loss_scaling({.initial = 0x1p35f, .growth = 0x1p20f, .growth_interval = 10});
  }
  train(unbroken, 5);
  train(first, 2);
  const std::uint64_t skipped = first.loss_scale().skipped;
  CHECK(skipped > 0);
  CHECK(first.optimizer_updates() + skipped == 14);
  px::save_checkpoint(first, folder / "checkpoint");
  second.set_loss_scaling({.initial = 1, .growth = 0x1p20f, .growth_interval = 10});
  px::load_checkpoint(second, folder / "checkpoint");
  CHECK(second.optimizer_updates() == first.optimizer_updates());
  train(second, 3);
  CHECK(second.loss_scale().skipped > skipped);
  CHECK(parameter_values(second) == parameter_values(unbroken));
}

// Of as many values, so that only the name tells them apart.
TEST_CASE("an optimiser does not take over another one's state") {
  const temporary_folder folder;
  mlp net{px::seed{4}};
  const px::dataset data = largest_feature(50, 5, 3);
  const px::fit_options options{.epochs = 1, .batch = 8};
  px::fit(net, data, px::softmax_cross_entropy{}, px::rmsprop{.momentum = 0.9f}, options);
  px::save_checkpoint(net, folder / "checkpoint");
  mlp other{px::seed{5}};
  px::load_checkpoint(other, folder / "checkpoint");
  const auto before = parameter_values(other);
  for (int i = 0; i < 2; ++i) {
    CHECK_THROWS_WITH(
        px::fit(other, data, px::softmax_cross_entropy{}, px::adam{}, options),
        "updating a network: its optimiser is adam with 2 values of a parameter, and what was restored is of "
        "rmsprop with 2 values of a parameter; go on with the optimiser that was saved, or call "
        "forget_optimizer()");
    CHECK(parameter_values(other) == before);
  }
  other.forget_optimizer();
  px::fit(other, data, px::softmax_cross_entropy{}, px::adam{}, options);
  CHECK(parameter_values(other) != before);
}

TEST_CASE("a network takes back what it has saved, also after a momentum that is no more") {
  const temporary_folder folder;
  mlp net{px::seed{4}};
  net.update(px::sgd{.momentum = 0.9f});
  net.update(px::sgd{});
  px::save_checkpoint(net, folder / "checkpoint");
  px::load_checkpoint(net, folder / "checkpoint");
  net.update(px::sgd{});
  CHECK(net.optimizer_state().empty());
}

TEST_CASE("a checkpoint that does not fit changes nothing, not even where there is no optimiser state yet") {
  const temporary_folder folder;
  mlp saved{px::seed{4}}, other{px::seed{5}};
  saved.restore_optimizer(px::sgd::name, 1, 7);
  px::save_checkpoint(saved, folder / "checkpoint");
  px::tensor_file file = px::read_safetensors(folder / "checkpoint");
  file.tensors.back().shape.push_back(1);
  px::write_safetensors(folder / "checkpoint", file.tensors);
  const auto before = parameter_values(other);
  CHECK_THROWS_AS(px::load_checkpoint(other, folder / "checkpoint"), px::error);
  CHECK(parameter_values(other) == before);
  CHECK(other.optimizer_state().empty());
}

TEST_CASE("a checkpoint without optimiser state clears the state that is there") {
  const temporary_folder folder;
  mlp plain{px::seed{4}}, with_state{px::seed{5}};
  px::save_checkpoint(plain, folder / "checkpoint");
  with_state.restore_optimizer(px::sgd::name, 1, 7);
  for (const auto& velocity : with_state.optimizer_state()) {
    px::copy_to_device<float>(with_state.stream(), velocity.values.data, random_values(velocity.values.size));
  }
  px::load_checkpoint(with_state, folder / "checkpoint");
  CHECK(with_state.optimizer_state().empty());
  CHECK(with_state.optimizer_updates() == 0);
}

}  // namespace
