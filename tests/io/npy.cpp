// .npy files: those that NumPy wrote (golden/make_npy.py), and what is written here byte for byte as NumPy
// would.
#include "support/bad_input.hpp"

#include <plexus/io/npy.hpp>

#include <bit>
#include <cmath>
#include <limits>

namespace {

using namespace support;
namespace fs = std::filesystem;
namespace px = plexus;
using shape = std::vector<std::size_t>;

fs::path golden(const std::string& name) {
  return fs::path(PLEXUS_TESTS_DIR) / "golden/npy" / (name + ".npy");
}

// Value i of make_npy.py.
int integer(std::size_t i) { return static_cast<int>((37 * i + 11) % 101) - 50; }

std::vector<float> quarters(std::size_t size) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(integer(i)) / 4;
  return values;
}

std::vector<std::uint32_t> bits(const std::vector<float>& values) {
  std::vector<std::uint32_t> result;
  for (const float value : values) result.push_back(std::bit_cast<std::uint32_t>(value));
  return result;
}

struct golden_file {
  std::string name;
  px::npy_array array;
};

// Those that are written as they are read.
const std::vector<golden_file> float32_files = {
    {"float32", {{2, 3, 5}, quarters(30)}},
    {"float32_vector", {{7}, quarters(7)}},
    {"float32_scalar", {{}, {-2.5f}}},
    {"float32_empty", {{0, 3}, {}}},
    {"float32_extremes",
     {{8}, {0, -0.0f, 1e-45f, 3.4028235e38f, -88, INFINITY, -INFINITY, std::bit_cast<float>(0x7fc00000)}}},
    {"float32_header_116", {{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 33}, quarters(33)}},
    {"float32_header_117", {{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 333}, quarters(333)}},
    {"float32_header_118", {{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3}, quarters(3)}}};

std::vector<golden_file> other_files() {
  std::vector<float> whole(12), bytes(12);
  for (std::size_t i = 0; i < 12; ++i) {
    whole[i] = static_cast<float>(integer(i));
    bytes[i] = static_cast<float>((integer(i) + 256) % 256);
  }
  return {{"float32_fortran", {{2, 3, 5}, quarters(30)}},
          {"float64", {{4, 3}, quarters(12)}},
          {"float64_rounded", {{5}, {0.1f, -0.0f, 1.0f / 3, 3.4028235e38f, INFINITY}}},
          {"int32", {{4, 3}, whole}},
          {"int64_fortran", {{4, 3}, whole}},
          {"int64_large", {{4}, {0x1.000002p62f, -0x1p63f, 16777215, 0}}},
          {"uint8", {{4, 3}, bytes}},
          {"version2", {{4, 3}, quarters(12)}},
          {"version3", {{4, 3}, quarters(12)}}};
}

TEST_CASE("arrays that NumPy wrote are read as they were") {
  auto files = other_files();
  files.insert(files.end(), float32_files.begin(), float32_files.end());
  for (const auto& [name, expected] : files) {
    INFO(name);
    const px::npy_array array = px::read_npy(golden(name));
    CHECK(array.shape == expected.shape);
    CHECK(bits(array.values) == bits(expected.values));
    CHECK(bits(px::parse_npy(bytes_of(read_file(golden(name)))).values) == bits(expected.values));
  }
}

TEST_CASE("an array is written byte for byte as NumPy writes it") {
  const temporary_folder folder;
  for (const auto& [name, array] : float32_files) {
    INFO(name);
    px::write_npy(folder / "array", array.shape, array.values);
    CHECK(read_file(folder / "array") == read_file(golden(name)));
  }
  CHECK(contents(folder.path()).size() == 1);
}

std::string npy(const std::string& header, const std::string& data = "",
                const std::string& version = {1, 0}) {
  const std::size_t length_bytes = version[0] == 1 ? 2 : 4;
  return "\x93NUMPY" + version + little_endian(header.size()).substr(0, length_bytes) + header + data;
}

