// Samples in mapped files are those that the readers of whole files give, and training on them gives the same
// bits.
#include <plexus/data/augmented.hpp>
#include <plexus/data/dataset_source.hpp>
#include <plexus/data/mapped_idx.hpp>
#include <plexus/data/mapped_npy.hpp>
#include <plexus/plexus.hpp>

#include "support/bad_input.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/files.hpp"

#include <cstring>
#include <filesystem>
#include <numeric>
#include <set>
#include <thread>

namespace {

using namespace support;
namespace fs = std::filesystem;
namespace px = plexus;

const fs::path corpus = fs::path(PLEXUS_TESTS_DIR) / "fuzz/corpus";

constexpr int samples = 70, features = 12, classes = 3;
using classifier = px::network<px::input<features>, px::dense<8, px::relu>, px::dense<classes>>;
using linear_model = px::network<px::input<features>, px::dense<2>>;

std::string random_bytes(int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) {
    bytes.push_back(static_cast<char>(px::random_stream{3, 4}.below(static_cast<std::uint64_t>(i), 256)));
  }
  return bytes;
}

std::string labels_of(int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes.push_back(static_cast<char>(i * 7 % classes));
  return bytes;
}

const std::string pixels = random_bytes(samples * features);
const std::string class_bytes = labels_of(samples);

// All samples backwards.
px::dataset filled(const px::batch_source& source) {
  const px::source_shape shape = source.shape();
  const auto n = static_cast<std::size_t>(shape.samples);
  px::dataset data{.features = shape.features, .outputs = shape.outputs};
  data.inputs.resize(n * static_cast<std::size_t>(shape.features));
  if (shape.labels) data.labels.resize(n);
  if (!shape.labels) data.targets.resize(n * static_cast<std::size_t>(shape.outputs));
  std::vector<int> order(n);
  std::iota(order.rbegin(), order.rend(), 0);
  source.fill(0, order, {data.inputs, data.labels, data.targets});
  return data;
}

void check_same(const px::batch_source& mapped, const px::dataset& whole) {
  const px::dataset a = filled(mapped), b = filled(px::dataset_source(whole));
  CHECK(a.features == b.features);
  CHECK(a.outputs == b.outputs);
  CHECK(a.inputs == b.inputs);
  CHECK(a.labels == b.labels);
  CHECK(a.targets == b.targets);
}

template <class Network, class Data, class Loss>
std::vector<std::vector<float>> trained_on(const Data& data, const Loss& loss) {
  Network net{px::seed{7}};
  px::fit(net, data, loss, px::sgd{.rate = 0.1f, .momentum = 0.9f}, {.epochs = 3, .batch = 16});
  return support::parameter_values(net);
}

TEST_CASE("A mapped IDX file trains as the same file in memory, bit for bit") {
  const temporary_folder folder;
  write_file(folder / "images",
             big_endian(0x803) + big_endian(samples) + big_endian(3) + big_endian(4) + pixels);
  write_file(folder / "labels", gzip(big_endian(0x801) + big_endian(samples) + class_bytes));
  const px::dataset whole = px::load_idx(folder / "images", folder / "labels");
  const px::mapped_source mapped = px::map_idx(folder / "images", folder / "labels");
  check_same(mapped, whole);
  CHECK(px::map_idx(folder / "images", folder / "labels", 10).shape().outputs == 10);
  CHECK(trained_on<classifier>(mapped, px::softmax_cross_entropy{}) ==
        trained_on<classifier>(whole, px::softmax_cross_entropy{}));
}

TEST_CASE("Mapped npy files train as the same values in memory, bit for bit") {
  const temporary_folder folder;
  const std::vector<float> inputs = random_values(samples * features),
                           targets = random_values(samples * 2, 8);
  px::write_npy(folder / "x.npy", {samples, 3, 4}, inputs);
  px::write_npy(folder / "y.npy", {samples, 2}, targets);
  write_file(folder / "classes.npy", npy_file("|u1", "(70,)", class_bytes));
  px::dataset values{.features = features, .outputs = 2, .inputs = inputs, .targets = targets};
  px::dataset labelled{.features = features, .outputs = classes, .inputs = inputs};
  labelled.labels.assign(class_bytes.begin(), class_bytes.end());

  const px::mapped_source to_values = px::map_npy({.inputs = folder / "x.npy", .targets = folder / "y.npy"});
  const px::mapped_source to_labels =
      px::map_npy({.inputs = folder / "x.npy", .labels = folder / "classes.npy"});
  check_same(to_values, values);
  check_same(to_labels, labelled);
  CHECK(trained_on<linear_model>(to_values, px::quadratic{}) ==
        trained_on<linear_model>(values, px::quadratic{}));
  CHECK(trained_on<classifier>(to_labels, px::softmax_cross_entropy{}) ==
        trained_on<classifier>(labelled, px::softmax_cross_entropy{}));
}

