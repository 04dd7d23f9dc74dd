// Training on what does not lie in device memory: the same bits, whatever the thread that prepares batches
// does.
#include <plexus/data/augmented.hpp>
#include <plexus/data/dataset_source.hpp>
#include <plexus/plexus.hpp>

#include "support/bad_input.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"

#include <atomic>
#include <chrono>
#include <limits>
#include <map>
#include <stdexcept>
#include <thread>

namespace px = plexus;

namespace {

using classifier = px::network<px::input<6>, px::dense<16, px::relu>, px::dense<4>>;
using linear_model = px::network<px::input<3>, px::dense<2>>;
using values = std::vector<std::vector<float>>;

constexpr px::sgd optimizer{.rate = 0.1f, .momentum = 0.9f};

template <class Data>
values trained_on(const Data& data, const px::fit_options& options) {
  classifier net{px::seed{7}};
  px::fit(net, data, px::softmax_cross_entropy{}, optimizer, options);
  return support::parameter_values(net);
}

// A source that does something else before it fills a batch.
template <class Before>
class watched : public px::dataset_source {
 public:
  watched(const px::dataset& data, Before before) : dataset_source(data), before_(std::move(before)) {}
  void fill(std::uint64_t epoch, std::span<const int> samples, const px::batch_view& to) const override {
    before_(epoch, samples);
    dataset_source::fill(epoch, samples, to);
  }

 private:
  Before before_;
};

// Longer than fit lets pass between two reports of progress.
constexpr auto time_to_report = std::chrono::milliseconds(120);

// Waits for what another thread does; false where it does not.
template <class Condition>
bool comes_true(Condition condition) {
  for (int tries = 0; tries < 10'000; ++tries) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

}  // namespace

TEST_CASE("Training from a source of batches is training from memory, bit for bit", "[train]") {
  const px::dataset data = support::largest_feature(150, 6, 4);
  // 150 samples in batches of 32 end in a short one; one batch is all; more slots than batches.
  for (const int batch : {1, 32, 50, 150}) {
    CAPTURE(batch);
    const px::fit_options options{.epochs = 3, .batch = batch, .order = {3}};
    CHECK(trained_on(px::dataset_source(data), options) == trained_on(data, options));
  }
  const px::fit_options in_order{.epochs = 2, .batch = 16, .shuffle = false};
  CHECK(trained_on(px::dataset_source(data), in_order) == trained_on(data, in_order));
}

TEST_CASE("Targets of a source are those of the data set", "[train]") {
  const px::dataset data = support::random_targets(45, 3, 2);
  linear_model from_source{px::seed{1}}, from_memory{px::seed{1}};
  const px::fit_options options{.epochs = 3, .batch = 10, .validation = &data};
  const px::history a = px::fit(from_source, px::dataset_source(data), px::quadratic{}, optimizer, options);
  const px::history b = px::fit(from_memory, data, px::quadratic{}, optimizer, options);
  CHECK(support::parameter_values(from_source) == support::parameter_values(from_memory));
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(a.epochs[i].loss == b.epochs[i].loss);
    CHECK(a.epochs[i].validation_loss == b.epochs[i].validation_loss);
  }
}

TEST_CASE("Judging a source is judging the data set", "[train]") {
  for (const int size : {10, 301, 700}) {
    const px::dataset data = support::largest_feature(size, 6, 4);
    classifier net{px::seed{1}};
    const px::evaluation from_source =
        px::evaluate(net, px::dataset_source(data), px::softmax_cross_entropy{});
    const px::evaluation from_memory = px::evaluate(net, data, px::softmax_cross_entropy{});
    CHECK(from_source.loss == from_memory.loss);
    CHECK(from_source.accuracy == from_memory.accuracy);
  }
}

TEST_CASE("Validation on a source is validation on the data set", "[train]") {
  const px::dataset data = support::largest_feature(60, 6, 4),
                    others = support::largest_feature(301, 6, 4, 8);
  const px::dataset_source source(others);
  const auto train = [&](px::validation_data validation) {
    classifier net{px::seed{7}};
    return px::fit(net, data, px::softmax_cross_entropy{}, optimizer,
                   {.epochs = 3, .batch = 8, .validation = validation});
  };
  const px::history from_source = train(&source), from_memory = train(&others);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(from_source.epochs[i].loss == from_memory.epochs[i].loss);
    REQUIRE(from_source.epochs[i].validation_loss);
    CHECK(from_source.epochs[i].validation_loss == from_memory.epochs[i].validation_loss);
    CHECK(from_source.epochs[i].validation_accuracy == from_memory.epochs[i].validation_accuracy);
  }
  CHECK(!train(nullptr).epochs[0].validation_loss);
}

