// A set in two: for training and for validation.
#pragma once

#include <plexus/core/random.hpp>
#include <plexus/data/dataset.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

struct split_dataset {
  dataset first;
  dataset second;
};

// The chosen samples, in the order of `rows`.
inline dataset select(const dataset& data, std::span<const int> rows) {
  dataset result{.features = data.features, .outputs = data.outputs};
  const auto append_row = [](auto& to, const auto& from, int row, int width) {
    const auto begin = from.begin() + static_cast<std::ptrdiff_t>(row) * width;
    to.insert(to.end(), begin, begin + width);
  };
  result.inputs.reserve(rows.size() * static_cast<std::size_t>(data.features));
  for (const int row : rows) {
    if (row < 0 || row >= data.size()) {
      throw error("selecting samples",
                  "there is no sample " + std::to_string(row) + " of " + std::to_string(data.size()),
                  "count samples from 0");
    }
    append_row(result.inputs, data.inputs, row, data.features);
    if (!data.labels.empty()) append_row(result.labels, data.labels, row, 1);
    if (!data.weights.empty()) append_row(result.weights, data.weights, row, 1);
    if (!data.targets.empty()) append_row(result.targets, data.targets, row, data.outputs);
  }
  return result;
}

// Puts `first_size` samples, drawn at random without replacement, into the first part and the others into the
// second. Neither may be empty.
inline split_dataset split(const dataset& data, int first_size, seed random) {
  data.validate();
  const int size = data.size();
  if (first_size <= 0 || first_size >= size) {
    throw error("splitting a dataset",
                std::to_string(first_size) + " of " + std::to_string(size) + " samples leave one part empty",
                "take at least one and not all");
  }
  constexpr std::uint64_t stream = 0x73706c6974;  // "split": no other use of the seed draws the same numbers
  const std::vector<int> order = shuffled(size, random_stream{random.value, stream});
  const auto count = static_cast<std::size_t>(first_size);
  return {select(data, std::span(order).first(count)), select(data, std::span(order).subspan(count))};
}

// The same with the first part's size as a fraction of the whole, rounded to the nearest number of samples.
inline split_dataset split(const dataset& data, double first_fraction, seed random) {
  if (!(first_fraction > 0 && first_fraction < 1)) {
    throw error("splitting a dataset", "the fraction is " + std::to_string(first_fraction),
                "give one between 0 and 1, or a number of samples as an int");
  }
  return split(data, static_cast<int>(std::lround(first_fraction * data.size())), random);
}

}  // namespace plexus::inline PLEXUS_ABI
