// fit(): the lecture's training procedure. Mini-batches, epochs, and an end: when the error is small enough,
// when it falls no more, when the steps run out, when a callback asks for it, or when all epochs are done.
#pragma once

#include <plexus/core/random.hpp>
#include <plexus/optimizers/plateau.hpp>
#include <plexus/train/device_dataset.hpp>
#include <plexus/train/early_stopping.hpp>
#include <plexus/train/evaluate.hpp>
#include <plexus/train/history.hpp>
#include <plexus/train/non_finite_error.hpp>
#include <plexus/train/prefetcher.hpp>
#include <plexus/train/progress.hpp>
#include <plexus/train/recorded_step.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>

namespace plexus::inline PLEXUS_ABI {

// What a network is judged on: `&data`, of a data set or of a source of batches.
struct validation_data {
  const dataset* in_memory = nullptr;
  const batch_source* source = nullptr;

  validation_data(std::nullptr_t = nullptr) {}
  validation_data(const dataset* data) : in_memory(data) {}
  validation_data(const batch_source* data) : source(data) {}
};

struct fit_options {
  int epochs = 1;
  int batch = 32;                // samples in a mini-batch; an epoch's last one may have fewer
  validation_data validation{};  // judged at each epoch's end
  bool shuffle = true;           // a new order each epoch
  seed order{};                  // of the orders: epoch e of a network's life is a function of (order, e)
  double stop_below = 0;         // ends after the first epoch whose training loss is below
  std::uint64_t max_steps = 0;   // ends after so many steps; 0 is no limit
  progress_callback progress{};  // called about ten times a second and at each epoch's end
  early_stopping stop_early{};   // ends when the loss falls no more, and brings back the best parameters
  std::optional<reduce_on_plateau> on_plateau{};             // lowers the rate when the loss falls no more
  plexus::non_finite non_finite = plexus::non_finite::stop;  // what becomes of such steps
  std::function<bool(const epoch_record&)> on_epoch{};  // called at each epoch's end; false ends training
};

namespace detail {

inline void validate(const fit_options& options, int samples) {
  const char* doing = "training a network";
  require(options.epochs > 0, doing, "the number of epochs is not positive", "train for at least one epoch");
  require(options.batch > 0, doing, "the batch has no samples", "use a batch of at least one sample");
  if (options.batch > samples) {
    throw error(doing,
                "the batch of " + std::to_string(options.batch) + " is larger than the data set of " +
                    std::to_string(samples) + " samples",
                "use a smaller batch");
  }
  require(options.stop_below >= 0, doing, "stop_below is negative or NaN",
          "give a loss, or 0 for no such rule");
  options.stop_early.validate();
  if (options.on_plateau) options.on_plateau->validate();
}

// Draws a batch and trains on it.
template <class Network, class Batches, class Loss, class Optimizer>
struct batch_step {
  Network& net;
  Batches& batches;
  Loss loss;
  Optimizer optimizer;
  int rows;
  bool on_plateau;

  void operator()() const {
    batches.draw(net.stream(), rows);
    net.backward(batches.inputs(rows), batches.targets(), loss);
    if constexpr (has_rate<Optimizer>()) {
      if (on_plateau) return net.update(with_plateau<Optimizer>{optimizer});
    }
    net.update(optimizer);
  }
};

// One call of fit(). Its batches are a batch_drawer's or a prefetcher's: begin() an epoch, and expect() the
// one after it; for each batch next(), which may wait, and draw(), which is recorded with the step; then
// inputs() and targets() are the batch, always at the same place.
template <class Network, class Batches, class Loss, class Optimizer>
class training_run {
 public:
  training_run(Network& net, Batches& batches, const Loss& loss, const Optimizer& optimizer,
               const fit_options& options)
      : net_(net),
        loss_(loss),
        options_(options),
        batches_(batches),
        full_step_(net, {net, batches_, loss, optimizer, options.batch, options.on_plateau.has_value()}),
        last_step_(net, {net, batches_, loss, optimizer, batches.size() % options.batch,
                         options.on_plateau.has_value()}),
        best_(net, options.stop_early),
        rule_before_(net.watch_rule()) {
    const dataset* const validation = options.validation.in_memory;
    if (validation != nullptr) validation_.emplace(net.stream(), *validation);
    net.reserve(options.batch);
    net.watch(options.non_finite);
  }
  training_run(const training_run&) = delete;
  training_run& operator=(const training_run&) = delete;
  ~training_run() { net_.watch(rule_before_); }

