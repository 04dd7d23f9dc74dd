// What an optimiser keeps from update to update, in device memory: its values of each parameter, and how many
// updates it has made.
#pragma once

#include <plexus/core/buffer.hpp>
#include <plexus/core/error.hpp>
#include <plexus/optimizers/plateau.hpp>
#include <plexus/optimizers/update.hpp>

#include <string>

namespace plexus::inline PLEXUS_ABI::detail {

// For an arena of Size parameters.
template <std::size_t Size>
class optimizer_memory {
 public:
  optimizer_memory() : moment_(1), step_(step_bytes) {}

  // To be called before each update. Makes room for what `optimizer` keeps, zero where there was none or
  // another one used it; what was restored waits for the optimiser that it is of. True where memory has
  // changed.
  template <class Optimizer>
  bool prepare(cudaStream_t stream, const Optimizer& optimizer) {
    const int wanted = optimizer.state_count();
    const bool fits = user_ == Optimizer::name && values_ == wanted;
    if (is_restored_ && !fits) refuse_restored(Optimizer::name, wanted);
    is_restored_ = false;
    if (fits) return false;
    refuse_while_recording(stream);
    reserve(stream, wanted);
    plateau_ = {};
    set_updates(stream, 0);
    user_ = Optimizer::name;
    return true;
  }

  // Room for so many values of each parameter, zero, to be filled with what they were after so many updates
  // by the optimiser of that name.
  void restore(cudaStream_t stream, const std::string& name, int values, std::uint64_t updates) {
    require(values >= 0, "restoring an optimiser", "the number of values of a parameter is negative",
            "give 0 or more");
    reserve(stream, values);
    plateau_ = {};
    set_updates(stream, updates);
    user_ = name;
    is_restored_ = true;
  }

  // As if there had been no update.
  void forget(cudaStream_t stream) {
    restore(stream, "", 0, 0);
    is_restored_ = false;
  }

  const std::string& user() const { return user_; }
  int values() const { return values_; }
  float* state(int value = 0) const { return state_.data() + static_cast<std::size_t>(value) * Size; }

  update_moment* moment() const { return moment_.data(); }

  // Where an update's step lies.
  template <class Step>
  Step* step() const {
    static_assert(std::is_trivially_copyable_v<Step> && sizeof(Step) <= step_bytes,
                  "what an optimiser's at() gives is trivially copyable and has at most 256 bytes");
    return reinterpret_cast<Step*>(step_.data());
  }

  // Of a varying optimiser. Waits for the device.
  std::uint64_t updates(cudaStream_t stream) const {
    update_moment moment;
    copy_to_host<update_moment>(stream, std::span(&moment, 1), moment_.data());
    return moment.step;
  }

  const plateau_state& plateau() const { return plateau_; }
  // Waits for the device where the rate changes.
  void set_plateau(cudaStream_t stream, const plateau_state& now) {
    const bool changes_rate = now.rate_factor != plateau_.rate_factor;
    plateau_ = now;
    if (changes_rate) set_updates(stream, updates(stream));
  }

  // Where ‖g‖ is found.
  double* norm_parts(int count) {
    if (norm_parts_.size() == 0) norm_parts_ = buffer<double>(static_cast<std::size_t>(count));
    return norm_parts_.data();
  }

 private:
  static constexpr std::size_t step_bytes = 256;

  void reserve(cudaStream_t stream, int values) {
    if (values != values_) state_ = buffer<float>(static_cast<std::size_t>(values) * Size);
    values_ = values;
    fill_zero(stream, state_.view());
  }

  void set_updates(cudaStream_t stream, std::uint64_t updates) {
    const update_moment moment{updates, 0, static_cast<float>(plateau_.rate_factor)};
    copy_to_device<update_moment>(stream, moment_.data(), std::span(&moment, 1));
    check(cudaStreamSynchronize(stream), "setting the number of updates");
  }

  [[noreturn]] void refuse_restored(const std::string& name, int wanted) const {
    const auto kept = [](const std::string& optimizer, int values) {
      return optimizer + " with " + std::to_string(values) + (values == 1 ? " value" : " values") +
             " of a parameter";
    };
    throw error(
        "updating a network",
        "its optimiser is " + kept(name, wanted) + ", and what was restored is of " + kept(user_, values_),
        "go on with the optimiser that was saved, or call forget_optimizer()");
  }

  static void refuse_while_recording(cudaStream_t stream) {
    cudaStreamCaptureStatus status{};
    check(cudaStreamIsCapturing(stream, &status), "asking whether a stream is being recorded");
    require(status == cudaStreamCaptureStatusNone, "updating a network",
            "its optimiser is another one than before, in a step that is being recorded",
            "make one update in a recorded step, always by the same optimiser");
  }

  buffer<float> state_;
  buffer<update_moment> moment_;
  buffer<unsigned char> step_;
  buffer<double> norm_parts_;
  int values_ = 0;
  plateau_state plateau_;
  std::string user_;  // the name of the optimiser whose values they are
  bool is_restored_ = false;
};

}  // namespace plexus::inline PLEXUS_ABI::detail