TEST_CASE("Inputs of a mapped npy file are divided, and may lie at any byte") {
  const temporary_folder folder;
  std::vector<float> values(samples * features);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<unsigned char>(pixels[i]);
  const std::string floats(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  write_file(folder / "bytes.npy", npy_file("|u1", "(70, 12)", pixels));
  for (const std::string shape : {"(70, 12)", "(70, 12 )", "(70, 12  )", "(70 , 12  )"}) {
    write_file(folder / "floats.npy", npy_file("<f4", shape, floats));
    write_file(folder / "classes.npy", npy_file("|u1", "(70,)", class_bytes));
    for (const char* inputs : {"bytes.npy", "floats.npy"}) {
      const px::dataset data = filled(px::map_npy(
          {.inputs = folder / inputs, .labels = folder / "classes.npy", .divisor = 255, .classes = 4}));
      CHECK(data.outputs == 4);
      for (std::size_t i = 0; i < values.size(); ++i) {
        const std::size_t row = i / features;
        CHECK(data.inputs[(samples - 1 - row) * features + i % features] == values[i] / 255);
      }
    }
  }
}

TEST_CASE("A mapped source may be moved, and its file replaced meanwhile") {
  const temporary_folder folder;
  const std::vector<float> inputs = random_values(6);
  px::write_npy(folder / "x.npy", {3, 2}, inputs);
  px::mapped_source first = px::map_npy({.inputs = folder / "x.npy", .targets = folder / "x.npy"});
  const px::mapped_source mapped = std::move(first);
  px::write_npy(folder / "x.npy", {1, 1}, random_values(1));
  check_same(mapped, {.features = 2, .outputs = 2, .inputs = inputs, .targets = inputs});
}

// For the thread sanitizer.
TEST_CASE("Several threads may fill from one source at once") {
  const temporary_folder folder;
  write_file(folder / "images",
             big_endian(0x803) + big_endian(samples) + big_endian(3) + big_endian(4) + pixels);
  write_file(folder / "labels", big_endian(0x801) + big_endian(samples) + class_bytes);
  px::write_npy(folder / "x.npy", {samples, 3, 4}, random_values(samples * features));
  const px::dataset whole = px::load_idx(folder / "images", folder / "labels");
  const px::dataset_source in_memory(whole);
  const px::mapped_source images = px::map_idx(folder / "images", folder / "labels"),
                          values = px::map_npy({.inputs = folder / "x.npy", .targets = folder / "x.npy"});
  const px::augmented noisy(
      images, [](std::span<float> x, px::random_stream random) { x[0] += random.uniform(0); }, px::seed{1});
  for (const px::batch_source* source :
       std::initializer_list<const px::batch_source*>{&in_memory, &images, &values, &noisy}) {
    const px::dataset expected = filled(*source);
    std::vector<px::dataset> results(4);
    {
      std::vector<std::jthread> threads;
      for (px::dataset& result : results) threads.emplace_back([&] { result = filled(*source); });
    }
    for (const px::dataset& result : results) {
      CHECK(result.inputs == expected.inputs);
      CHECK(result.labels == expected.labels);
      CHECK(result.targets == expected.targets);
    }
  }
}

// Whatever the corpora of the fuzzers hold is refused, or mapped to what the reader of whole files makes of
// it.
TEST_CASE("Any npy file is refused when it is mapped, or gives what is read whole") {
  int mapped_files = 0, refused_files = 0;
  for (const auto& entry : fs::directory_iterator(corpus / "npy")) {
    CAPTURE(entry.path());
    px::dataset mapped;
    try {
      mapped = filled(px::map_npy({.inputs = entry.path(), .targets = entry.path()}));
    } catch (const px::error&) {
      ++refused_files;
      continue;
    }
    ++mapped_files;
    const std::vector<float> whole = px::read_npy(entry.path()).values;
    REQUIRE(whole.size() == mapped.inputs.size());
    const auto width = static_cast<std::size_t>(mapped.features);
    for (std::size_t first = 0; first < whole.size(); first += width) {
      const std::size_t backwards = whole.size() - width - first;
      CHECK(std::memcmp(&mapped.inputs[backwards], &whole[first], width * sizeof(float)) == 0);
      CHECK(std::memcmp(&mapped.targets[backwards], &whole[first], width * sizeof(float)) == 0);
    }
  }
  CHECK(mapped_files > 1);
  CHECK(refused_files > 20);
}

TEST_CASE("What is wrong with an IDX file is the same mapped and read whole") {
  const temporary_folder folder;
  std::set<std::string> messages;
  for (const auto& entry : fs::directory_iterator(corpus / "idx")) {
    const std::string bytes = read_file(entry.path());
    if (bytes.starts_with("\x1f\x8b")) continue;
    for (const std::uint32_t count : {0u, 1u, 2u, 3u, 4u}) {
      write_file(folder / "labels", big_endian(0x801) + big_endian(count) + std::string(count, 0));
      const std::string whole = error_message([&] { px::load_idx(entry.path(), folder / "labels"); });
      CHECK(error_message([&] { px::map_idx(entry.path(), folder / "labels"); }) == whole);
      messages.insert(whole);
    }
  }
  CHECK(messages.contains("nothing was thrown"));
  CHECK(messages.size() > 10);
}

}  // namespace