  history operator()() {
    history result;
    if (!best_.may_improve()) return ended(result, stop_reason::no_improvement);
    for (int epoch = 1; epoch <= options_.epochs; ++epoch) {
      const bool complete = run_epoch(epoch, result);
      if (!complete) {
        return ended(result, stop_reason::step_limit);
      }
      const epoch_record& record = result.epochs.back();
      const bool may_improve = best_.after(record);
      if (options_.on_epoch && !options_.on_epoch(record)) return ended(result, stop_reason::asked_to);
      if (record.loss < options_.stop_below) return ended(result, stop_reason::error_small_enough);
      if (!may_improve) return ended(result, stop_reason::no_improvement);
    }
    return ended(result, stop_reason::epochs_done);
  }

 private:
  using clock = std::chrono::steady_clock;

  // The losses of the last epoch say nothing about its last step.
  history ended(history& result, stop_reason reason) {
    result.restored_epoch = best_.restore();
    result.reason = reason;
    return std::move(result);
  }

  // So that nobody keeps or saves tensors that are not finite: a step may leave such whose own loss is.
  void require_finite_tensors(int epoch, history& result) {
    if (options_.non_finite == non_finite::go_on) return;
    const std::string name = tensor_not_finite();
    if (name.empty()) return;
    result.reason = stop_reason::not_finite;
    throw non_finite_error(name + " is no longer finite after epoch " + std::to_string(epoch),
                           {.epoch = epoch, .where = name}, std::move(result));
  }

  // The name of the first one, empty where all are finite.
  std::string tensor_not_finite() const {
    for (const named_parameter& tensor : net_.tensors()) {
      const std::vector<float> values = to_host(net_.stream(), tensor.values);
      if (!all_finite(values)) return tensor.name;
    }
    return {};
  }

  // ---- Steps that are not finite

  // What has become of the steps of this epoch; waits for the device. Throws where the first such step stops
  // training, and notes it where it does not.
  void look_at_steps(int epoch, history& result) {
    const step_watch now = net_.watched();
    if (now.first == 0 || result.first_non_finite) return;
    // A step that is none of this epoch's is one that a callback has made.
    const bool is_ours = now.first > watched_before_.step;
    non_finite_report met{epoch, is_ours ? now.first - watched_before_.step : 0, {}, {}};
    const auto first = static_cast<std::size_t>(options_.batch) * static_cast<std::size_t>(met.step - 1);
    if (is_ours && first < order_.size()) {
      const auto rows = std::min(static_cast<std::size_t>(options_.batch), order_.size() - first);
      const auto begin = order_.begin() + static_cast<std::ptrdiff_t>(first);
      met.samples.assign(begin, begin + static_cast<std::ptrdiff_t>(rows));
    }
    met.where = now.by_loss != 0 ? "the loss" : "the gradient of " + net_.parameter_at(now.bad_gradient);
    if (met.samples.empty()) met.where += " of a step that is not fit's";
    if (options_.non_finite != non_finite::stop) {
      result.first_non_finite = std::move(met);
      return;
    }
    if (!met.samples.empty()) met.where = place_not_finite(met);
    result.reason = stop_reason::not_finite;
    const std::string what = now.by_loss != 0 ? "the loss" : "a gradient";
    throw non_finite_error(what + " is no longer finite in " + met.text(), met, std::move(result));
  }

  // The place of what was met, in the network, which no step has changed since.
  std::string place_not_finite(const non_finite_report& met) {
    if (const std::string name = tensor_not_finite(); !name.empty()) {
      return name + ", since an earlier step";
    }
    const int rows = static_cast<int>(met.samples.size());
    std::rotate(order_.begin(), std::ranges::find(order_, met.samples.front()), order_.end());
    batches_.begin(net_.stream(), order_, net_.training_state().epoch);
    batches_.next(net_.stream(), rows);
    batches_.draw(net_.stream(), rows);
    const std::size_t layer =
        net_.first_layer_not_finite(batches_.inputs(rows), steps_before_ + met.step - 1);
    return layer == Network::layer_count ? met.where + ", of outputs that are finite"
                                         : "the outputs of layer " + std::to_string(layer);
  }

