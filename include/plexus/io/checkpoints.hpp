// Checkpoints in the course of fit(). Needs nlohmann-json.
#pragma once

#include <plexus/io/safetensors.hpp>
#include <plexus/train/history.hpp>

namespace plexus::inline PLEXUS_ABI {

// For fit_options::on_epoch: a checkpoint where the epoch's number, over the network's life, is a multiple of
// `every`. To go on after a crash, or later:
//
//   if (std::filesystem::exists(path)) px::load_checkpoint(net, path);
//   const int left = all - int(net.training_state().epoch);
//   if (left > 0) {
//     px::fit(net, data, loss, optimizer, {.epochs = left, …, .on_epoch = px::checkpoints(net, path)});
//   } else {
//     px::restore_best(net);  // with early stopping, whose fit() was ended before it could
//   }
//
// The file under that name is whole at any time: the new one replaces it at once.
template <class Network>
class checkpoints {
 public:
  checkpoints(Network& net, std::filesystem::path path, int every = 1)
      : net_(&net), path_(std::move(path)), every_(every) {
    require(every > 0, "configuring checkpoints", "the number of epochs between them is not positive",
            "give 1 for one after each epoch");
  }

  bool operator()(const epoch_record&) const {
    if (net_->training_state().epoch % static_cast<std::uint64_t>(every_) == 0) save_checkpoint(*net_, path_);
    return true;
  }

 private:
  Network* net_;
  std::filesystem::path path_;
  int every_;
};

}  // namespace plexus::inline PLEXUS_ABI
