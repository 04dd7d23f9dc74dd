// How many classes the labels of a file have.
#pragma once

#include <plexus/core/error.hpp>

#include <algorithm>
#include <span>
#include <string>

namespace plexus::inline PLEXUS_ABI {

// `asked`, or where that is 0 the largest of the labels (n > 0) + 1. Throws where it is negative, or a label
// is none of so many classes; `setting` is what the caller asks by.
inline int class_count(std::span<const int> labels, int asked, const std::string& doing,
                       const std::string& setting) {
  if (asked < 0) {
    throw error(doing, setting + " is " + std::to_string(asked),
                "set it to the number of classes, or to 0 for the largest label + 1");
  }
  const int count = asked > 0 ? asked : *std::ranges::max_element(labels) + 1;
  require_labels(labels, count, doing, {}, setting);
  return count;
}

}  // namespace plexus::inline PLEXUS_ABI