const std::string eight_bytes("\x00\x00\x80\x3f\x00\x00\x00\xc0", 8);  // 1 and -2

TEST_CASE("headers of .npy files that other programs write") {
  for (const std::string header : {"{'descr':'<f4','fortran_order':False,'shape':(2,)}",
                                   "{ 'shape' : (2 , ) , 'fortran_order' : True , 'descr' : '<f4' , } \n",
                                   "{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": (2,)}",
                                   "\n\t{'descr': '<f4', 'fortran_order': False, 'shape': (02,), }\r\n"}) {
    INFO(header);
    for (const std::string& version : {std::string{1, 0}, std::string{2, 0}, std::string{3, 0}}) {
      const px::npy_array array = px::parse_npy(bytes_of(npy(header, eight_bytes, version)));
      CHECK(array.shape == shape{2});
      CHECK(array.values == std::vector<float>{1, -2});
    }
  }
}

// Against the definition of the two orders.
TEST_CASE("Fortran order of any rank becomes row-major") {
  const shape extents =
      GENERATE(shape{5}, shape{3, 4}, shape{1, 7, 1}, shape{4, 3, 2, 5}, shape{2, 0, 3}, shape{});
  std::size_t count = 1;
  for (const std::size_t extent : extents) count *= extent;
  std::vector<float> stored = quarters(count), expected(count);
  for (std::size_t row_major = 0; row_major < count; ++row_major) {
    std::size_t rest = row_major, column_major = 0, stride = count;
    for (std::size_t axis = extents.size(); axis-- > 0; rest /= extents[axis]) {
      stride /= extents[axis];
      column_major += rest % extents[axis] * stride;
    }
    expected[row_major] = stored[column_major];
  }
  const std::string data(reinterpret_cast<const char*>(stored.data()), 4 * count);
  const px::npy_array array = px::parse_npy(bytes_of(
      npy("{'descr': '<f4', 'fortran_order': True, 'shape': " + px::npy::tuple_text(extents) + "}", data)));
  CHECK(array.shape == extents);
  CHECK(array.values == expected);
}

TEST_CASE("large .npy arrays are converted piece by piece") {
  constexpr std::size_t count = 200'003;
  std::string data;
  for (std::size_t i = 0; i < count; ++i) data += little_endian(i).substr(0, 4);
  const px::npy_array array = px::parse_npy(bytes_of(
      npy("{'descr': '<i4', 'fortran_order': False, 'shape': (" + std::to_string(count) + ",)}", data)));
  REQUIRE(array.values.size() == count);
  bool equal = true;
  for (std::size_t i = 0; i < count; ++i) equal = equal && array.values[i] == static_cast<float>(i);
  CHECK(equal);
}

TEST_CASE(".npy files with any byte changed or missing never crash the reader") {
  for (const char* name : {"float32_vector", "int64_fortran", "version3"}) {
    const std::string sound = read_file(golden(name));
    const auto must_be_sound_or_refused = [](const std::string& bytes) {
      try {
        const px::npy_array array = px::parse_npy(bytes_of(bytes));
        CHECK(px::checked_product(array.shape) == array.values.size());
      } catch (const px::error&) {
      }
    };
    for (std::size_t at = 0; at < sound.size(); ++at) {
      std::string damaged = sound;
      for (int value = 0; value < 256; ++value) {
        damaged[at] = static_cast<char>(value);
        must_be_sound_or_refused(damaged);
      }
      CHECK_THROWS_AS(px::parse_npy(bytes_of(sound.substr(0, at))), px::error);
      must_be_sound_or_refused(sound.substr(at));
    }
  }
}

folder_action file(const std::string& bytes) {
  return [=](const fs::path& folder) { write_file(folder / "array", bytes); };
}

folder_action numpys(const std::string& name) { return file(read_file(golden(name))); }

