// Splitting and normalising.
#include "support/catch.hpp"

#include <plexus/data/normalize.hpp>
#include <plexus/data/split.hpp>

#include <set>

namespace {

namespace px = plexus;

// Sample i is (i, −i) with label i % 3, so that each sample can be known again.
px::dataset numbered(int size) {
  px::dataset data;
  data.features = 2;
  data.outputs = 3;
  for (int i = 0; i < size; ++i) {
    data.inputs.push_back(static_cast<float>(i));
    data.inputs.push_back(static_cast<float>(-i));
    data.labels.push_back(i % 3);
  }
  return data;
}

std::vector<int> numbers_of(const px::dataset& data) {
  std::vector<int> numbers;
  for (int i = 0; i < data.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    numbers.push_back(static_cast<int>(data.inputs[2 * at]));
    CHECK(data.inputs[2 * at + 1] == -data.inputs[2 * at]);
    CHECK(data.labels[at] == numbers.back() % 3);
  }
  return numbers;
}

TEST_CASE("split puts each sample into one part, with its label") {
  const px::split_dataset parts = px::split(numbered(101), 80, px::seed{3});
  CHECK(parts.first.size() == 80);
  CHECK(parts.second.size() == 21);
  std::vector<int> all = numbers_of(parts.first);
  const std::vector<int> rest = numbers_of(parts.second);
  const std::vector<int> unshuffled = numbers_of(numbered(80));
  CHECK(all != unshuffled);
  all.insert(all.end(), rest.begin(), rest.end());
  CHECK(std::set<int>(all.begin(), all.end()).size() == 101);
  CHECK(parts.first.outputs == 3);
}

TEST_CASE("split is a function of its seed") {
  const auto first_part = [](std::uint64_t seed) {
    return px::split(numbered(50), 25, px::seed{seed}).first.inputs;
  };
  CHECK(first_part(1) == first_part(1));
  CHECK(first_part(1) != first_part(2));
}

TEST_CASE("split takes a fraction, and targets as well as labels") {
  px::dataset data = numbered(10);
  data.labels.clear();
  for (int i = 0; i < 30; ++i) data.targets.push_back(static_cast<float>(i / 3));
  const px::split_dataset parts = px::split(data, 0.25, px::seed{1});
  CHECK(parts.first.size() == 3);
  for (std::size_t i = 0; i < 7; ++i) {
    for (std::size_t j = 0; j < 3; ++j) CHECK(parts.second.targets[3 * i + j] == parts.second.inputs[2 * i]);
  }
  CHECK(parts.second.targets.size() == 21);
}

TEST_CASE("normalisation gives each feature mean 0 and deviation 1") {
  px::dataset data = numbered(1500);
  data.features = 3;
  data.labels.resize(1000);
  for (std::size_t i = 0; i < data.inputs.size(); ++i) data.inputs[i] = px::random_stream{5}.normal(i);
  for (std::size_t i = 0; i < data.inputs.size(); i += 3) {
    data.inputs[i] = 1000 + 0.5f * data.inputs[i];  // far from zero: what a one-pass formula gets wrong
    data.inputs[i + 2] = 0.1f;                      // constant
  }
  const px::normalization learnt = px::normalization::per_feature(data);
  px::dataset normalized = data;
  learnt.apply(normalized);
  for (std::size_t j = 0; j < 2; ++j) {
    double sum = 0, squares = 0;
    for (std::size_t i = j; i < normalized.inputs.size(); i += 3) {
      sum += normalized.inputs[i];
      squares += double{normalized.inputs[i]} * normalized.inputs[i];
    }
    CHECK(sum / 1000 == Approx(0).margin(2e-4));
    CHECK(squares / 1000 == Approx(1).margin(1e-3));
  }
  CHECK(learnt.mean()[0] == Approx(1000).margin(0.1));
  CHECK(learnt.deviation()[0] == Approx(0.5).margin(0.05));
  for (std::size_t i = 2; i < normalized.inputs.size(); i += 3) CHECK(normalized.inputs[i] == 0);
}

TEST_CASE("normalisation is learnt from one set and applied to another") {
  px::dataset learnt_from;
  learnt_from.features = 2;
  learnt_from.outputs = 1;
  learnt_from.inputs = {1, 10, 3, 30};
  learnt_from.labels = {0, 0};
  px::dataset other = learnt_from;
  other.inputs = {5, 50, 0, 0};

  px::normalization::per_feature(learnt_from).apply(other);  // means 2 and 20, deviations 1 and 10
  CHECK(other.inputs == std::vector<float>{3, 3, -2, -2});

  other.inputs = {11, 11, 11, 11};
  const px::normalization global =
      px::normalization::global(learnt_from);  // mean 11, variance (100 + 1 + 64 + 361) / 4
  CHECK(global.mean() == std::vector<float>{11});
  CHECK(global.deviation()[0] == Approx(std::sqrt(131.5)));
  global.apply(other);
  CHECK(other.inputs == std::vector<float>{0, 0, 0, 0});
}

}  // namespace