  bool steps_left(const history& result) const {
    return options_.max_steps == 0 || result.steps < options_.max_steps;
  }

  // False when the step limit ended the epoch before its last sample.
  bool run_epoch(int epoch, history& result) {
    const clock::time_point begin = clock::now();
    draw_order(epoch);
    net_.reset_totals();
    skipped_before_ = skipped_steps();
    non_finite_before_ = non_finite_steps();
    watched_before_ = net_.watched();
    steps_before_ = net_.training_state().step;
    clock::time_point next_report = begin + report_interval;
    int done = 0;
    while (done < batches_.size() && steps_left(result)) {
      const int rows = std::min(options_.batch, batches_.size() - done);
      batches_.next(net_.stream(), rows);
      (rows == options_.batch ? full_step_ : last_step_)();
      ++result.steps;
      done += rows;
      if (options_.progress && clock::now() >= next_report && done < batches_.size()) {
        look_at_steps(epoch, result);
        options_.progress(progress_of(epoch, done, record_of(epoch, done, begin)));
        next_report = clock::now() + report_interval;
      }
    }
    if (done == 0) return false;
    finish_epoch(epoch, done, begin, result);
    return done == batches_.size();
  }

  void draw_order(int epoch_of_run) {
    const std::uint64_t epoch = net_.training_state().epoch;
    const auto order_of = [&options = options_, samples = batches_.size()](std::uint64_t e) {
      return options.shuffle ? shuffled(samples, random_stream{options.order.value, orders + e})
                             : in_order(samples);
    };
    order_ = order_of(epoch);
    batches_.begin(net_.stream(), order_, epoch);
    if (epoch_of_run == options_.epochs) return;
    batches_.expect([=] { return order_of(epoch + 1); }, epoch + 1);
  }

  // What the epoch has come to; waits for the device.
  epoch_record record_of(int epoch, int done, clock::time_point begin) const {
    const std::uint64_t left_out = net_.watched().samples_left_out - watched_before_.samples_left_out;
    const double counted = done - static_cast<double>(left_out);
    evaluation mean = mean_of<Network, Loss>(net_.totals(), counted);
    if (summed_loss<Loss>) mean.loss *= done / counted;  // as if all had counted
    const double seconds = std::chrono::duration<double>(clock::now() - begin).count();
    return {.epoch = epoch,
            .loss = mean.loss,
            .accuracy = mean.accuracy,
            .seconds = seconds,
            .samples_per_second = done / seconds,
            .skipped_steps = skipped_steps() - skipped_before_,
            .non_finite_steps = non_finite_steps() - non_finite_before_,
            .rate_factor = rate_factor()};
  }

  double rate_factor() const { return options_.on_plateau ? net_.plateau().rate_factor : 1; }

  void see_plateau(const epoch_record& record) {
    if (!options_.on_plateau) return;
    plateau_state now = net_.plateau();
    now.see(record.validation_loss.value_or(record.loss), *options_.on_plateau);
    net_.set_plateau(now);
  }

  // Of the network's life, or since it is watched.
  std::uint64_t skipped_steps() const {
    if constexpr (Network::scales_loss) return net_.loss_scale().skipped;
    return options_.non_finite == non_finite::go_on ? 0 : net_.watched().bad_steps;
  }
  std::uint64_t non_finite_steps() const {
    return options_.non_finite == non_finite::go_on ? net_.watched().bad_steps : 0;
  }

  void finish_epoch(int epoch, int done, clock::time_point begin, history& result) {
    look_at_steps(epoch, result);
    epoch_record record = record_of(epoch, done, begin);
    if (done == batches_.size()) net_.count_epoch();
    if (const auto judged = judge_validation()) {
      record.validation_loss = judged->loss;
      record.validation_accuracy = judged->accuracy;
    }
    if (done == batches_.size()) see_plateau(record);
    require_finite_tensors(epoch, result);
    result.epochs.push_back(record);
    if (options_.progress) {
      training_progress now = progress_of(epoch, done, record);
      now.epoch_finished = true;
      options_.progress(now);
    }
  }

