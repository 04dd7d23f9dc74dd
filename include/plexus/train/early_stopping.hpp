// Early stopping: training ends when the loss has not fallen for some epochs, and the network gets back the
// parameters that it had when the loss was least.
#pragma once

#include <plexus/core/buffer.hpp>
#include <plexus/train/history.hpp>

#include <cmath>
#include <limits>

namespace plexus::inline PLEXUS_ABI {

// The loss is that of the validation set, where there is one.
struct early_stopping {
  int patience = 0;          // epochs without a new least loss that are waited for; 0 is no such rule
  double least_fall = 0;     // a loss that is lower by less is no new least one
  bool restore_best = true;  // the parameters, however training ends; not the optimiser's state

  void validate() const {
    const char* doing = "configuring early stopping";
    require(patience >= 0, doing, "the patience is negative",
            "give a number of epochs, or 0 for no such rule");
    require(std::isfinite(least_fall) && least_fall >= 0, doing, "the least fall is not a number ≥ 0",
            "give a difference of losses, or 0");
  }
};

namespace detail {

// The epoch whose loss was least, and its parameters.
template <class Network>
class best_epoch {
 public:
  best_epoch(Network& net, const early_stopping& rule) : net_(net), rule_(rule) {}

  // Whether it is worth while to go on.
  bool after(const epoch_record& record) {
    if (rule_.patience == 0) return true;
    const double loss = record.validation_loss.value_or(record.loss);
    if (loss < least_loss_ - rule_.least_fall) {
      least_loss_ = loss;
      epoch_ = record.epoch;
      if (rule_.restore_best) keep();
    }
    return record.epoch - epoch_ < rule_.patience;
  }

  // Brings its parameters back; returns its number, 0 where there is nothing to bring back.
  int restore() {
    if (kept_.empty()) return 0;
    const auto tensors = net_.tensors();
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      copy_on_device<float>(net_.stream(), tensors[i].values.data, kept_[i].view());
    }
    return epoch_;
  }

 private:
  void keep() {
    const auto tensors = net_.tensors();
    if (kept_.empty()) {
      for (const auto& tensor : tensors) kept_.emplace_back(tensor.values.size);
    }
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      copy_on_device<float>(net_.stream(), kept_[i].data(), tensors[i].values);
    }
  }

  Network& net_;
  early_stopping rule_;
  std::vector<buffer<float>> kept_;
  double least_loss_ = std::numeric_limits<double>::infinity();
  int epoch_ = 0;
};

}  // namespace detail

}  // namespace plexus::inline PLEXUS_ABI