TEST_CASE("A slow source changes nothing", "[train]") {
  const px::dataset data = support::largest_feature(60, 6, 4);
  const px::fit_options options{.epochs = 2, .batch = 8};
  const watched slow(data, [](std::uint64_t, std::span<const int> samples) {
    if (samples[0] % 3 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  });
  CHECK(trained_on(slow, options) == trained_on(data, options));
}

TEST_CASE("Where training is slow, four batches are prepared ahead and no more", "[train]") {
  const px::dataset data = support::largest_feature(60, 6, 4);
  px::fit_options options{.epochs = 1, .batch = 8};
  const values expected = trained_on(data, options);
  std::atomic<int> fills = 0;
  const watched source(data, [&](std::uint64_t, std::span<const int>) {
    if (++fills == 1) std::this_thread::sleep_for(time_to_report);  // after the first step, that is
  });
  int trained = 0, ahead = 0;
  options.progress = [&](const px::training_progress& now) {
    if (trained != 0) return;
    trained = static_cast<int>(now.samples_done) / 8;
    CHECK(comes_true([&] { return fills == trained + 4; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // for a fifth, if there were one
    ahead = fills - trained;
  };
  CHECK(trained_on(source, options) == expected);
  CHECK(trained == 1);
  CHECK(ahead == 4);
}

TEST_CASE("The first batches of an epoch are prepared while the epoch before ends", "[train]") {
  const px::dataset data = support::largest_feature(60, 6, 4);
  px::fit_options options{.epochs = 2, .batch = 8};
  const values expected = trained_on(data, options);
  std::atomic<int> fills = 0;
  const watched source(data, [&](std::uint64_t, std::span<const int>) { ++fills; });
  options.on_epoch = [&](const px::epoch_record& record) {
    if (record.epoch == 1) CHECK(comes_true([&] { return fills == 8 + 4; }));
    return true;
  };
  CHECK(trained_on(source, options) == expected);
  CHECK(fills == 16);  // and none of a third
}

TEST_CASE("An epoch that is begun before the end of the one before it begins with its first sample",
          "[train]") {
  const px::dataset data = support::largest_feature(60, 6, 4);
  const px::dataset_source source(data);
  px::prefetcher batches(source, 8);
  const px::stream stream;
  batches.begin(stream.get(), px::in_order(60), 0);
  batches.expect([] { return px::in_order(60); }, 1);
  batches.next(stream.get(), 8);
  batches.begin(stream.get(), px::in_order(60), 1);
  batches.next(stream.get(), 8);
  const auto inputs = px::to_host(stream.get(), px::view<float>{batches.inputs(8).data, 8 * 6});
  CHECK(inputs == std::vector(data.inputs.begin(), data.inputs.begin() + 8 * 6));
}

TEST_CASE("What was prepared for an epoch that does not come is left behind", "[train]") {
  const px::dataset data = support::largest_feature(60, 6, 4);
  const auto train = [&](const auto& samples) {
    classifier net{px::seed{7}};
    const auto begin_anew = [&](const px::epoch_record& record) {
      if (record.epoch == 2) net.initialize(px::seed{8});  // its next epoch is number 0 again
      return true;
    };
    px::fit(net, samples, px::softmax_cross_entropy{}, optimizer,
            {.epochs = 4, .batch = 8, .on_epoch = begin_anew});
    return support::parameter_values(net);
  };
  CHECK(train(px::dataset_source(data)) == train(data));
}

TEST_CASE("A progress callback may evaluate on the source that is trained on", "[train]") {
  const px::dataset data = support::largest_feature(60, 6, 4);
  px::fit_options options{.epochs = 1, .batch = 8};
  const values expected = trained_on(data, options);
  std::atomic<int> fills = 0;
  std::atomic<bool> judging = false, met = false;
  const watched source(data, [&](std::uint64_t, std::span<const int> samples) {
    if (samples.size() > 8) {
      judging = true;
      return;
    }
    ++fills;
    if (fills == 2) std::this_thread::sleep_for(time_to_report);
    if (fills == 3) met = comes_true([&] { return judging.load(); });  // amid the third: two threads ask
  });
  classifier net{px::seed{7}};
  options.progress = [&](const px::training_progress& now) {
    if (now.epoch_finished || judging) return;
    const auto judged = [&](const auto& from) {
      return px::evaluate(net, from, px::softmax_cross_entropy{}).loss;
    };
    CHECK(judged(source) == judged(data));
  };
  px::fit(net, source, px::softmax_cross_entropy{}, optimizer, options);
  CHECK(support::parameter_values(net) == expected);
  CHECK(met);
}

TEST_CASE("A source is asked for every sample once an epoch, by the number of the network's epoch",
          "[train]") {
  const px::dataset data = support::largest_feature(50, 6, 4);
  std::map<std::uint64_t, std::vector<int>> asked;
  const watched source(data, [&](std::uint64_t epoch, std::span<const int> samples) {
    asked[epoch].insert(asked[epoch].end(), samples.begin(), samples.end());
  });
  classifier net{px::seed{1}};
  const auto train = [&](int epochs) {
    px::fit(net, source, px::softmax_cross_entropy{}, optimizer, {.epochs = epochs, .batch = 8});
  };
  train(2);
  train(1);
  REQUIRE(asked.size() == 3);
  CHECK(asked[0] != asked[1]);
  CHECK(asked[1] != asked[2]);
  for (auto& [epoch, samples] : asked) {
    CHECK(epoch < 3);
    std::ranges::sort(samples);
    for (std::size_t i = 0; i < 50; ++i) CHECK(samples.at(i) == static_cast<int>(i));
    CHECK(samples.size() == 50);
  }
}

TEST_CASE("What a source throws ends training with its message, after the batches before it", "[train]") {
  const px::dataset data = support::largest_feature(80, 6, 4);
  int batches = 0;
  const watched source(data, [&](std::uint64_t, std::span<const int>) {
    if (++batches == 8) throw std::runtime_error("the tape is torn");
  });
  classifier net{px::seed{1}};
  CHECK_THROWS_WITH(px::fit(net, source, px::softmax_cross_entropy{}, optimizer, {.epochs = 3, .batch = 10}),
                    "the tape is torn");
  CHECK(net.training_state().step == 7);
  batches = 100;  // the source is whole again
  px::fit(net, source, px::softmax_cross_entropy{}, optimizer, {.epochs = 1, .batch = 10});
  CHECK(net.training_state().step == 15);
}

TEST_CASE("Training that ends in the middle of an epoch leaves the thread behind at any point", "[train]") {
  const px::dataset data = support::largest_feature(100, 6, 4);
  for (std::uint64_t steps = 1; steps < 12; ++steps) {
    classifier net{px::seed{1}};
    const px::history history = px::fit(net, px::dataset_source(data), px::softmax_cross_entropy{}, optimizer,
                                        {.epochs = 3, .batch = 10, .max_steps = steps});
    CHECK(history.steps == steps);
  }
}

// A source that gives what a data set holds, be it sound or not.
class unchecked : public px::batch_source {
 public:
  explicit unchecked(px::dataset data) : data_(std::move(data)) {}
  px::source_shape shape() const override {
    return {data_.size(), data_.features, data_.outputs, !data_.labels.empty(), !data_.weights.empty()};
  }
  void fill(std::uint64_t, std::span<const int> samples, const px::batch_view& to) const override {
    for (std::size_t row = 0; row < samples.size(); ++row) {
      const auto sample = static_cast<std::size_t>(samples[row]);
      for (std::size_t j = 0; j < 3; ++j) to.inputs[row * 3 + j] = data_.inputs[sample * 3 + j];
      if (!to.labels.empty()) to.labels[row] = data_.labels[sample];
      if (!to.weights.empty()) to.weights[row] = data_.weights[sample];
      if (to.targets.empty()) continue;
      for (std::size_t j = 0; j < 2; ++j) to.targets[row * 2 + j] = data_.targets[sample * 2 + j];
    }
  }

 private:
  px::dataset data_;
};

// Trains on `data` once they are spoilt.
template <class Spoil>
support::folder_action training_on(px::dataset data, Spoil spoil) {
  spoil(data);
  return [source = unchecked(std::move(data))](const std::filesystem::path&) {
    linear_model net{px::seed{1}};
    const px::fit_options options{.batch = 4};
    if (source.shape().labels) {
      px::fit(net, source, px::softmax_cross_entropy{}, optimizer, options);
    } else {
      px::fit(net, source, px::quadratic{}, optimizer, options);
    }
  };
}

TEST_CASE("bad input: sources of batches", "[bad_input]") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(),
                  infinity = std::numeric_limits<float>::infinity();
  const px::dataset values = support::random_targets(10, 3, 2), classes = support::largest_feature(10, 3, 2);
  const std::string filling = "filling a batch", replace = "remove the sample or replace the value";
  const std::string count = "labels count from 0: correct the label, or set outputs to the number of classes";
  CHECK_NOTHROW(training_on(values, [](px::dataset&) {})({}));
  CHECK_NOTHROW(training_on(classes, [](px::dataset&) {})({}));
  support::check_bad_inputs(
      "sources of batches",
      {
          {"a source without samples", training_on(values, [](px::dataset& d) { d.inputs.clear(); }),
           "checking a source of batches", "it has 0 samples of 3 features and 2 outputs",
           "give at least one of each"},
          {"a source of other features than the network's",
           training_on(values, [](px::dataset& d) { d.features = 5; }), "training a network",
           "the data have 5 features and 2 outputs, the network takes 3 and gives 2",
           "change the network's first or last layer, or the data"},
          {"a source smaller than a batch", training_on(values, [](px::dataset& d) { d.inputs.resize(9); }),
           "training a network", "the batch of 4 is larger than the data set of 3 samples",
           "use a smaller batch"},
          {"a validation source of other features than the network's",
           [&](const std::filesystem::path&) {
             const px::dataset wide = support::random_targets(10, 5, 2);
             const px::dataset_source source(wide);
             linear_model net{px::seed{1}};
             px::fit(net, values, px::quadratic{}, optimizer, {.batch = 4, .validation = &source});
           },
           "validating a network", "the data have 5 features and 2 outputs, the network takes 3 and gives 2",
           "change the network's first or last layer, or the data"},
          {"a NaN input of a source", training_on(values, [](px::dataset& d) { d.inputs[3 * 6 + 2] = nan; }),
           filling, "input 2 of sample 6 is NaN", replace},
          {"an infinite target of a source",
           training_on(values, [](px::dataset& d) { d.targets[2 * 9 + 1] = -infinity; }), filling,
           "target 1 of sample 9 is infinite", replace},
          {"a label beyond a source's classes", training_on(classes, [](px::dataset& d) { d.labels[5] = 2; }),
           filling, "sample 5 has label 2 of 2 classes", count},
          {"a negative label of a source", training_on(classes, [](px::dataset& d) { d.labels[8] = -1; }),
           filling, "sample 8 has label -1 of 2 classes", count},
          {"a negative weight of a source",
           training_on(values,
                       [](px::dataset& d) {
                         d.weights.assign(10, 1);
                         d.weights[8] = -1;
                       }),
           filling, "the weight of sample 8 is negative", "give a number ≥ 0"},
          {"an augmentation without a function",
           [&](const std::filesystem::path&) {
             const px::dataset_source plain(values);
             px::augmented(plain, nullptr, px::seed{1});
           },
           "augmenting a source of batches", "no function is given", "give one that changes a sample"},
      });
}

#if !defined(__CUDACC__)
TEST_CASE("A source is trained on without allocations once the steps are recorded", "[train]") {
  const px::dataset data = support::largest_feature(100, 6, 4);
  classifier net{px::seed{1}};
  std::vector<std::size_t> allocations;
  px::fit(net, px::dataset_source(data), px::softmax_cross_entropy{}, optimizer,
          {.epochs = 4, .batch = 16, .on_epoch = [&](const px::epoch_record&) {
             allocations.push_back(hostcuda::allocation_count());
             return true;
           }});
  REQUIRE(allocations.size() == 4);
  CHECK(allocations[2] == allocations[1]);
  CHECK(allocations[3] == allocations[1]);
}
#endif
