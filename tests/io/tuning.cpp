// Files of tuning choices: what is saved is loaded, and what else they may hold is refused.
#include "support/bad_input.hpp"

#include <plexus/io/tuning.hpp>

namespace {

using namespace support;
namespace fs = std::filesystem;
namespace px = plexus;
using px::element_type, px::gemm_way, px::layout;

// That every program has.
px::gemm_choices two_choices() {
  px::gemm_choices choices;
  choices.set({{layout::nt, element_type::fp32, {8, 10, 300}},
               {{{{}, 1, gemm_way::native}, 0.25f}, {{{}, 1, gemm_way::loops}, 0.5f}}});
  choices.set({{layout::tn, element_type::bf16, {20, 3, 400}}, {{{{}, 1, gemm_way::loops}, 1.5f}}});
  return choices;
}

px::gemm_choices all_kinds_of_choices() {
  px::gemm_choices choices = two_choices();
  if (px::has_vendor_blas) {
    choices.set({{layout::nn, element_type::fp16, {1, 2, 3}}, {{{{}, 1, gemm_way::vendor}, 0}}});
  }
  if (!px::platform::on_cpu) {
    choices.set({{layout::nn, element_type::tf32, {64, 64, 512}}, {{{px::gemm_tile::medium, 4}, 2}}});
    choices.set({{layout::nn, element_type::fp32, {100, 64, 512}}, {{{px::gemm_tile::tall, 1}, 2}}});
  }
  return choices;
}

// The file of two choices, with `from` in it replaced by `to`.
folder_action file_with(const std::string& from, const std::string& to) {
  return [=](const fs::path& folder) {
    px::save_tuning(two_choices(), folder / "tuning");
    std::string text = read_file(folder / "tuning");
    const std::size_t at = text.find(from);
    if (at == std::string::npos) throw std::runtime_error("there is no " + from);
    write_file(folder / "tuning", text.replace(at, from.size(), to));
  };
}

folder_action file(const std::string& bytes) {
  return [=](const fs::path& folder) { write_file(folder / "tuning", bytes); };
}

void load(const fs::path& folder) { px::load_tuning(folder / "tuning"); }
void save(const fs::path& path) { px::save_tuning(two_choices(), path); }

const std::string reading = "reading the tuning file 'FOLDER/tuning'";
const std::string writing = "writing the tuning file 'FOLDER/tuning'";
const std::string again = "tune and save again";
const std::string saved = "give a file that save_tuning() wrote";

}  // namespace

TEST_CASE("Choices are the same after saving and loading") {
  const temporary_folder folder;
  const px::gemm_choices before = all_kinds_of_choices();
  px::save_tuning(before, folder / "tuning");
  const px::gemm_choices loaded = px::load_tuning(folder / "tuning");
  REQUIRE(loaded.products().size() == before.products().size());
  for (std::size_t i = 0; i < before.products().size(); ++i) {
    CHECK(loaded.products()[i].product == before.products()[i].product);
    REQUIRE(loaded.products()[i].candidates.size() == 1);
    CHECK(loaded.products()[i].candidates[0].choice == before.products()[i].candidates[0].choice);
    CHECK(loaded.products()[i].candidates[0].ms == before.products()[i].candidates[0].ms);
  }
  px::save_tuning(loaded, folder / "again");
  CHECK(read_file(folder / "again") == read_file(folder / "tuning"));

  px::save_tuning({}, folder / "tuning");  // over the other
  CHECK(px::load_tuning(folder / "tuning").products().empty());
  CHECK(contents(folder.path()).size() == 2);
}

TEST_CASE("A tuning file of which any part is missing, or any byte another, is refused or harmless") {
  const temporary_folder folder;
  save(folder / "whole");
  const std::string whole = read_file(folder / "whole");
  for (std::size_t size = 0; size + 1 < whole.size(); ++size) {  // the last byte is the end of a line
    write_file(folder / "part", whole.substr(0, size));
    CHECK_THROWS_AS(px::load_tuning(folder / "part"), px::error);
  }
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const char other : {'\0', '9', '"', '\xff', ' '}) {
      std::string changed = whole;
      changed[i] = other;
      write_file(folder / "changed", changed);
      const std::string message = error_message([&] { px::load_tuning(folder / "changed"); });
      CHECK((message.starts_with("reading the tuning file") || message == "nothing was thrown"));
    }
  }
}

