// IDX files: written here byte by byte, and those of Fashion-MNIST.
#include "support/catch.hpp"
#include "support/files.hpp"

#include <plexus/data/idx.hpp>

#include <cstring>
#include <numeric>

namespace {

using namespace support;
namespace px = plexus;

const std::string pixel_bytes("\x00\x33\xff\x01\x02\x80", 6);
const std::string images = big_endian(0x803) + big_endian(2) + big_endian(1) + big_endian(3) + pixel_bytes;
const std::string labels = big_endian(0x801) + big_endian(2) + std::string("\x04\x01", 2);

TEST_CASE("IDX images and labels become a data set") {
  const temporary_folder folder;
  const bool zipped = GENERATE(false, true);
  write_file(folder / "images", zipped ? gzip(images, Z_BEST_COMPRESSION) : images);
  write_file(folder / "labels", zipped ? gzip(labels) : labels);
  const px::dataset data = px::load_idx(folder / "images", folder / "labels");
  CHECK(data.size() == 2);
  CHECK(data.features == 3);
  CHECK(data.outputs == 5);
  CHECK(data.inputs == std::vector<float>{0, 0x33 / 255.0f, 1, 1 / 255.0f, 2 / 255.0f, 0x80 / 255.0f});
  CHECK(data.labels == std::vector<int>{4, 1});
  CHECK(px::load_idx(folder / "images", folder / "labels", 10).outputs == 10);
}

TEST_CASE("IDX files of several gzip members are read whole") {
  const std::string two_members = gzip(images.substr(0, 9)) + gzip(images.substr(9));
  const px::idx_array array = px::parse_idx_array(bytes_of(two_members));
  CHECK(std::get<std::vector<std::uint8_t>>(array.values) ==
        std::vector<std::uint8_t>(pixel_bytes.begin(), pixel_bytes.end()));
}

// Memory for them is reserved step by step.
TEST_CASE("IDX arrays of many megabytes are read whole, plain and packed") {
  constexpr std::size_t count = 40'000'003;
  std::string bytes(count, '\0');
  for (std::size_t i = 0; i < count; i += 4093) bytes[i] = static_cast<char>(i / 4093 % 251);
  const std::string file = big_endian(0x801) + big_endian(count) + bytes;
  for (const std::string& stored : {file, gzip(file)}) {
    const px::idx_array array = px::parse_idx_array(bytes_of(stored));
    const auto& values = std::get<std::vector<std::uint8_t>>(array.values);
    REQUIRE(values.size() == count);
    CHECK(std::memcmp(values.data(), bytes.data(), count) == 0);
  }
}

// One value of each element type, its big-endian bytes taken from the type's definition.
TEMPLATE_TEST_CASE_SIG("IDX arrays of every element type", "", ((class T, int Code), T, Code),
                       (std::uint8_t, 0x08), (std::int8_t, 0x09), (std::int16_t, 0x0b), (std::int32_t, 0x0c),
                       (float, 0x0d), (double, 0x0e)) {
  const std::map<int, std::pair<std::string, double>> known = {
      {0x08, {"\xfe", 254}},
      {0x09, {"\xfe", -2}},
      {0x0b, {"\xfe\x01", -511}},
      {0x0c, {std::string("\x80\x00\x00\x01", 4), -2147483647}},
      {0x0d, {std::string("\x40\x49\x0f\xdb", 4), 3.14159274101257324}},
      {0x0e, {std::string("\x40\x09\x21\xfb\x54\x44\x2d\x18", 8), 3.14159265358979312}}};
  const auto& [bytes, value] = known.at(Code);
  const std::string file = big_endian(Code << 8 | 2) + big_endian(3) + big_endian(2) +
                           std::string(2 * bytes.size(), 0) + bytes + bytes +
                           std::string(2 * bytes.size(), 0);
  const px::idx_array array = px::parse_idx_array(bytes_of(file));
  CHECK(array.shape == std::vector<std::size_t>{3, 2});
  const auto expected = static_cast<T>(value);
  CHECK(std::get<std::vector<T>>(array.values) == std::vector<T>{0, 0, expected, expected, 0, 0});
}

TEST_CASE("IDX arrays may be empty or of high rank") {
  CHECK(px::parse_idx_array(bytes_of(big_endian(0x0d01) + big_endian(0))).shape ==
        std::vector<std::size_t>{0});
  std::string deep = big_endian(0x8ff);
  for (int i = 0; i < 255; ++i) deep += big_endian(1);
  CHECK(px::parse_idx_array(bytes_of(deep + "x")).shape == std::vector<std::size_t>(255, 1));
}

// Whatever the bytes, there is an array or a plexus::error; the sanitizers watch over the rest.
void must_not_crash(const std::string& bytes) {
  try {
    px::parse_idx_array(bytes_of(bytes));
  } catch (const px::error&) {
  }
}

TEST_CASE("IDX files with any byte changed or missing never crash the reader") {
  for (const std::string& sound : {images, gzip(images), gzip(images, Z_BEST_COMPRESSION)}) {
    for (std::size_t at = 0; at < sound.size(); ++at) {
      std::string damaged = sound;
      for (int value = 0; value < 256; ++value) {
        damaged[at] = static_cast<char>(value);
        must_not_crash(damaged);
      }
      CHECK_THROWS_AS(px::parse_idx_array(bytes_of(sound.substr(0, at))), px::error);
      must_not_crash(sound.substr(at));
    }
  }
}

TEST_CASE("IDX files of Fashion-MNIST", "[slow]") {
  const std::filesystem::path folder = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(folder)) {
    WARN("skipped: " << folder << " is not there (Debian package dataset-fashion-mnist)");
    return;
  }
  const auto load = [&](const std::string& part) {
    return px::load_idx(folder / (part + "-images-idx3-ubyte.gz"), folder / (part + "-labels-idx1-ubyte.gz"));
  };
  const auto first_labels = [](const px::dataset& data) {
    return std::vector<int>(data.labels.begin(), data.labels.begin() + 5);
  };
  const px::dataset training = load("train");
  CHECK(training.size() == 60000);
  CHECK(training.features == 28 * 28);
  CHECK(training.outputs == 10);
  CHECK(first_labels(training) == std::vector<int>{9, 0, 0, 3, 0});
  const auto count = [](const px::dataset& data, int label) {
    return std::count(data.labels.begin(), data.labels.end(), label);
  };
  for (int label = 0; label < 10; ++label) CHECK(count(training, label) == 6000);
  // The mean pixel of the training set as everybody normalises with it.
  const double sum = std::accumulate(training.inputs.begin(), training.inputs.end(), 0.0);
  CHECK(sum / static_cast<double>(training.inputs.size()) == Approx(0.2860).margin(5e-5));

  const px::dataset test = load("t10k");
  CHECK(test.size() == 10000);
  CHECK(first_labels(test) == std::vector<int>{9, 2, 1, 1, 6});
  for (int label = 0; label < 10; ++label) CHECK(count(test, label) == 1000);
}

}  // namespace
