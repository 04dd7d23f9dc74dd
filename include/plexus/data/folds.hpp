// A set in k parts for cross-validation: each part validates once, and all others train.
#pragma once

#include <plexus/data/split.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

struct fold {
  dataset training;
  dataset validation;
};

struct fold_options {
  bool stratified = false;  // each fold validates on as many samples of a class as any other, or one more
};

// for (const auto& [training, validation] : folds(data, 5, seed{1})): each sample validates in one of `count`
// folds, drawn at random, whose sizes differ by one at most. In both parts samples keep their order.
//
// A fold is copied when it is asked for; until then there is only its number for each sample. `data` must
// outlive this object.
class folds {
 public:
  // Throws plexus::error where the data are not valid, where there are fewer than two folds or more than
  // samples, and where data without labels are to be stratified.
  folds(const dataset& data, int count, seed random, fold_options options = {})
      : data_(&data), count_(count) {
    data.validate();
    require_use(options);
    fold_of_.resize(static_cast<std::size_t>(data.size()));
    constexpr std::uint64_t stream = 0x666f6c6473;  // "folds": no other use of the seed draws these numbers
    std::vector<int> order = shuffled(data.size(), random_stream{random.value, stream});
    // Dealt out in turn, every run of samples is shared out evenly: all of them, and so each class.
    if (options.stratified) std::ranges::stable_sort(order, {}, [&](int sample) { return label(sample); });
    int next = 0;
    for (const int sample : order) fold_of_[static_cast<std::size_t>(sample)] = next++ % count_;
  }
  folds(const dataset&&, int, seed, fold_options = {}) = delete;  // it would not outlive this object

  int size() const { return count_; }

  // Fold `number`, counted from 0.
  fold operator[](int number) const {
    if (number < 0 || number >= count_) {
      throw error("taking a fold of a dataset",
                  "there is no fold " + std::to_string(number) + " of " + std::to_string(count_),
                  "count folds from 0");
    }
    std::vector<int> training, validation;
    for (int sample = 0; sample < data_->size(); ++sample) {
      (fold_of_[static_cast<std::size_t>(sample)] == number ? validation : training).push_back(sample);
    }
    return {select(*data_, training), select(*data_, validation)};
  }

  class iterator {
   public:
    using value_type = fold;
    using difference_type = std::ptrdiff_t;

    iterator(const folds& all, int number) : all_(&all), number_(number) {}
    fold operator*() const { return (*all_)[number_]; }
    iterator& operator++() {
      ++number_;
      return *this;
    }
    void operator++(int) { ++number_; }
    bool operator==(const iterator&) const = default;

   private:
    const folds* all_;
    int number_;
  };
  iterator begin() const { return {*this, 0}; }
  iterator end() const { return {*this, count_}; }

 private:
  int label(int sample) const { return data_->labels[static_cast<std::size_t>(sample)]; }

  void require_use(const fold_options& options) const {
    const char* doing = "dividing a dataset into folds";
    if (count_ < 2) {
      throw error(doing, std::to_string(count_) + " folds leave nothing to train on", "take at least two");
    }
    if (count_ > data_->size()) {
      throw error(
          doing,
          std::to_string(count_) + " folds of " + std::to_string(data_->size()) + " samples leave one empty",
          "take no more folds than samples");
    }
    require(!options.stratified || !data_->labels.empty(), doing,
            "they are to be stratified, and the data set has targets and no labels",
            "give one with labels, or do not stratify");
  }

  const dataset* data_;
  int count_;
  std::vector<int> fold_of_;  // the fold that each sample validates in
};

}  // namespace plexus::inline PLEXUS_ABI
