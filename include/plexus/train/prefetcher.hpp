// The batches of a source, prepared ahead: a thread fills pinned host memory, and copies go to the device on
// a stream of their own while the network trains on the batch before.
#pragma once

#include <plexus/core/launch.hpp>
#include <plexus/core/stream.hpp>
#include <plexus/train/batch_memory.hpp>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

class prefetcher {
 public:
  // Refers to the source. The current device is the one that is copied to.
  prefetcher(const batch_source& source, int batch)
      : source_(source),
        shape_(source.shape()),
        rows_(batch),
        slots_{slot(shape_, batch), slot(shape_, batch), slot(shape_, batch), slot(shape_, batch)},
        batch_(shape_, batch) {
    check(cudaGetDevice(&device_), "asking for the current device");
  }
  prefetcher(const prefetcher&) = delete;
  prefetcher& operator=(const prefetcher&) = delete;
  ~prefetcher() {
    stop();
    cudaStreamSynchronize(copies_.get());  // before the memory goes; a fault has been or will be reported
  }

  int size() const { return shape_.samples; }

  // Begins with the first sample of `order`, a permutation of the source's samples.
  void begin(cudaStream_t, const std::vector<int>& order, std::uint64_t epoch) {
    const bool is_expected = left_ == 0 && expected_ == epoch;
    left_ = divide_up(order.size(), static_cast<std::size_t>(rows_));
    expected_.reset();
    if (is_expected) return;
    stop();
    stopped_ = false;
    failure_ = nullptr;
    prepared_ = taken_ = 0;
    passes_.assign(1, {[order] { return order; }, epoch});
    try {
      thread_ = std::thread([this] { prepare_passes(); });
    } catch (const std::system_error& refused) {
      throw error("starting the thread that prepares batches", refused.what(),
                  "let this user have more threads");
    }
  }

  // After begin(): the next one will be of this epoch and this order, which the thread asks for. So the first
  // batches of an epoch are prepared while the last ones of the epoch before are trained on.
  void expect(std::function<std::vector<int>()> order, std::uint64_t epoch) {
    const std::lock_guard lock(mutex_);
    passes_.push_back({std::move(order), epoch});
    expected_ = epoch;
    changed_.notify_all();
  }

  // Puts the next batch, of `rows` samples, where inputs() and targets() are. Waits until it is prepared;
  // throws what kept it from being so.
  void next(cudaStream_t stream, int rows) {
    slot& from = prepared_slot();
    check(cudaStreamWaitEvent(stream, from.copied.get(), 0), "waiting for a batch");
    batch_.copy(stream, from.device, rows);
    from.taken.record(stream);
    give_back();
    --left_;
  }

  void draw(cudaStream_t, int /*rows*/) {}  // next() has done it: nothing is left to be recorded

  // The batch that came last.
  matrix_view<float> inputs(int rows) const { return batch_.inputs(rows); }
  target_view targets() const { return batch_.targets(); }

 private:
  struct slot {
    slot(const source_shape& shape, int rows) : host(shape, rows), device(shape, rows) {}

    batch_memory<pinned_memory> host;
    batch_memory<device_memory> device;
    event copied{event::sleeping};  // from host to device: the host's part may be filled again
    event taken{event::sleeping};   // by the training stream: the device's part may be overwritten
  };

  struct pass {
    std::function<std::vector<int>()> order;
    std::uint64_t epoch;
  };

  // ---- What the training thread does

  slot& prepared_slot() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return prepared_ > taken_ || failure_ != nullptr; });
    if (prepared_ == taken_) std::rethrow_exception(failure_);
    return slots_[taken_ % slots_.size()];
  }

  void give_back() {
    const std::lock_guard lock(mutex_);
    ++taken_;
    changed_.notify_all();
  }

  void stop() {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }

  // ---- What the thread does

  void prepare_passes() {
    try {
      check(cudaSetDevice(device_), "choosing the device");
      while (const std::optional<pass> next = wait_for_pass()) prepare_batches(next->order(), next->epoch);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      failure_ = std::current_exception();
      changed_.notify_all();
    }
  }

  // None where the thread is to end.
  std::optional<pass> wait_for_pass() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !passes_.empty() || stopped_; });
    if (stopped_) return std::nullopt;
    pass next = std::move(passes_.front());
    passes_.pop_front();
    return next;
  }

  void prepare_batches(const std::vector<int>& order, std::uint64_t epoch) {
    std::span<const int> left = order;
    while (!left.empty() && wait_for_room()) {
      const auto samples = left.first(std::min(left.size(), static_cast<std::size_t>(rows_)));
      prepare(slots_[prepared_ % slots_.size()], epoch, samples);
      left = left.subspan(samples.size());
      const std::lock_guard lock(mutex_);
      ++prepared_;
      changed_.notify_all();
    }
  }

  // False where the thread is to end.
  bool wait_for_room() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return prepared_ - taken_ < slots_.size() || stopped_; });
    return !stopped_;
  }

  void prepare(slot& to, std::uint64_t epoch, std::span<const int> samples) {
    const int rows = static_cast<int>(samples.size());
    to.copied.synchronize();
    const batch_view batch = to.host.view(rows);
    source_.fill(epoch, samples, batch);
    require_usable(batch, samples);
    copies_.wait(to.taken);
    to.device.copy(copies_.get(), to.host, rows);
    to.copied.record(copies_.get());
  }

  // What dataset::validate() requires of all samples at once.
  void require_usable(const batch_view& batch, std::span<const int> samples) const {
    const char* doing = "filling a batch";
    require_finite(batch.inputs, shape_.features, "input", doing, samples);
    require_finite(batch.targets, shape_.outputs, "target", doing, samples);
    require_labels(batch.labels, shape_.outputs, doing, samples);
    require_weights(batch.weights, doing, samples);
  }

  const batch_source& source_;
  source_shape shape_;
  int rows_;
  int device_ = 0;
  std::array<slot, 4> slots_;  // batch i lies in slot i % 4
  batch_memory<device_memory> batch_;
  stream copies_;
  std::size_t left_ = 0;                   // batches of the epoch that training has not taken
  std::optional<std::uint64_t> expected_;  // the epoch that comes next

  std::mutex mutex_;  // guards what follows; a slot is the thread's until it is prepared, then training's
  std::condition_variable changed_;
  std::deque<pass> passes_;               // that the thread has not begun
  std::size_t prepared_ = 0, taken_ = 0;  // batches since the thread began
  std::exception_ptr failure_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace plexus::inline PLEXUS_ABI
