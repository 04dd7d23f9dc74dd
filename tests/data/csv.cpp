// CSV files as data sets: what is read, word for word, and what is refused.
#include "support/bad_input.hpp"

#include <plexus/data/csv.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <locale>
#include <random>

namespace {

using namespace support;
namespace fs = std::filesystem;
namespace px = plexus;
using names = std::vector<std::string>;

px::csv_dataset parse(const std::string& text, const px::csv_options& options) {
  return px::parse_csv(bytes_of(text), options);
}

const px::csv_options last_is_label{.label = -1};
const std::string flowers =
    "length,width,species\n"
    "5.1,3.5,setosa\n"
    "-7e-1,.25,virginica\n"
    "6,0,setosa\n"
    "1e2,3,dahlia\n";

TEST_CASE("a CSV file with text labels becomes a data set") {
  const temporary_folder folder;
  write_file(folder / "table", GENERATE(false, true) ? gzip(flowers, Z_BEST_COMPRESSION) : flowers);
  const px::csv_dataset data = px::load_csv(folder / "table", {.label = "species"});
  CHECK(data.size() == 4);
  CHECK(data.features == 2);
  CHECK(data.outputs == 3);
  CHECK(data.inputs == std::vector<float>{5.1f, 3.5f, -0.7f, 0.25f, 6, 0, 100, 3});
  CHECK(data.labels == std::vector<int>{1, 2, 1, 0});
  CHECK(data.targets.empty());
  CHECK(data.feature_names == names{"length", "width"});
  CHECK(data.class_names == names{"dahlia", "setosa", "virginica"});
}

TEST_CASE("the classes of a CSV file may be given, as those of the training set to the test set") {
  const px::csv_dataset data =
      parse(flowers, {.label = "species", .classes = {"virginica", "rose", "setosa", "dahlia"}});
  CHECK(data.outputs == 4);
  CHECK(data.labels == std::vector<int>{2, 0, 2, 3});
  CHECK(data.class_names == names{"virginica", "rose", "setosa", "dahlia"});
  const px::csv_dataset signs = parse("y,x\n-1,5\n1,6\n", {.label = 0, .classes = {"-1", "1"}});
  CHECK(signs.labels == std::vector<int>{0, 1});
}

TEST_CASE("labels that are numbers are the numbers of the classes") {
  const px::csv_dataset data = parse("7,0.5,1\n0,2,3\n3,4,5\n", {.has_header = false, .label = 0});
  CHECK(data.labels == std::vector<int>{7, 0, 3});
  CHECK(data.outputs == 8);
  CHECK(data.class_names.empty());
  CHECK(data.feature_names.empty());
  CHECK(data.inputs == std::vector<float>{0.5f, 1, 2, 3, 4, 5});
  // The last number of which there is one more.
  CHECK(parse("2147483646,1\n", {.has_header = false, .label = 0}).outputs == 2147483647);
  CHECK_THROWS_AS(parse("2147483647,1\n", {.has_header = false, .label = 0}), px::error);
}

TEST_CASE("targets of a CSV file stand in the order in which they are chosen") {
  const std::string table = "id,a,b,c,d\n100,1,2,3,4\n101,5,6,7,8\n";
  const px::csv_dataset data = parse(table, {.targets = {"d", 1}, .ignored = {"id"}});
  CHECK(data.outputs == 2);
  CHECK(data.targets == std::vector<float>{4, 1, 8, 5});
  CHECK(data.inputs == std::vector<float>{2, 3, 6, 7});
  CHECK(data.feature_names == names{"b", "c"});
  CHECK(data.labels.empty());
  CHECK(parse(table, {.targets = {-5}}).targets == std::vector<float>{100, 101});
}

TEST_CASE("line ends, a byte order mark and blanks of a CSV file mean nothing") {
  const px::csv_dataset plain = parse("a,b\n1,x\n2,y\n", last_is_label);
  CHECK(plain.inputs == std::vector<float>{1, 2});
  for (const std::string text : {"a,b\r\n1,x\r\n2,y\r\n", "a,b\r1,x\r2,y",
                                 "\xef\xbb\xbf"
                                 "a,b\n1,x\n2,y",
                                 "a,b\n1,x\n2,y\n\n \r\n\t\n", " a , b\t\n 1\t,x \n2,  y\n",
                                 "\"a\",\"b\"\n\"1\", \"x\" \n2,\"y\"", "\xef\xbb\xbf\"a\",b\n1,x\n2,y\n"}) {
    INFO(text);
    const px::csv_dataset data = parse(text, last_is_label);
    CHECK(data.inputs == plain.inputs);
    CHECK(data.labels == plain.labels);
    CHECK(data.feature_names == plain.feature_names);
    CHECK(data.class_names == plain.class_names);
  }
}

TEST_CASE("quoted fields of a CSV file hold separators, quotes, line breaks and blanks") {
  const px::csv_dataset data =
      parse("\"width, \"\"cm\"\"\",label\n1,\" a,b \"\n2,\"two\r\nlines\"\n3,\"\"\"\"\n4,in between\n",
            last_is_label);
  CHECK(data.feature_names == names{"width, \"cm\""});
  CHECK(data.class_names == names{" a,b ", "\"", "in between", "two\r\nlines"});
  CHECK(data.labels == std::vector<int>{0, 3, 1, 2});
}

TEST_CASE("an empty field takes no blanks from the quoted one before it") {
  const px::csv_dataset data =
      parse("1,\" a \",\n2,\"b\",\n", {.has_header = false, .label = 1, .ignored = {2}});
  CHECK(data.class_names == names{" a ", "b"});
}

TEST_CASE("a CSV file may have another separator") {
  const char separator = GENERATE(';', '\t', ' ', '|');
  std::string text = "1.5,a b,7\n2.5,\"x,y\",8\n";
  std::ranges::replace(text, ' ', '_');
  text = text.replace(text.find("x,y"), 3, std::string("x") + separator + "y");
  for (char& c : text) {
    if (c == ',') c = separator;
  }
  const px::csv_dataset data =
      parse(text, {.has_header = false, .separator = separator, .label = 1, .ignored = {2}});
  CHECK(data.inputs == std::vector<float>{1.5f, 2.5f});
  CHECK(data.class_names == names{"a_b", std::string("x") + separator + "y"});
}

// Against strtod in the C locale; the halves between two floats are not met by chance.
TEST_CASE("numbers of a CSV file are the nearest floats, at the ends of their range as well") {
  std::mt19937 random(5);
  std::vector<std::string> texts = {
      "0",        "+1.5",      "+1e-3", "-0",  "1e-60",    "3.4028235e38", "-3.4028235e38",
      "1.17e-38", "1.401e-45", "1e30",  "-88", "16777217", "000.1"};
  for (int i = 0; i < 500; ++i) {
    char text[64];
    const double mantissa = std::uniform_real_distribution<double>(-10, 10)(random);
    std::snprintf(text, sizeof text, "%.*ge%d", 1 + i % 18, mantissa, static_cast<int>(random() % 70) - 38);
    if (std::string(text).find('e') == std::string(text).rfind('e')) texts.push_back(text);
  }
  std::string table = "x,y\n";
  std::vector<float> expected;
  for (const std::string& text : texts) {
    table += text + ",0\n";
    expected.push_back(static_cast<float>(std::strtod(text.c_str(), nullptr)));
  }
  REQUIRE(expected.size() > 400);
  const px::csv_dataset data = parse(table, last_is_label);
  CHECK(data.inputs == expected);
  CHECK(std::signbit(data.inputs[3]));
}

struct decimal_comma : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
};

