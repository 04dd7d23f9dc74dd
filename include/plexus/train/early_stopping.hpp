// Early stopping: training ends when the loss has not fallen for some epochs, and the network gets back the
// parameters that it had when the loss was least.
#pragma once

#include <plexus/core/buffer.hpp>
#include <plexus/least_loss_epoch.hpp>
#include <plexus/train/history.hpp>

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

// The loss is that of the validation set, where there is one.
struct early_stopping {
  int patience = 0;       // epochs without a new least loss that are waited for; 0 is no such rule
  double least_fall = 0;  // a loss that is lower by less is no new least one
  bool restore_best =
      true;  // the parameters and statistics, where no error ends it; not the optimiser's state

  void validate() const {
    const char* doing = "configuring early stopping";
    require(patience >= 0, doing, "the patience is negative",
            "give a number of epochs, or 0 for no such rule");
    require(std::isfinite(least_fall) && least_fall >= 0, doing, "the least fall is not a number ≥ 0",
            "give a difference of losses, or 0");
  }
};

// Gives the network the tensors that early stopping kept, and forgets that epoch. False where there are none.
// fit() does so at its end; after an error that has ended it, or from a checkpoint that no epoch follows, it
// is yours to call. A moving average of the weights stays that of the last step.
template <class Network>
bool restore_best(Network& net) {
  net.refuse_average("restoring the best epoch");
  const std::optional<least_loss_epoch> best = std::exchange(net.best_epoch(), std::nullopt);
  if (!best || best->tensors.empty()) return false;
  const auto tensors = net.tensors();
  for (std::size_t i = 0; i < best->tensors.size(); ++i) {
    copy_on_device<float>(net.stream(), tensors[i].values.data, best->tensors[i].view());
  }
  check(cudaStreamSynchronize(net.stream()), "restoring the best epoch");
  return true;
}

namespace detail {

// Keeps the epoch whose loss was least in the network, so that a checkpoint has it. It stays there where an
// error ends training.
template <class Network>
class best_epoch {
 public:
  best_epoch(Network& net, const early_stopping& rule)
      : net_(net), rule_(rule), begin_(net.training_state().epoch) {
    std::optional<least_loss_epoch>& best = net.best_epoch();
    if (rule.patience == 0) {
      best.reset();
    } else if (!best) {
      best = least_loss_epoch{.epoch = begin_};
    } else if (!rule.restore_best) {
      best->tensors.clear();
    }
  }

  // Whether it is worth while to go on.
  bool may_improve() const {
    return rule_.patience == 0 || net_.training_state().epoch - net_.best_epoch()->epoch <
                                      static_cast<std::uint64_t>(rule_.patience);
  }

  bool after(const epoch_record& record) {
    if (rule_.patience == 0) return true;
    least_loss_epoch& best = *net_.best_epoch();
    const double loss = record.validation_loss.value_or(record.loss);
    if (loss < best.loss - rule_.least_fall) {
      best.loss = loss;
      best.epoch = net_.training_state().epoch;
      if (rule_.restore_best) keep(best.tensors);
    }
    return may_improve();
  }

  // Brings its parameters back; returns its number, −1 where it was before this run and 0 where there is
  // nothing to bring back.
  int restore() {
    if (rule_.patience == 0) return 0;
    const std::uint64_t epoch = net_.best_epoch()->epoch;
    if (!restore_best(net_)) return 0;
    return epoch > begin_ ? static_cast<int>(epoch - begin_) : -1;
  }

 private:
  void keep(std::vector<buffer<float>>& kept) {
    const auto tensors = net_.tensors();
    if (kept.empty()) {
      for (const auto& tensor : tensors) kept.emplace_back(tensor.values.size);
    }
    for (std::size_t i = 0; i < kept.size(); ++i) {
      copy_on_device<float>(net_.stream(), kept[i].data(), tensors[i].values);
    }
  }

  Network& net_;
  early_stopping rule_;
  std::uint64_t begin_;  // epochs of the network's life before this run
};

}  // namespace detail

}  // namespace plexus::inline PLEXUS_ABI
