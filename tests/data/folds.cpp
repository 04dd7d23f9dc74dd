// Folds for cross-validation.
#include "support/catch.hpp"

#include <plexus/data/folds.hpp>

#include <iterator>
#include <type_traits>

namespace {

namespace px = plexus;

static_assert(std::input_iterator<px::folds::iterator>);
// Data that die at the end of the line are refused by the compiler.
static_assert(std::is_constructible_v<px::folds, px::dataset&, int, px::seed>);
static_assert(!std::is_constructible_v<px::folds, px::dataset, int, px::seed>);

// Sample i has the input i; the labels 0, 1, 2 come in the parts 1/2, 1/3, 1/6.
px::dataset numbered(int size) {
  px::dataset data{.features = 1, .outputs = 3};
  for (int i = 0; i < size; ++i) {
    data.inputs.push_back(static_cast<float>(i));
    data.labels.push_back(i % 6 < 3 ? 0 : i % 6 < 5 ? 1 : 2);
  }
  return data;
}

int of_class(const px::dataset& data, int label) {
  return static_cast<int>(std::ranges::count(data.labels, label));
}

bool whole_samples(const px::dataset& data) {
  const px::dataset all = numbered(1000);
  for (std::size_t i = 0; i < data.inputs.size(); ++i) {
    if (data.labels[i] != all.labels[static_cast<std::size_t>(data.inputs[i])]) return false;
  }
  return data.labels.size() == data.inputs.size() && data.outputs == 3;
}

TEST_CASE("each sample validates in one fold and trains in the others") {
  const px::dataset data = numbered(103);
  for (const bool stratified : {false, true}) {
    std::vector<float> validated;
    int count = 0;
    for (const auto& [training, validation] : px::folds(data, 5, px::seed{1}, {.stratified = stratified})) {
      ++count;
      CHECK((validation.size() == 20 || validation.size() == 21));
      CHECK(whole_samples(training));
      CHECK(whole_samples(validation));
      CHECK(std::ranges::is_sorted(training.inputs));  // in the order of the data
      CHECK(std::ranges::is_sorted(validation.inputs));
      std::vector<float> both = training.inputs;
      both.insert(both.end(), validation.inputs.begin(), validation.inputs.end());
      std::ranges::sort(both);
      CHECK(both == data.inputs);
      validated.insert(validated.end(), validation.inputs.begin(), validation.inputs.end());
    }
    CHECK(count == 5);
    std::ranges::sort(validated);
    CHECK(validated == data.inputs);
  }
}

TEST_CASE("stratified folds have each class in the same part") {
  const px::dataset data = numbered(100);  // 51, 33 and 16 samples of the classes
  for (const auto& [training, validation] : px::folds(data, 4, px::seed{2}, {.stratified = true})) {
    CHECK((of_class(validation, 0) == 12 || of_class(validation, 0) == 13));
    CHECK((of_class(validation, 1) == 8 || of_class(validation, 1) == 9));
    CHECK(of_class(validation, 2) == 4);
    CHECK(validation.size() == 25);
    CHECK(training.size() == 75);
  }
}

TEST_CASE("folds are drawn by the seed") {
  const px::dataset data = numbered(60);
  for (const bool stratified : {false, true}) {
    const auto first_fold = [&](std::uint64_t seed) {
      return px::folds(data, 3, px::seed{seed}, {.stratified = stratified})[0].validation.inputs;
    };
    CHECK(first_fold(1) == first_fold(1));
    CHECK(first_fold(1) != first_fold(2));
  }
  CHECK(px::folds(data, 3, px::seed{1})[0].validation.inputs !=
        px::folds(data, 3, px::seed{1})[1].validation.inputs);
}

TEST_CASE("with as many folds as samples, each validates alone; targets stay with their samples") {
  px::dataset data = numbered(7);
  data.labels.clear();
  data.outputs = 1;
  for (const float x : data.inputs) data.targets.push_back(10 * x);
  const px::folds alone(data, 7, px::seed{1});
  CHECK(alone.size() == 7);
  for (int number = 0; number < alone.size(); ++number) {
    const px::fold one = alone[number];
    CHECK(one.training.size() == 6);
    REQUIRE(one.validation.size() == 1);
    CHECK(one.validation.targets[0] == 10 * one.validation.inputs[0]);
  }
}

}  // namespace