TEST_CASE("numbers of a CSV file have a decimal point in any locale") {
  const std::locale before = std::locale::global(std::locale(std::locale(), new decimal_comma));
  const px::csv_dataset data = parse("x,y\n1.5,0\n", last_is_label);
  std::locale::global(before);
  CHECK(data.inputs == std::vector<float>{1.5f});
}

TEST_CASE("lines of a CSV file may be longer than what is read at once") {
  constexpr int columns = 30'001;
  std::string table;
  std::vector<float> expected;
  for (int line = 0; line < 3; ++line) {
    for (int i = 0; i < columns; ++i) {
      const int value = (line * columns + i) % 977;
      expected.push_back(static_cast<float>(value));
      table += std::to_string(value) + (i % 5 == 0 ? " ,\t" : ",");
    }
    table += "\"" + std::to_string(line) + "\"\r\n";
  }
  const px::csv_dataset data = parse(table, {.has_header = false, .label = -1});
  CHECK(data.features == columns);
  CHECK(data.inputs == expected);
  CHECK(data.labels == std::vector<int>{0, 1, 2});
}

// Whatever the bytes, there is a sound set or a plexus::error.
TEST_CASE("CSV files with any byte changed or missing never crash the reader") {
  const std::string sound = "a,\"b\",c\r\n1,2,\"x\"\"y\"\n-3.5e1, 4 ,z\n\n";
  const auto must_be_sound_or_refused = [](const std::string& text) {
    try {
      parse(text, last_is_label).validate();
    } catch (const px::error&) {
    }
  };
  for (const std::string& whole : {sound, gzip(sound)}) {
    for (std::size_t at = 0; at < whole.size(); ++at) {
      std::string damaged = whole;
      for (int value = 0; value < 256; ++value) {
        damaged[at] = static_cast<char>(value);
        must_be_sound_or_refused(damaged);
      }
      must_be_sound_or_refused(whole.substr(0, at));
      must_be_sound_or_refused(whole.substr(at));
    }
  }
}