// Eight bytes of float32 under this header.
folder_action header(const std::string& text) { return file(npy(text, eight_bytes)); }

folder_action shaped(const std::string& tuple) {
  return header("{'descr': '<f4', 'fortran_order': False, 'shape': " + tuple + "}");
}

void load(const fs::path& folder) { px::read_npy(folder / "array"); }

folder_action save(const std::string& name, const shape& extents) {
  return [=](const fs::path& folder) { px::write_npy(folder / name, extents, quarters(6)); };
}

const std::string reading = "reading the npy file 'FOLDER/array'";
const std::string writing = "writing the npy file 'FOLDER/array'";
const std::string damaged = "its header is damaged: ";
const std::string again = "fetch or save the file again", save_again = "save the file again";
const std::string as_float = "save array.astype('<f4')";

TEST_CASE("bad input: npy files", "[bad_input]") {
  check_bad_inputs(
      "npy files",
      {
          {"a missing array", load, reading, "there is no such file", "check the path"},
          {"an empty array file", load, reading, "it does not begin with \\x93NUMPY", "give a .npy file",
           file("")},
          {"another file for an array", load, reading, "it does not begin with \\x93NUMPY",
           "give a .npy file", file("PK\x03\x04 an .npz file")},
          {"an array file of 7 bytes", load, reading, "it breaks off at byte 7", again,
           file("\x93NUMPY\x01")},
          {"an array file of a later version", load, reading, "its version (bytes 6 and 7) is 4.0",
           "save it as version 1.0, 2.0 or 3.0", file(npy("{}", "", {4, 0}))},
          {"an array file of version 1.1", load, reading, "its version (bytes 6 and 7) is 1.1",
           "save it as version 1.0, 2.0 or 3.0", file(npy("{}", "", {1, 1}))},
          {"a length that breaks off", load, reading, "it breaks off at byte 11", again,
           file(npy("{}", "", {2, 0}).substr(0, 11))},
          {"a header longer than its file", load, reading, "its header claims 65535 bytes, and 2 follow",
           again, file("\x93NUMPY" + std::string{1, 0} + "\xff\xff{}")},
          {"a header of 4 GB", load, reading, "its header claims 4294967295 bytes, and 2 follow", again,
           file("\x93NUMPY" + std::string{2, 0} + "\xff\xff\xff\xff{}")},
          {"a header of 70000 bytes", load, reading,
           "its header claims 70000 bytes, and an array of numbers needs fewer", again,
           file(npy(std::string(70000, ' '), "", {2, 0}))},
          {"a header without a dictionary", load, reading, damaged + "no { stands at byte 10", save_again,
           header("[]")},
          {"a header without an end", load, reading, damaged + "no } stands at byte 25", save_again,
           header("{'descr': '<f4'")},
          {"text after a dictionary", load, reading, damaged + "text follows its dictionary at byte 60",
           save_again, header("{'descr':'<f4','fortran_order':False,'shape':(2,)}x")},
          {"a string without an end", load, reading, damaged + "no ' stands at byte 18", save_again,
           header("{'descr:")},
          {"an escape in a string", load, reading, damaged + "no ' stands at byte 15", save_again,
           header("{'des\\x63r': '<f4'}")},
          {"a key without a value", load, reading, damaged + "no : stands at byte 18", save_again,
           header("{'descr'}")},
          {"a header without a type", load, reading, damaged + "it has no key \"descr\"", save_again,
           header("{'fortran_order': False, 'shape': (2,)}")},
          {"a header without an order", load, reading, damaged + "it has no key \"fortran_order\"",
           save_again, header("{'descr': '<f4', 'shape': (2,)}")},
          {"a header without a shape", load, reading, damaged + "it has no key \"shape\"", save_again,
           header("{'descr': '<f4', 'fortran_order': False}")},
          {"a key twice", load, reading, damaged + "the key \"descr\" occurs twice", save_again,
           header("{'descr': '<f4', 'descr': '<f4'}")},
          {"an unknown key", load, reading, damaged + "it has the unknown key \"order\"", save_again,
           header("{'order': 'C'}")},
          {"an order that is no truth", load, reading, damaged + "neither True nor False stands at byte 28",
           save_again, header("{'fortran_order': 0}")},
          {"a number for a shape", load, reading, damaged + "no comma stands at byte 62", save_again,
           shaped("(2)")},
          {"a list for a shape", load, reading, damaged + "no ( stands at byte 60", save_again,
           shaped("[2]")},
          {"a negative extent", load, reading, damaged + "no number stands at byte 61", save_again,
           shaped("(-2,)")},
          {"a fractional extent", load, reading, damaged + "no comma stands at byte 62", save_again,
           shaped("(2.0,)")},
          {"an extent beyond 64 bits", load, reading,
           damaged + "a number of more than 64 bits stands at byte 64", save_again,
           shaped("(2, 18446744073709551616)")},
          {"more extents than an array has", load, reading, damaged + "its shape has more than 64 extents",
           save_again, shaped(px::npy::tuple_text(shape(65, 1)))},
          {"extents whose product overflows", load, reading,
           "its header claims (4294967296, 4294967296, 4) values of 4 bytes, and 8 bytes follow it", again,
           shaped("(4294967296, 4294967296, 4)")},
          {"extents whose product overflows, without values", load, reading,
           "its header claims (4294967296, 4294967296) values of 4 bytes, and 0 bytes follow it", again,
           file(npy("{'descr':'<f4','fortran_order':False,'shape':(4294967296, 4294967296)}"))},
          {"extents whose bytes overflow", load, reading,
           "its header claims (4611686018427387906,) values of 4 bytes, and 8 bytes follow it", again,
           shaped("(4611686018427387906,)")},
          {"fewer values than the shape has", load, reading,
           "its header claims (3,) values of 4 bytes, and 8 bytes follow it", again, shaped("(3,)")},
          {"more values than the shape has", load, reading,
           "its header claims () values of 4 bytes, and 8 bytes follow it", again, shaped("()")},
          {"half a value", load, reading, "its header claims (2,) values of 4 bytes, and 9 bytes follow it",
           again, file(npy("{'descr':'<f4','fortran_order':False,'shape':(2,)}", eight_bytes + "x"))},
          {"big-endian values", load, reading, "its elements are \">f4\"", as_float,
           numpys("float32_big_endian")},
          {"values of half precision", load, reading, "its elements are \"<f2\"", as_float,
           numpys("float16")},
          {"pickled objects", load, reading, "its elements are \"|O\"", as_float, numpys("pickled")},
          {"elements of several fields", load, reading, "its elements have several fields",
           "save each field by itself", numpys("structured")},
          {"a float64 beyond float", load, reading, "value 1 of the file is out of the range of float",
           "scale the array", numpys("float64_too_large")},
          {"an integer that is no float", load, reading,
           "value 1 of the file is -16777217, which no float is", as_float + " if it may be rounded",
           numpys("int32_inexact")},
          {"a missing folder for an array", save("runs/array", {2, 3}),
           "writing the npy file 'FOLDER/runs/array'", "the folder 'FOLDER/runs' does not exist",
           "create it first"},
          {"values of another shape", save("array", {2, 4}), writing,
           "6 values are not those of the shape (2, 4)", "give as many values as the shape has",
           file("the old file")},
          {"a shape of 65 extents", save("array", shape(65, 1)), writing,
           "its shape has 65 extents, and NumPy knows 64", "reshape the array", file("the old file")},
          {"no room for an array",
           [](const fs::path& folder) {
             const file_size_limit limit(140);
             save("array", {2, 3})(folder);
           },
           writing, "the file would be larger than this process may write",
           "raise the file size limit (ulimit -f); nothing was changed", file("the old file")},
      });
}

}  // namespace
