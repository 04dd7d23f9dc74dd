// What the data room refuses, and how it says so.
#include "support/bad_input.hpp"

#include <plexus/data/folds.hpp>
#include <plexus/data/idx.hpp>
#include <plexus/data/mapped_idx.hpp>
#include <plexus/data/mapped_npy.hpp>
#include <plexus/data/normalize.hpp>
#include <plexus/data/split.hpp>

#include <cmath>
#include <limits>

#include <sys/stat.h>

namespace {

using namespace support;
namespace fs = std::filesystem;
using plexus::dataset;

dataset two_samples() {
  dataset data;
  data.features = 3;
  data.outputs = 2;
  data.inputs = {1, 2, 3, 4, 5, 6};
  data.labels = {0, 1};
  return data;
}

// An action that spoils a sound set in one place and has it checked.
template <class Spoil>
folder_action checking(Spoil spoil) {
  return [spoil](const fs::path&) {
    dataset data = two_samples();
    spoil(data);
    data.validate();
  };
}

const std::string images_header = big_endian(0x803) + big_endian(2) + big_endian(1) + big_endian(3);
const std::string images = images_header + "abcdef";
const std::string labels_header = big_endian(0x801) + big_endian(2);
const std::string labels = labels_header + std::string{0, 1};

// Writes the two files that reading_images reads.
folder_action files(const std::string& image_bytes, const std::string& label_bytes = labels) {
  return [=](const fs::path& folder) {
    write_file(folder / "images", image_bytes);
    write_file(folder / "labels", label_bytes);
  };
}

void read_images(const fs::path& folder) { plexus::load_idx(folder / "images", folder / "labels"); }
void read_array(const fs::path& folder) { plexus::load_idx_array(folder / "images"); }

std::string damaged_checksum() {
  std::string packed = gzip(images);
  packed[packed.size() - 8] = static_cast<char>(packed[packed.size() - 8] ^ 1);
  return packed;
}

const std::string checking_set = "checking a dataset";
const std::string reading = "reading the IDX file 'FOLDER/images'";
const std::string again = "fetch the file again";
const float nan = std::numeric_limits<float>::quiet_NaN();

TEST_CASE("bad input: data sets", "[bad_input]") {
  check_bad_inputs(
      "data sets",
      {
          {"a set without samples", checking([](dataset& d) { d.inputs.clear(); }), checking_set,
           "it has no samples", "give at least one"},
          {"no features", checking([](dataset& d) { d.features = 0; }), checking_set, "features is 0",
           "set it to the number of values in a sample"},
          {"no outputs", checking([](dataset& d) { d.outputs = 0; }), checking_set, "outputs is 0",
           "set it to the number of classes or to the width of a target"},
          {"half a sample", checking([](dataset& d) { d.inputs.pop_back(); }), checking_set,
           "5 input values are no whole number of samples of 3", "give size × features values"},
          {"neither labels nor targets", checking([](dataset& d) { d.labels.clear(); }), checking_set,
           "it has neither labels nor targets", "give exactly one of the two"},
          {"labels and targets", checking([](dataset& d) {
             d.targets = {1, 0, 0, 1};
           }),
           checking_set, "it has both labels and targets", "give exactly one of the two"},
          {"too few labels", checking([](dataset& d) { d.labels.pop_back(); }), checking_set,
           "1 labels for 2 samples", "give one label per sample"},
          {"too few weights", checking([](dataset& d) { d.weights = {1}; }), checking_set,
           "1 weights for 2 samples", "give one weight per sample, or none"},
          {"a negative weight", checking([](dataset& d) {
             d.weights = {1, -1};
           }),
           checking_set, "the weight of sample 1 is negative", "give a number ≥ 0"},
          {"a NaN weight", checking([](dataset& d) {
             d.weights = {nan, 1};
           }),
           checking_set, "weight 0 of sample 0 is NaN", "remove the sample or replace the value"},
          {"too few targets", checking([](dataset& d) {
             d.labels.clear(), d.targets = {1, 0, 1};
           }),
           checking_set, "3 target values for 2 samples of 2 outputs", "give size × outputs values"},
          {"a label beyond the classes", checking([](dataset& d) { d.labels[1] = 2; }), checking_set,
           "sample 1 has label 2 of 2 classes",
           "labels count from 0: correct the label, or set outputs to the number of classes"},
          {"a negative label", checking([](dataset& d) { d.labels[0] = -1; }), checking_set,
           "sample 0 has label -1 of 2 classes",
           "labels count from 0: correct the label, or set outputs to the number of classes"},
          {"a NaN input", checking([](dataset& d) { d.inputs[4] = nan; }), checking_set,
           "input 1 of sample 1 is NaN", "remove the sample or replace the value"},
          {"an infinite input", checking([](dataset& d) { d.inputs[2] = -INFINITY; }), checking_set,
           "input 2 of sample 0 is infinite", "remove the sample or replace the value"},
          {"a NaN target", checking([](dataset& d) {
             d.labels.clear(), d.targets = {0, 1, 1, nan};
           }),
           checking_set, "target 1 of sample 1 is NaN", "remove the sample or replace the value"},
          {"a split that leaves nothing",
           [](const fs::path&) { plexus::split(two_samples(), 2, plexus::seed{1}); }, "splitting a dataset",
           "2 of 2 samples leave one part empty", "take at least one and not all"},
          {"a split by a NaN fraction",
           [](const fs::path&) { plexus::split(two_samples(), double{nan}, plexus::seed{1}); },
           "splitting a dataset", "the fraction is nan",
           "give one between 0 and 1, or a number of samples as an int"},
          {"a sample that is not there",
           [](const fs::path&) {
             plexus::select(two_samples(), std::vector<int>{0, 2});
           },
           "selecting samples", "there is no sample 2 of 2", "count samples from 0"},
          {"one fold for all",
           [](const fs::path&) {
             const dataset data = two_samples();
             plexus::folds(data, 1, plexus::seed{1});
           },
           "dividing a dataset into folds", "1 folds leave nothing to train on", "take at least two"},
          {"more folds than samples",
           [](const fs::path&) {
             const dataset data = two_samples();
             plexus::folds(data, 3, plexus::seed{1});
           },
           "dividing a dataset into folds", "3 folds of 2 samples leave one empty",
           "take no more folds than samples"},
          {"folds stratified by nothing",
           [](const fs::path&) {
             dataset data = two_samples();
             data.labels.clear(), data.targets = {0, 1, 1, 0};
             plexus::folds(data, 2, plexus::seed{1}, {.stratified = true});
           },
           "dividing a dataset into folds",
           "they are to be stratified, and the data set has targets and no labels",
           "give one with labels, or do not stratify"},
          {"a fold that is not there",
           [](const fs::path&) {
             const dataset data = two_samples();
             plexus::folds(data, 2, plexus::seed{1})[2];
           },
           "taking a fold of a dataset", "there is no fold 2 of 2", "count folds from 0"},
          {"a normalisation of other data",
           [](const fs::path&) {
             dataset narrow = two_samples();
             narrow.features = 2;
             plexus::normalization::per_feature(two_samples()).apply(narrow);
           },
           "normalising a dataset", "it has 2 features and the one learnt from has 3",
           "give a set of the same kind"},
      });
}

const std::string pairing = "pairing the images of 'FOLDER/images' with labels",
                  set_classes =
                      "labels count from 0: correct the label, or set classes to the number of classes",
                  no_count = "set it to the number of classes, or to 0 for the largest label + 1";

TEST_CASE("bad input: IDX files", "[bad_input]") {
  check_bad_inputs(
      "IDX files",
      {
          {"a missing file", read_images, reading, "there is no such file", "check the path"},
          {"a folder for a file", read_images, reading, "it is a folder", "give the path of a file in it",
           [](const fs::path& folder) { fs::create_directory(folder / "images"); }},
          {"a file for a folder",
           [](const fs::path& folder) { plexus::load_idx_array(folder / "images" / "train"); },
           "reading the IDX file 'FOLDER/images/train'", "a part of its path is a file, not a folder",
           "check the path", files(images)},
          {"an unreadable file",
           [](const fs::path& folder) {
             const as_other_user bound_by_permissions;
             read_images(folder);
           },
           reading, "it may not be read", "change its permissions or those of its folder",
           [](const fs::path& folder) {
             write_file(folder / "images", "");
             fs::permissions(folder / "images", fs::perms::none);
           }},
          {"a pipe for a file", read_images, reading, "it is not a regular file",
           "give the path of a regular file",
           [](const fs::path& folder) { ::mkfifo((folder / "images").c_str(), 0600); }},
          {"an empty file", read_images, reading, "its header breaks off at byte 0", again, files("")},
          {"a header cut short", read_images, reading, "its header breaks off at byte 10", again,
           files(images.substr(0, 10))},
          {"no IDX file", read_images, reading,
           "its magic number (bytes 0 to 3) is 0x89504e47 and not 0x00000803",
           "give a file of images (rank 3, bytes)", files("\x89PNG\r\n")},
          {"labels where images belong", read_images, reading,
           "its magic number (bytes 0 to 3) is 0x00000801 and not 0x00000803",
           "give a file of images (rank 3, bytes)", files(labels, images)},
          {"images where labels belong", read_images, "reading the IDX file 'FOLDER/labels'",
           "its magic number (bytes 0 to 3) is 0x00000803 and not 0x00000801",
           "give a file of labels (rank 1, bytes)", files(images, images)},
          {"an array without rank", read_array, reading, "its magic number (bytes 0 to 3) is 0x00000800",
           "give an IDX file", files(big_endian(0x800) + "a")},
          {"an unknown element type", read_array, reading,
           "its element type (byte 2) is 10, which IDX does not have", "give an IDX file",
           files(big_endian(0xa01) + big_endian(1) + "a")},
          {"pixels cut short", read_images, reading,
           "its header claims 2×1×3 values of 1 bytes, and its 21 bytes hold at most 5", again,
           files(images.substr(0, images.size() - 1))},
          {"pixels cut short and zipped", read_images, reading, "it breaks off at byte 21 of 22", again,
           files(gzip(images.substr(0, images.size() - 1)))},
          {"4 GB claimed in 100 bytes", read_images, reading,
           "its header claims 65536×256×256 values of 1 bytes, and its 100 bytes hold at most 84", again,
           files(big_endian(0x803) + big_endian(65536) + big_endian(256) + big_endian(256) +
                 std::string(84, 'a'))},
          {"sizes whose product overflows", read_array, reading,
           "its header claims 4294967295×4294967295×4294967295 values of 8 bytes, and its 16 bytes hold at "
           "most 0",
           again,
           files(big_endian(0xe03) + big_endian(0xffffffff) + big_endian(0xffffffff) +
                 big_endian(0xffffffff))},
          {"bytes after the last pixel", read_images, reading,
           "it goes on after byte 22, where its header says that it ends", again, files(images + "g")},
          {"a gzip bomb", read_images, reading,
           "it goes on after byte 22, where its header says that it ends", again,
           files(gzip(images + std::string(20'000'000, 'g'), Z_BEST_COMPRESSION))},
          {"gzip data cut short", read_images, reading, "its gzip data break off at byte 30", again,
           files(gzip(images).substr(0, 30))},
          {"gzip data with a wrong checksum", read_images, reading,
           "its gzip data are damaged near byte " + std::to_string(gzip(images).size() - 4) +
               " (incorrect data check)",
           again, files(damaged_checksum())},
          {"bytes after the gzip data", read_images, reading,
           "something follows its gzip data at byte " + std::to_string(gzip(images).size()), again,
           files(gzip(images) + "garbage")},
          {"more images than labels", read_images, pairing, "2 images but 1 labels in 'FOLDER/labels'",
           "give two files of the same set",
           files(images, big_endian(0x801) + big_endian(1) + std::string(1, 0))},
          {"no images", read_images, pairing, "there are none (0×28×28)", "give images",
           files(big_endian(0x803) + big_endian(0) + big_endian(28) + big_endian(28))},
          {"labels beyond the classes asked for",
           [](const fs::path& folder) { plexus::load_idx(folder / "images", folder / "labels", 1); }, pairing,
           "sample 1 has label 1 of 1 classes", set_classes, files(images)},
          {"a negative number of classes",
           [](const fs::path& folder) { plexus::load_idx(folder / "images", folder / "labels", -1); },
           pairing, "classes is -1", no_count, files(images)},
      });
}

void map_images(const fs::path& folder) { plexus::map_idx(folder / "images", folder / "labels"); }

const std::string six_bytes = npy_file("|u1", "(2, 3)", "abcdef");
const std::string two_classes = npy_file("|u1", "(2,)", std::string{0, 1});

// Writes the two files that map_arrays maps.
folder_action arrays(const std::string& inputs, const std::string& labels_or_targets = two_classes) {
  return [=](const fs::path& folder) {
    write_file(folder / "inputs", inputs);
    write_file(folder / "others", labels_or_targets);
  };
}

void map_labels(const fs::path& folder) {
  plexus::map_npy({.inputs = folder / "inputs", .labels = folder / "others"});
}
void map_targets(const fs::path& folder) {
  plexus::map_npy({.inputs = folder / "inputs", .targets = folder / "others"});
}

// Maps an array of 2³¹ bytes: a file with a hole, which takes no room and is gone afterwards.
void map_large(const fs::path& folder, const std::string& shape) {
  const std::string header = npy_file("|u1", shape, "");
  write_file(folder / "inputs", header);
  fs::resize_file(folder / "inputs", header.size() + 0x80000000);
  try {
    map_labels(folder);
  } catch (...) {
    fs::remove(folder / "inputs");
    throw;
  }
}

TEST_CASE("bad input: mapped files", "[bad_input]") {
  const std::string inputs = "reading the npy file 'FOLDER/inputs'",
                    others = "reading the npy file 'FOLDER/others'",
                    mapping = "mapping the npy file 'FOLDER/inputs'",
                    set_one = "set npy_files.labels or npy_files.targets",
                    same_set = "give two files of the same set",
                    class_numbers = "give whole numbers from 0 to 16777215";
  check_bad_inputs(
      "mapped files",
      {
          {"a missing file to map", map_images, reading, "there is no such file", "check the path"},
          {"a gzipped file to map", map_images, reading, "it is gzipped, and what is packed cannot be mapped",
           "unpack it (gunzip), or read it whole by load_idx", files(gzip(images))},
          {"labels to map where images belong", map_images, reading,
           "its magic number (bytes 0 to 3) is 0x00000801 and not 0x00000803",
           "give a file of images (rank 3, bytes)", files(labels)},
          {"a file to map that is cut short", map_images, reading,
           "its header claims 2×1×3 values of 1 bytes, and its 21 bytes hold at most 5", again,
           files(images.substr(0, 21))},
          {"bytes after the last pixel to map", map_images, reading,
           "it goes on after byte 22, where its header says that it ends", again, files(images + "g")},
          {"more images to map than labels", map_images, pairing, "2 images but 1 labels in 'FOLDER/labels'",
           same_set, files(images, big_endian(0x801) + big_endian(1) + std::string(1, 0))},
          {"labels of a mapped file beyond the classes asked for",
           [](const fs::path& folder) { plexus::map_idx(folder / "images", folder / "labels", 1); }, pairing,
           "sample 1 has label 1 of 1 classes", set_classes, files(images)},
          {"a negative number of classes of a mapped file",
           [](const fs::path& folder) { plexus::map_idx(folder / "images", folder / "labels", -1); }, pairing,
           "classes is -1", no_count, files(images)},
          {"a mapped array alone",
           [](const fs::path& folder) { plexus::map_npy({.inputs = folder / "inputs"}); }, mapping,
           "neither labels nor targets are given", set_one, arrays(six_bytes)},
          {"a mapped array with labels and targets",
           [](const fs::path& folder) {
             plexus::map_npy(
                 {.inputs = folder / "inputs", .labels = folder / "others", .targets = folder / "others"});
           },
           mapping, "both labels and targets are given", set_one, arrays(six_bytes)},
          {"a mapped array divided by zero",
           [](const fs::path& folder) {
             plexus::map_npy({.inputs = folder / "inputs", .labels = folder / "others", .divisor = 0});
           },
           mapping, "the divisor is 0.000000", "choose one such as 255", arrays(six_bytes)},
          {"a mapped array of float64", map_labels, inputs,
           "its elements are \"<f8\", and only float32 and uint8 can be mapped", "save array.astype('<f4')",
           arrays(npy_file("<f8", "(1,)", "abcdefgh"))},
          {"a mapped array in Fortran order", map_labels, inputs,
           "its values lie in Fortran order, where no sample lies in one piece",
           "save numpy.ascontiguousarray(array)", arrays(npy_file("|u1", "(2, 3)", "abcdef", "True"))},
          {"a mapped array that is cut short", map_labels, inputs,
           "its header claims (2, 3) values of 1 bytes, and 5 bytes follow it",
           "fetch or save the file again", arrays(npy_file("|u1", "(2, 3)", "abcde"))},
          {"a mapped array of one number", map_labels, inputs, "its shape is (), without samples",
           "give an array of samples", arrays(npy_file("|u1", "()", "a"))},
          {"a mapped array without samples", map_labels, inputs, "its shape is (0, 3), without samples",
           "give an array of samples", arrays(npy_file("|u1", "(0, 3)", ""))},
          {"a mapped array without features", map_labels, inputs, "its shape is (2, 0), without samples",
           "give an array of samples", arrays(npy_file("|u1", "(2, 0)", ""))},
          {"more inputs to map than labels", map_labels, mapping, "2 samples but 1 labels", same_set,
           arrays(six_bytes, npy_file("|u1", "(1,)", std::string(1, 0)))},
          {"more targets to map than inputs", map_targets, mapping, "2 samples but 3 targets", same_set,
           arrays(six_bytes, npy_file("|u1", "(3, 2)", "abcdef"))},
          {"a matrix of labels", map_labels, others, "its shape is (2, 1)",
           "give labels of the shape (samples,)",
           arrays(six_bytes, npy_file("|u1", "(2, 1)", std::string{0, 1}))},
          {"half a label", map_labels, others, "value 1 is no class: 0.500000", class_numbers,
           arrays(six_bytes, npy_file("<f4", "(2,)", std::string{0, 0, 0, 0, 0, 0, 0, 0x3f}))},
          {"labels of a mapped array beyond the classes asked for",
           [](const fs::path& folder) {
             plexus::map_npy({.inputs = folder / "inputs", .labels = folder / "others", .classes = 1});
           },
           mapping, "sample 1 has label 1 of 1 classes",
           "labels count from 0: correct the label, or set npy_files.classes to the number of classes",
           arrays(six_bytes)},
          {"a negative number of classes of a mapped array",
           [](const fs::path& folder) {
             plexus::map_npy({.inputs = folder / "inputs", .labels = folder / "others", .classes = -3});
           },
           mapping, "npy_files.classes is -3", no_count, arrays(six_bytes)},
          {"a negative label of a mapped array", map_labels, others, "value 0 is no class: -1.000000",
           class_numbers, arrays(six_bytes, npy_file("<i4", "(2,)", little_endian(0xffffffff)))},
          {"a label beyond what float counts", map_labels, others, "value 0 is no class: 16777216.000000",
           class_numbers, arrays(six_bytes, npy_file("<i4", "(2,)", little_endian(0x1000000)))},
          {"a mapped array of more samples than an int counts",
           [](const fs::path& folder) { map_large(folder, "(2147483648,)"); }, inputs,
           "its shape (2147483648,) is more than an int counts", "split the file"},
          {"a mapped array of more features than an int counts",
           [](const fs::path& folder) { map_large(folder, "(1, 2147483648)"); }, inputs,
           "its shape (1, 2147483648) is more than an int counts", "split the file"},
      });
}

}  // namespace