folder_action file(const std::string& text) {
  return [=](const fs::path& folder) { write_file(folder / "table", text); };
}

folder_action load(const px::csv_options& options) {
  return [=](const fs::path& folder) { px::load_csv(folder / "table", options); };
}

const folder_action load_flowers = load({.label = "species"});
const std::string reading = "reading the CSV file 'FOLDER/table'";
const std::string fill_in = "fill it in, remove the line or ignore the column";
const std::string correct = "correct it or ignore the column";
const std::string as_first = "give each line as many fields as the first";
const std::string quote_all = "put all of the field in quotes, and write each quote in it twice";
const std::string samples = "give a file with a line for each sample";
const std::string list_classes = "correct it, or give all labels in csv_options.classes";

folder_action flower(const std::string& line) {
  return file("length,width,species\n1,2,rose\n" + line + "\n");
}

TEST_CASE("bad input: CSV files", "[bad_input]") {
  check_bad_inputs(
      "CSV files",
      {
          {"a missing table", load_flowers, reading, "there is no such file", "check the path"},
          {"an empty table", load_flowers, reading, "it is empty", samples, file("\xef\xbb\xbf\n\n")},
          {"a table of names alone", load_flowers, reading, "it has names of columns and no samples", samples,
           file("length,width,species\n")},
          {"a zipped table that breaks off", load_flowers, reading, "its gzip data break off at byte 30",
           "fetch the file again", file(gzip(flowers).substr(0, 30))},
          {"a missing value", load_flowers, reading, "line 3, column 1 (\"width\"): it is empty", fill_in,
           flower("1, ,rose")},
          {"a missing label", load_flowers, reading, "line 3, column 2 (\"species\"): it is empty", fill_in,
           flower("1,2,\"\"")},
          {"a missing value in a table without names", load({.has_header = false, .label = 0}), reading,
           "line 1, column 1: it is empty", fill_in, file("0,")},
          {"text for a number", load_flowers, reading, "line 3, column 0 (\"length\"): \"NA\" is no number",
           correct, flower("NA,2,rose")},
          {"text after a number", load_flowers, reading,
           "line 3, column 0 (\"length\"): \"1.5 cm\" is no number", correct, flower("1.5 cm,2,rose")},
          {"a decimal comma", load_flowers, reading, "line 3, column 1 (\"width\"): \"2,5\" is no number",
           correct, flower("1,\"2,5\",rose")},
          {"a hexadecimal number", load_flowers, reading,
           "line 3, column 1 (\"width\"): \"0x1p3\" is no number", correct, flower("1,0x1p3,rose")},
          {"a NaN in a table", load_flowers, reading, "line 3, column 1 (\"width\"): \"nan\" is not finite",
           fill_in, flower("1,nan,rose")},
          {"an infinity in a table", load_flowers, reading,
           "line 3, column 0 (\"length\"): \"-inf\" is not finite", fill_in, flower("-inf,2,rose")},
          {"a number beyond float", load_flowers, reading,
           "line 3, column 0 (\"length\"): \"3.5e38\" is out of the range of float", "scale the column",
           flower("3.5e38,2,rose")},
          {"a number beyond double", load_flowers, reading,
           "line 3, column 0 (\"length\"): \"-1e999\" is out of the range of float", "scale the column",
           flower("-1e999,2,rose")},
          {"a target that is no number", load({.targets = {"species"}}), reading,
           "line 2, column 2 (\"species\"): \"rose\" is no number", correct, flower("1,2,3")},
          {"too few fields", load_flowers, reading,
           "line 3, column 1 (\"width\"): it is missing, and so are all after it", as_first, flower("1")},
          {"too many fields", load_flowers, reading, "line 3, column 3: the first line has only 3 columns",
           as_first, flower("1,2,rose,")},
          {"a line of an empty quoted field", load_flowers, reading,
           "line 3, column 1 (\"width\"): it is missing, and so are all after it", as_first, flower("\"\"")},
          {"a fault after a field of several lines", load_flowers, reading,
           "line 6, column 1 (\"width\"): \"?\" is no number", correct,
           flower("1,2,\"r\r\no\rse\"\n1,?,rose")},
          {"a fault in a field of several lines", load_flowers, reading,
           "line 3, column 0 (\"length\"): \"1\\x0a2\" is no number", correct, flower("\"1\n2\",2,rose")},
          {"a fault on a later line of a sample", load({.label = 0}), reading,
           "line 3, column 1 (\"x\"): \"?\" is no number", correct, file("y,x\n\"a\nb\",?\n")},
          {"a blank line within a table", load_flowers, reading, "line 3 is blank, and others follow it",
           "remove it", flower("\n\n1,2,rose")},
          {"a quote that is never closed", load_flowers, reading,
           "line 3, column 2 (\"species\"): its quote is never closed", "close it",
           flower("1,2,\"rose\n1,2,rose")},
          {"a quote within a field", load_flowers, reading,
           "line 3, column 2 (\"species\"): a quote stands in a field that does not begin with one",
           quote_all, flower("1,2,ro\"se")},
          {"text after a closing quote", load_flowers, reading,
           "line 3, column 2 (\"species\"): text follows the closing quote", quote_all,
           flower("1,2,\"ro\"se")},
          {"a line without end", load_flowers, reading, "line 3 has more than 16777216 bytes",
           "close its quotes, or give a table with a line for each sample",
           flower("1,2,\"" + std::string(16'777'215, 'r') + "\"")},
          {"a line of separators without end", load_flowers, reading, "line 1 has more than 1048576 fields",
           "close its quotes, or give a table with a line for each sample",
           file(gzip(std::string(1'048'576, ','), Z_BEST_COMPRESSION))},
          {"a label that is text among numbers", load(last_is_label), reading,
           "line 3, column 1 (\"y\"): \"?\" is no number of a class, and the labels before it are",
           list_classes, file("x,y\n1,0\n2,?\n")},
          {"a negative label among numbers", load(last_is_label), reading,
           "line 3, column 1 (\"y\"): \"-1\" is no number of a class, and the labels before it are",
           list_classes, file("x,y\n1,1\n2,-1\n")},
          {"a label that is a number among texts", load_flowers, reading,
           "line 3, column 2 (\"species\"): \"3\" is the number of a class, and the labels before it are "
           "texts",
           list_classes, flower("1,2,3")},
          {"a label that is a number and no whole one", load(last_is_label), reading,
           "line 2, column 1 (\"y\"): \"10.0\" is a number, but no whole one from 0", list_classes,
           file("x,y\n1,10.0\n2,2.0\n")},
          {"a class given twice", load({.label = "species", .classes = {"a", "b", "c", "b"}}), reading,
           "the class \"b\" is given twice", "give each class once", file(flowers)},
          {"a label that is none of the classes", load({.label = "species", .classes = {"rose", "dahlia"}}),
           reading, "line 3, column 2 (\"species\"): \"Rose\" is none of the classes",
           "correct it, or add it to csv_options.classes", flower("1,2,Rose")},
          {"a column that is not there", load({.label = 3}), reading, "there is no column 3 of 3",
           "count columns from 0, or back from the last, -1", file(flowers)},
          {"a column before the first", load({.label = -4}), reading, "there is no column -4 of 3",
           "count columns from 0, or back from the last, -1", file(flowers)},
          {"a name that no column has", load({.label = "Species"}), reading,
           "no column is called \"Species\"", "name one of \"length\", \"width\", \"species\"",
           file(flowers)},
          {"a name that two columns have", load({.label = "a"}), reading, "two columns are called \"a\"",
           "give the column's number", file("a,b,a\n1,2,3\n")},
          {"a name in a table without names", load({.has_header = false, .label = "species"}), reading,
           "the column \"species\" is wanted, and no line names the columns",
           "give its number, or set csv_options.has_header", file(flowers)},
          {"a column chosen twice", load({.label = "species", .ignored = {2}}), reading,
           "column 2 (\"species\") is chosen twice", "name it once among label, targets and ignored",
           file(flowers)},
          {"no column chosen", load({}), reading, "no label or targets are chosen",
           "set csv_options.label or csv_options.targets", file(flowers)},
          {"a label and targets chosen", load({.label = 2, .targets = {1}}), reading,
           "both a label and targets are chosen", "set csv_options.label or csv_options.targets",
           file(flowers)},
          {"no column left", load({.label = 2, .ignored = {0, 1}}), reading,
           "no column is left for the features", "choose fewer columns", file(flowers)},
          {"a quote for a separator", load({.separator = '"', .label = 2}), reading,
           "a quote or a line break cannot separate its fields", "set csv_options.separator", file(flowers)},
      });
}

}  // namespace
