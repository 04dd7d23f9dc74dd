// Every file of the corpora through its reader: what fuzzing began with, and what it has found.
#include "fuzz/targets.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

namespace {

TEST_CASE("files of the fuzzers' corpora are taken or refused") {
  for (const fuzz::target& target : fuzz::targets) {
    int taken = 0, refused = 0;
    const auto folder = std::filesystem::path(PLEXUS_TESTS_DIR) / "fuzz/corpus" / target.name;
    for (const auto& [name, content] : support::contents(folder)) {
      INFO(target.name << "/" << name);
      bool accepted = false;
      CHECK_NOTHROW(accepted = fuzz::accepts(target.read, support::bytes_of(content)));
      ++(accepted ? taken : refused);
    }
    INFO(target.name);
    CHECK(taken > 0);
    CHECK(refused > 0);
  }
}

}  // namespace