TEST_CASE("bad input: tuning files", "[bad_input]") {
  check_bad_inputs(
      "tuning files",
      {
          {"a missing tuning file", load, reading, "there is no such file", "check the path"},
          {"an empty tuning file", load, reading, "it is not valid JSON near byte 1", again, file("")},
          {"a tuning file that breaks off", load, reading, "it is not valid JSON near byte 21", again,
           file("{\"plexus_tuning\": 1,")},
          {"weights for a tuning file", load, reading, "it is not valid JSON near byte 1", again,
           file("\x40" + std::string(7, '\0') + "{}")},
          {"a tuning file of more than a megabyte", load, reading,
           "it has 1048577 bytes, more than any tuning file", saved, file(std::string(1048577, '['))},
          {"half a megabyte of brackets", load, reading, "it has no \"plexus_tuning\" of 1", saved,
           file(std::string(500000, '[') + std::string(500000, ']'))},
          {"another JSON file", load, reading, "it has no \"plexus_tuning\" of 1", saved, file("{}")},
          {"a tuning file of a later version", load, reading, "it has no \"plexus_tuning\" of 1", saved,
           file_with("\"plexus_tuning\": 1", "\"plexus_tuning\": 2")},
          {"the tuning of another device", load, reading,
           "it is of the device \"A GPU of yours\" of capability 75, which this is not",
           "tune on this device",
           file("{\"plexus_tuning\": 1, \"device\": \"A GPU of yours\", "
                "\"capability\": 75, \"products\": []}")},
          {"a device without a name", load, reading, "the file has no device", again,
           file("{\"plexus_tuning\": 1, \"capability\": 75, \"products\": []}")},
          {"a capability that is text", load, reading,
           "the capability of the file is no whole number from 1 to 1073741824", again,
           file("{\"plexus_tuning\": 1, \"device\": \"A GPU\", \"capability\": \"7.5\"}")},
          {"a tuning file without products", load, reading, "it has no list \"products\"", again,
           file_with("products", "prodacts")},
          {"a product that is a number", load, reading, "product 1 has no layout", again,
           file_with("[", "[5,")},
          {"a product without a type", load, reading, "product 2 has no type", again,
           file_with("\"type\":\"bf16\"", "\"typo\":\"bf16\"")},
          {"an unknown layout", load, reading, "product 1 has the unknown layout \"tt\"", again,
           file_with("\"nt\"", "\"tt\"")},
          {"an unknown type", load, reading, "product 2 has the unknown type \"fp8\"", again,
           file_with("\"bf16\"", "\"fp8\"")},
          {"a layout that is no text", load, reading, "the layout of product 1 is no string", again,
           file_with("\"nt\"", "[\"nt\"]")},
          {"a size of zero", load, reading, "the m of product 1 is no whole number from 1 to 1073741824",
           again, file_with("\"m\":8", "\"m\":0")},
          {"a negative size in a product", load, reading,
           "the n of product 1 is no whole number from 1 to 1073741824", again,
           file_with("\"n\":10", "\"n\":-10")},
          {"a size beyond all memory", load, reading,
           "the k of product 1 is no whole number from 1 to 1073741824", again,
           file_with("\"k\":300", "\"k\":18446744073709551615")},
          {"a number beyond double in a tuning file", load, reading,
           "it has a number beyond the range of double", again, file_with("\"k\":300", "\"k\":1e999")},
          {"a fractional number of slices", load, reading,
           "the slices of product 1 is no whole number from 1 to 1073741824", again,
           file_with("\"slices\":1", "\"slices\":1.5")},
          {"a negative time", load, reading, "the ms of product 1 are no time", again,
           file_with("\"ms\":0.25", "\"ms\":-0.25")},
          {"an endless time", load, reading, "the ms of product 1 are no time", again,
           file_with("\"ms\":0.25", "\"ms\":1e300")},
          {"an unknown tile", load, reading, "product 1 names the unknown kernel \"1024 x 1024\"",
           "tune with this version of plexus", file_with("\"native\"", "\"1024 x 1024\"")},
          {"more slices than there is memory for", load, reading,
           "product 1, nt fp32 8 × 10 × 300, goes by 32 x 32 in 1073741824 slices of k, which is no way of "
           "this program",
           "tune with this program",
           file_with("\"native\",\"slices\":1", "\"32 x 32\",\"slices\":1073741824")},
          {"loops over a large product", load, reading,
           "product 2, tn bf16 20 × 3 × 1073741824, goes by loops, which is no way of this program",
           "tune with this program", file_with("\"k\":400", "\"k\":1073741824")},
          {"a product twice", load, reading, "product 2, nt fp32 8 × 10 × 300, is there already", again,
           [](const fs::path& folder) {
             save(folder / "tuning");
             std::string text = read_file(folder / "tuning");
             const std::size_t begin = text.find("\n  {"), end = text.find('}', begin) + 1;
             write_file(folder / "tuning", text.insert(begin, text.substr(begin, end - begin) + ","));
           }},
          {"a missing folder for a tuning file", [](const fs::path& folder) { save(folder / "runs/tuning"); },
           "writing the tuning file 'FOLDER/runs/tuning'", "the folder 'FOLDER/runs' does not exist",
           "create it first"},
          {"no room for a tuning file",
           [](const fs::path& folder) {
             const file_size_limit limit(100);
             save(folder / "tuning");
           },
           writing, "the file would be larger than this process may write",
           "raise the file size limit (ulimit -f); nothing was changed", file("the old file")},
      });
}