  std::optional<evaluation> judge_validation() {
    if (validation_) return evaluate(net_, *validation_, loss_);
    const batch_source* const source = options_.validation.source;
    return source == nullptr ? std::nullopt : std::optional(evaluate(net_, *source, loss_));
  }

  training_progress progress_of(int epoch, int done, const epoch_record& record) const {
    training_progress now;
    now.epoch = epoch;
    now.epochs = options_.epochs;
    now.samples_done = static_cast<std::size_t>(done);
    now.samples_total = static_cast<std::size_t>(batches_.size());
    now.samples_per_second = record.samples_per_second;
    now.loss = record.loss;
    now.accuracy = record.accuracy;
    now.skipped_steps = record.skipped_steps;
    now.non_finite_steps = record.non_finite_steps;
    const double left =
        batches_.size() - done + static_cast<double>(options_.epochs - epoch) * batches_.size();
    now.seconds_left = left / record.samples_per_second;
    now.validation_loss = record.validation_loss;
    now.validation_accuracy = record.validation_accuracy;
    return now;
  }

  // The streams of the orders, far from those of the tensors, which a network draws from the same seeds.
  static constexpr std::uint64_t orders = std::uint64_t{1} << 32;
  static constexpr auto report_interval = std::chrono::milliseconds(100);

  Network& net_;
  Loss loss_;
  const fit_options& options_;
  std::optional<device_dataset> validation_;
  Batches& batches_;
  recorded_step<Network, batch_step<Network, Batches, Loss, Optimizer>> full_step_, last_step_;
  std::vector<int> order_;
  best_epoch<Network> best_;
  std::uint64_t skipped_before_ = 0, non_finite_before_ = 0;  // this epoch
  step_watch watched_before_;                                 // this epoch
  std::uint64_t steps_before_ = 0;                            // this epoch, of the network's life
  std::optional<non_finite> rule_before_;                     // this run
};

// What fit() checks before anything changes.
template <class Network, class Data, class Loss, class Optimizer>
void require_trainable(const Network& net, const Data& data, const Loss& loss, const Optimizer& optimizer,
                       const fit_options& options) {
  net.refuse_average("training a network");
  validate_optimizer(optimizer);
  validate_loss(loss, Network::output_size);
  validate(options, require_fit("training a network", net, data).samples);
  const char* judging = "validating a network";
  const auto [in_memory, source] = options.validation;
  if (in_memory != nullptr) require_fit(judging, net, *in_memory);
  if (source != nullptr) require_fit(judging, net, *source);
  require(!options.on_plateau || has_rate<Optimizer>(), "training a network",
          "the optimiser has no member rate that falls on a plateau", "give it one, or leave out on_plateau");
}

}  // namespace detail

// Trains `net` on `data` in place. The data and the options are checked before anything changes. An error in
// the middle (a loss that is no longer finite, a fault of the device) leaves the parameters as they are then.
template <class Network, class Loss, class Optimizer>
history fit(Network& net, const dataset& data, const Loss& loss, const Optimizer& optimizer,
            const fit_options& options = {}) {
  detail::require_trainable(net, data, loss, optimizer, options);
  const device_dataset on_device(net.stream(), data);
  batch_drawer batches(on_device, options.batch);
  return detail::training_run(net, batches, loss, optimizer, options)();
}

// The same on data that do not lie in the device's memory: while one batch is trained on, a thread prepares
// the next. The order of the samples, and so each bit of the result, is that of a dataset of the same
// samples. An error of the source, or a sample of it that training cannot use, ends training as the errors
// above do.
template <class Network, class Loss, class Optimizer>
history fit(Network& net, const batch_source& data, const Loss& loss, const Optimizer& optimizer,
            const fit_options& options = {}) {
  detail::require_trainable(net, data, loss, optimizer, options);
  prefetcher batches(data, options.batch);
  return detail::training_run(net, batches, loss, optimizer, options)();
}

}  // namespace plexus::inline PLEXUS_ABI
