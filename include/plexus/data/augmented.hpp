// A source whose samples are changed at random each time they are used, such as images that are shifted,
// mirrored or made noisy, so that a network meets each of them in many forms.
#pragma once

#include <plexus/core/random.hpp>
#include <plexus/data/batch_source.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>

namespace plexus::inline PLEXUS_ABI {

class augmented : public batch_source {
 public:
  // Changes a sample's `features` values in place. The random numbers depend on the seed, the epoch and the
  // sample alone: a function that takes its chances from them alone gives a run that can be repeated, and
  // gone on with from a checkpoint.
  using function = std::function<void(std::span<float> sample, random_stream random)>;

  // Refers to `source`. The function is called on the threads that prepare batches: by several at once where
  // batch_source says so.
  augmented(const batch_source& source, function change, seed random)
      : source_(source), change_(std::move(change)), seed_(random) {
    require(change_ != nullptr, "augmenting a source of batches", "no function is given",
            "give one that changes a sample");
  }
  augmented(const batch_source&& source, function change, seed random) = delete;

  source_shape shape() const override { return source_.shape(); }

  void fill(std::uint64_t epoch, std::span<const int> samples, const batch_view& to) const override {
    source_.fill(epoch, samples, to);
    const auto width = static_cast<std::size_t>(source_.shape().features);
    for (std::size_t row = 0; row < samples.size(); ++row) {
      change_(to.inputs.subspan(row * width, width), random_of(epoch, samples[row]));
    }
  }

 private:
  // The key is not the bare seed: no other use of it draws the same numbers.
  random_stream random_of(std::uint64_t epoch, int sample) const {
    constexpr std::uint64_t augment = 0x6175676d656e74;  // "augment"
    return {seed_.value ^ augment, epoch << 32 | static_cast<std::uint64_t>(sample)};
  }

  const batch_source& source_;
  function change_;
  seed seed_;
};

}  // namespace plexus::inline PLEXUS_ABI
