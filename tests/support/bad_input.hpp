// The table of bad input: each case is run, its message compared word by word, and docs/bad_input.md must say
// the same.
#pragma once

#include "support/catch.hpp"
#include "support/files.hpp"

#include <plexus/core/error.hpp>

#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace support {

using folder_action = std::function<void(const std::filesystem::path& folder)>;

// One row. The action gets a folder of its own; where its path stands in the message, the row says FOLDER.
// `prepare` makes the files that the action is given: the action itself must leave the folder as it found it.
struct bad_input {
  std::string name;
  folder_action action;
  std::string doing, wrong, remedy;
  folder_action prepare{};

  std::string message() const { return doing + ": " + wrong + "; " + remedy; }
  std::string row() const { return "| " + name + " | " + doing + " | " + wrong + " | " + remedy + " |"; }
};

inline std::string with_placeholder(std::string text, const std::string& folder) {
  for (std::size_t at = text.find(folder); at != std::string::npos; at = text.find(folder, at)) {
    text.replace(at, folder.size(), "FOLDER");
  }
  return text;
}

// What `act` throws as plexus::error, or a text that says that it does not.
template <class Act>
std::string error_message(Act&& act) {
  try {
    act();
  } catch (const plexus::error& thrown) {
    return thrown.what();
  } catch (const std::exception& other) {
    return "not a plexus::error but: " + std::string(other.what());
  }
  return "nothing was thrown";
}

// The rows of the table below the heading "## <section>" of docs/bad_input.md.
inline std::multiset<std::string> documented_rows(const std::string& section) {
  std::istringstream lines(
      read_file(std::filesystem::path(PLEXUS_TESTS_DIR).parent_path() / "docs/bad_input.md"));
  std::multiset<std::string> rows;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("## ")) inside = line == "## " + section;
    const bool is_row =
        line.starts_with("| ") && !line.starts_with("| case |") && !line.starts_with("| --- |");
    if (inside && is_row) rows.insert(line);
  }
  return rows;
}

inline void check_bad_inputs(const std::string& section, const std::vector<bad_input>& cases) {
  std::vector<std::string> undocumented;
  std::set<std::string> names;
  std::multiset<std::string> stale = documented_rows(section);
  for (const bad_input& one : cases) {
    INFO("bad input: " << one.name);
    const temporary_folder folder;
    if (one.prepare) one.prepare(folder.path());
    const auto before = contents(folder.path());
    const std::string message = error_message([&] { one.action(folder.path()); });
    CHECK(with_placeholder(message, folder.path().string()) == one.message());
    CHECK(contents(folder.path()) == before);
    CHECK(names.insert(one.name).second);
    const auto documented = stale.find(one.row());
    if (documented == stale.end()) {
      undocumented.push_back(one.row());
    } else {
      stale.erase(documented);
    }
  }
  INFO("the rows of docs/bad_input.md, section " << section);
  for (const std::string& row : undocumented) FAIL_CHECK("missing: " << row);
  for (const std::string& row : stale) FAIL_CHECK("no such case: " << row);
}

}  // namespace support
