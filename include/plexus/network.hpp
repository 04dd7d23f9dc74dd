// network<…>: a flat list of layers, each of which learns its input's shape from the one before.
//
// All parameters lie in one arena, all gradients in a second, and each value that the optimiser keeps of a
// parameter in one more of the same layout: an update is one launch. They are in FP32 in every precision.
#pragma once

#include <plexus/core/buffer.hpp>
#include <plexus/core/context.hpp>
#include <plexus/core/precision.hpp>
#include <plexus/core/reduce.hpp>
#include <plexus/layers/chain.hpp>
#include <plexus/layers/fused_tensor.hpp>
#include <plexus/least_loss_epoch.hpp>
#include <plexus/linalg/gemm_choices.hpp>
#include <plexus/losses/loss_pass.hpp>
#include <plexus/losses/loss_scaling.hpp>
#include <plexus/losses/step_watch.hpp>
#include <plexus/network_copies.hpp>
#include <plexus/network_function.hpp>
#include <plexus/optimizers/averaged.hpp>
#include <plexus/optimizers/optimizer_memory.hpp>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

// A tensor of the network, in device memory, under the name that PyTorch's nn.Sequential gives it.
struct named_parameter {
  std::string name;
  std::vector<std::size_t> shape;
  view<float> values;
};

// How far training has come, counted over the network's life.
struct training_counters {
  std::uint64_t epoch = 0;  // epochs completed
  std::uint64_t step = 0;   // updates, those that were skipped too
  seed random{};  // of what layers draw in training, with the step: what the network was initialised by
};

// The number of steps, and of the samples of a backward pass that no update has followed, or 0.
struct host_effects {
  std::uint64_t step = 0;
  int rows_in_training = 0;
};

// The next step's number, in device memory.
struct count_step {
  std::uint64_t* step;
  PLEXUS_FN void operator()(std::size_t) const { ++*step; }
};

// What a number of judged batches add up to.
struct batch_totals {
  double loss = 0;     // Σ of the samples' losses
  double correct = 0;  // samples whose largest output is at the target's largest place
};

// Bytes of device memory that batches take: in inference, and in training, which is more.
struct batch_bytes {
  std::size_t inference = 0, training = 0;
};

namespace detail {

// function.operator()<I>() for every I in [0, Count).
template <std::size_t Count, class Function>
constexpr void for_each_index(Function&& function) {
  [&]<std::size_t... I>(std::index_sequence<I...>) { (function.template operator()<I>(), ...); }
  (std::make_index_sequence<Count>{});
}

// Not members of a network: compiled once for all networks of a program.

inline void require_samples(matrix_view<const float> x, int input_size, const char* doing) {
  if (x.cols == input_size && x.rows >= 0 && (x.ld >= x.cols || x.rows <= 1)) return;
  throw error(doing,
              "the samples are a matrix (" + std::to_string(x.rows) + ", " + std::to_string(x.cols) +
                  ") with " + std::to_string(x.ld) + " values from row to row, the network takes " +
                  std::to_string(input_size) + " values a sample",
              "give a matrix (n, " + std::to_string(input_size) + ")");
}

inline void require_same_shape(matrix_view<const float> given, extent2d wanted, const char* doing,
                               const std::string& what) {
  if (given.rows == wanted.height && given.cols == wanted.width &&
      (given.ld >= given.cols || given.rows <= 1))
    return;
  const auto shape = [](int rows, int cols) {
    return "(" + std::to_string(rows) + ", " + std::to_string(cols) + ")";
  };
  throw error(doing,
              what + " has the shape " + shape(given.rows, given.cols) + " with " + std::to_string(given.ld) +
                  " values from row to row",
              "give a matrix " + shape(wanted.height, wanted.width));
}

inline void require_size(const char* doing, std::size_t size, int rows, int width) {
  const std::size_t needed = static_cast<std::size_t>(rows) * static_cast<std::size_t>(width);
  if (size == needed) return;
  throw error(doing,
              "the data have size " + std::to_string(size) + " and not " + std::to_string(rows) + " × " +
                  std::to_string(width),
              "give " + std::to_string(needed) + " values");
}

inline int sample_count(std::span<const float> x, int width, const char* doing) {
  const auto each = static_cast<std::size_t>(width);
  if (x.size() % each == 0) return static_cast<int>(x.size() / each);
  throw error(doing,
              std::to_string(x.size()) + " values are no whole number of samples of " + std::to_string(width),
              "give n × " + std::to_string(width) + " values");
}

}  // namespace detail

// The network itself; `network` below is how it is written. Not thread-safe: one network, one thread at a
// time.
template <precision_policy Precision, class Input, class... Specifications>
class basic_network {
  static_assert(network_input<Input>,
                "plexus::network: the list begins with input<width> or image<channels, height, width>");
  static_assert(sizeof...(Specifications) > 0, "plexus::network: at least one layer follows the input");

 public:
  using precision = Precision;
  using layers = typename detail::chain<1, typename Input::input_shape, Specifications...>::layers;
  using layout = detail::arena_layout<layers>;
  template <std::size_t L>
  using layer_type = std::tuple_element_t<L, layers>;

  static constexpr std::size_t layer_count = sizeof...(Specifications);
  static constexpr int input_size = Input::input_shape::size;
  static constexpr int output_size = layer_type<layer_count - 1>::output_shape::size;
  static constexpr std::size_t parameter_count = layout::parameter_count;
  // Whether the loss is multiplied by a scale that adjusts itself: in FP16.
  static constexpr bool scales_loss = Precision::scales_loss;

  // Weights by the initialiser of their layer's activation (Glorot uniform unless it names one), biases zero.
  explicit basic_network(seed s = {}, gemm_policy policy = default_gemm_policy,
                         fusion_policy fusion = fusion_policy::automatic)
      : context_(policy),
        fusion_(fusion),
        parameters_(layout::size),
        statistics_(statistics_layout::size),
        device_step_(draws ? 1 : 0),
        totals_(2) {
    fill_zero(stream(), parameters_.view());
    if constexpr (low_precision) {
      copies_ = buffer<storage>(copies::size);
      fill_zero(stream(), copies_.view());
    }
    if constexpr (scales_loss) {
      scaler_ = buffer<loss_scaler>(1);
      set_loss_scaling({});
    }
    initialize(s);
  }

  // As a new network of this seed: statistics, the state of the optimiser, counters, totals and the best
  // epoch begin anew as well. The last gradients and the watch stay.
  void initialize(seed s) {
    begin_anew(s);
    for_each_layer([&]<std::size_t L>() {
      initialize_layer(L, s, typename default_initializer<typename layer_type<L>::activation>::type{});
    });
  }

  // The same with all weights by `initializer`.
  template <class Initializer>
  void initialize(seed s, const Initializer& initializer) {
    begin_anew(s);
    for (std::size_t l = 0; l < layer_count; ++l) initialize_layer(l, s, initializer);
  }

  // ---- Inference

  // Outputs (n, output_size) for x (n, input_size) in device memory. They are the network's own memory and
  // hold until its next call.
  matrix_view<const float> forward(matrix_view<const float> x) {
    detail::require_samples(x, input_size, "running a network forward");
    reserve(x.rows);
    forward_layers(x, pass_mode::inference);
    return outputs(x.rows);
  }

  // The outputs for one sample in host memory.
  std::array<float, static_cast<std::size_t>(output_size)> predict(std::span<const float> x) {
    detail::require_size("predicting one sample", x.size(), 1, input_size);
    std::array<float, static_cast<std::size_t>(output_size)> y;
    predict_rows(x.data(), 1, y.data());
    return y;
  }

  // The outputs (n, output_size) for n samples (n, input_size) in host memory.
  std::vector<float> predict(std::span<const float> x, int n) {
    require(n >= 0, "predicting a batch", "the number of samples is negative", "give 0 or more");
    detail::require_size("predicting a batch", x.size(), n, input_size);
    std::vector<float> y(elements(n, output_size));
    for (int first = 0; first < n; first += inference_rows) {
      predict_rows(x.data() + elements(first, input_size), std::min(n - first, inference_rows),
                   y.data() + elements(first, output_size));
    }
    return y;
  }

  // ---- Training. Batches x (n, input_size) and y are in device memory, but for the steps on host memory
  // below.

  // Forward, the loss (the mean over the batch, unless it is a summed one) and the gradients of all
  // parameters. Until the next update, layers draw the same random numbers each time.
  template <class Loss>
  void backward(matrix_view<const float> x, target_view y, const Loss& loss) {
    propagate(x, y, loss, no_input_delta{});
  }

  // The same, and the loss's gradient with respect to the input: dx (n, input_size).
  template <class Loss>
  void backward(matrix_view<const float> x, target_view y, const Loss& loss, matrix_view<float> dx) {
    if constexpr (scales_loss) {
      propagate(x, y, loss, input_delta<reciprocal_scale>{dx, {&scaler_.data()->now.scale}});
    } else {
      propagate(x, y, loss, input_delta<unit_derivative>{dx, {}});
    }
  }

  // The parameters become what the optimiser makes of them and their gradients, and the statistics follow the
  // batch of the last backward, unless the step is to be skipped: where it is watched, and in FP16, whose
  // loss scale is adjusted, if a gradient is not finite.
  template <class Optimizer>
  void update(const Optimizer& optimizer) {
    detail::validate_optimizer(optimizer);
    refuse_average("updating a network");
    reserve_gradients();
    if (optimizer_memory_.prepare(stream(), optimizer)) ++memory_version_;
    if constexpr (varying_optimizer<Optimizer>) {
      update_all(update_parameters_by<step_type<Optimizer>>{begin_step(optimizer), arenas()});
    } else {
      update_all(update_parameters<Optimizer>{optimizer, arenas()});
    }
    if constexpr (statistics_layout::size > 0) update_statistics();
    if constexpr (draws) for_each(stream(), 1, count_step{device_step_.data()});
    if constexpr (scales_loss) for_each(stream(), 1, adjust_loss_scale{scaler_.data()});
    ++counters_.step;
  }

  // One step of training: backward and update. A recorded_step makes one launch of it.
  template <class Loss, class Optimizer>
  void step(matrix_view<const float> x, target_view y, const Loss& loss, const Optimizer& optimizer) {
    refuse_average("updating a network");  // before anything has changed
    detail::validate_optimizer(optimizer);
    backward(x, y, loss);
    update(optimizer);
  }

  // One step on samples (n, input_size) and targets (n, output_size) in host memory.
  template <class Loss, class Optimizer>
  void step(std::span<const float> x, std::span<const float> y, const Loss& loss,
            const Optimizer& optimizer) {
    const int n = sample_count(x);
    detail::require_size("training on a batch of targets", y.size(), n, output_size);
    require_finite(x, input_size, "input", "training on a batch of targets");
    require_finite(y, output_size, "target", "training on a batch of targets");
    const auto staged = stage(x.data(), n);
    copy_to_device(stream(), staged_targets_.data(), y);
    step(staged, target_view{nullptr, staged_targets_.data(), output_size}, loss, optimizer);
  }

  // One step on samples (n, input_size) and labels (n) in host memory.
  template <class Loss, class Optimizer>
  void step(std::span<const float> x, std::span<const int> labels, const Loss& loss,
            const Optimizer& optimizer) {
    const int n = sample_count(x);
    detail::require_size("training on a batch of labels", labels.size(), n, 1);
    require_labels(labels, output_size, "training on a batch of labels", {}, "the network's outputs");
    require_finite(x, input_size, "input", "training on a batch of labels");
    const auto staged = stage(x.data(), n);
    copy_to_device(stream(), staged_labels_.data(), labels);
    step(staged, target_view{staged_labels_.data(), nullptr, 0}, loss, optimizer);
  }

  // Forward and the loss alone.
  template <class Loss>
  void judge(matrix_view<const float> x, target_view y, const Loss& loss) {
    require_one_target(y, "judging a network");
    validate_loss(loss, output_size);
    forward(x);
    for_each_row(stream(), x.rows, judge_rows<Loss>{loss, outputs(x.rows), y, results()});
    add_to_totals(x.rows);
  }

  // What the batches of backward, step and judge since the last reset add up to. Waits for the device.
  batch_totals totals() const {
    std::array<double, 2> sums{};
    copy_to_host<double>(stream(), sums, totals_.data());
    return {sums[0], sums[1]};
  }
  void reset_totals() { fill_zero(stream(), totals_.view()); }
  // Puts back totals that were taken before: for who judges something else in between.
  void restore_totals(const batch_totals& earlier) {
    copy_to_device<double>(stream(), totals_.data(), std::array{earlier.loss, earlier.correct});
    context_.synchronize();
  }

  // ---- Steps whose loss or gradients are not finite

  // What becomes of them from now on; numbers of steps begin anew. Without a rule, as in a new network,
  // nothing is watched. In FP16 a step whose gradients alone are not finite is the loss scale's, whatever the
  // rule.
  void watch(std::optional<non_finite> rule) {
    watch_rule_ = rule;
    step_watch_ = buffer<step_watch>(rule ? 1 : 0);
    ++memory_version_;
    if (!rule) return;
    const step_watch anew{.rule = *rule};
    copy_to_device<step_watch>(stream(), step_watch_.data(), std::span(&anew, 1));
    context_.synchronize();
  }

  std::optional<non_finite> watch_rule() const { return watch_rule_; }
  // For work that is no step of training: nothing is watched for while it lives.
  class unwatched_scope {
   public:
    explicit unwatched_scope(basic_network& net) : net_(net), watch_(std::move(net.step_watch_)) {}
    unwatched_scope(const unwatched_scope&) = delete;
    unwatched_scope& operator=(const unwatched_scope&) = delete;
    ~unwatched_scope() { net_.step_watch_ = std::move(watch_); }

   private:
    basic_network& net_;
    buffer<step_watch> watch_;
  };

  // What was met since then. Waits for the device.
  step_watch watched() const {
    step_watch seen;
    if (!is_watched()) return seen;
    copy_to_host<step_watch>(stream(), std::span(&seen, 1), step_watch_.data());
    seen.settle();
    return seen;
  }

  // The name of the tensor in which a place of the arena lies, such as a step_watch's bad_gradient.
  static std::string parameter_at(std::size_t place) {
    std::string name;
    for (const detail::tensor_record& tensor : layout::tensors) {
      if (tensor.offset <= place) name = name_of(tensor);
    }
    return name;
  }

  // The number of the first layer of which an output for x (n, input_size) is not finite, as in training
  // after so many steps; layer_count where there is none.
  std::size_t first_layer_not_finite(matrix_view<const float> x, std::uint64_t steps) {
    detail::require_samples(x, input_size, "looking for a layer that is not finite");
    reserve_training(x.rows);
    rows_in_training_ = 0;  // what is kept of the batch is of this one now
    take_inputs(x);
    draw_as_in_step(steps);
    forward_layers_to<layer_count - 1>(x, pass_mode::training);
    draw_as_in_step(counters_.step);
    std::size_t first = layer_count;
    for_each_layer([&]<std::size_t L>() {
      if (first == layer_count && !is_finite(outputs_of<L>(x.rows))) first = L;
    });
    return first;
  }

  // ---- The average of the weights, which an averaged optimiser keeps

  // From now on the weights are their average, and what they were is kept in its place: until use_weights(),
  // which does nothing where they are the weights already. Meanwhile what trains is refused. An average_scope
  // calls both.
  void use_average() {
    const char* doing = "using a network's average";
    require(optimizer_memory_.user().starts_with(detail::averaged_prefix), doing, "its optimiser keeps none",
            "train by averaged{…}, or load a checkpoint of such a training");
    require(optimizer_updates() > 0, doing, "there has been no update yet", "train first");
    refuse_average(doing);
    exchange_average();
  }
  void use_weights() {
    if (uses_average_) exchange_average();
  }

  // Throws while the weights are their average.
  void refuse_average(const char* doing) const {
    require(!uses_average_, doing, "its weights are their average", "end the average_scope first");
  }

  // ---- Single layers, counted from 0

  template <std::size_t L>
  layer_view<layer_type<L>> layer() const {
    return {stream(), parameters_.data() + layer_offset<L>};
  }

  // The outputs (n, width) of layer L for x (n, input_size) in device memory: in the precision's 16 bits
  // where it has them, but for the last layer's, which are in FP32. They are the network's own memory and
  // hold until its next call.
  template <std::size_t L>
  auto forward_to(matrix_view<const float> x) {
    detail::require_samples(x, input_size, "running a network's first layers");
    reserve(x.rows);
    take_inputs(x);
    forward_layers_to<L>(x, pass_mode::inference);
    return matrix_view<const output_element<L>>(outputs_of<L>(x.rows));
  }

  // The same (n, width) for n samples (n, input_size), both in host memory.
  template <std::size_t L>
  std::vector<float> activations(std::span<const float> x) {
    const int n = sample_count(x, "computing a layer's outputs");
    std::vector<float> a(elements(n, width<L>));
    const buffer<float> converted(elements(std::min(n, inference_rows), width<L>));
    for (int first = 0; first < n; first += inference_rows) {
      const int rows = std::min(n - first, inference_rows);
      const auto outputs = forward_to<L>(stage(x.data() + elements(first, input_size), rows));
      for_each_row(stream(), rows,
                   convert_rows<float, output_element<L>>{outputs, matrix(converted.data(), rows, width<L>)});
      copy_to_host<float>(stream(), std::span(a).subspan(elements(first, width<L>), elements(rows, width<L>)),
                          converted.data());
    }
    return a;
  }

  // dx (n, input_size) = Σ dz ∂z/∂x for x (n, input_size), where z (n, width) are the sums of layer L before
  // its activation, and dz (n, width) what each of them counts; all in device memory. There is no loss, and
  // the parameters' gradients stay as they are. Layers compute as in use, and not as in training. In FP16 dz
  // is not scaled.
  template <std::size_t L = layer_count - 1>
  void input_gradient(matrix_view<const float> x, matrix_view<const float> dz, matrix_view<float> dx) {
    constexpr const char* doing = "computing the gradient of a network's input";
    detail::require_samples(x, input_size, doing);
    detail::require_same_shape(dz, {x.rows, width<L>}, doing, "dz");
    detail::require_same_shape(dx, {x.rows, input_size}, doing, "dx");
    if (x.rows == 0) return;
    reserve_training(x.rows);
    take_inputs(x);
    forward_layers_to<L>(x, pass_mode::differentiated);
    for_each_row(stream(), x.rows, convert_rows<storage, float>{dz, delta_of<L>(x.rows)});
    backward_from<L>(x, nullptr, input_delta<unit_derivative>{dx, {}}, pass_mode::differentiated);
  }

  // ---- Loss scaling, in FP16

  // Begins anew with these rules.
  void set_loss_scaling(const loss_scaling& rules) requires(scales_loss) {
    rules.validate();
    write_scaler({rules, {.scale = rules.initial}});
  }

  // Waits for the device.
  plexus::loss_scale loss_scale() const requires(scales_loss) { return read_scaler().now; }

  // Puts back what loss_scale() gave: for checkpoints.
  void restore_loss_scale(const plexus::loss_scale& earlier) requires(scales_loss) {
    earlier.validate();
    write_scaler({read_scaler().rules, earlier});
  }

  // ---- How products are computed

  // From now on by these choices, whatever the policy was: that is gemm_policy::tuned. They come from tune()
  // or load_tuning().
  void set_choices(gemm_choices choices) {
    use_choices(context_, std::move(choices));
    ++memory_version_;
  }
  gemm_choices choices() const { return context_.choices() ? *context_.choices() : gemm_choices{}; }

  // Has every product that work() computes measured by `measurement`: for tune().
  template <class Work>
  void measure_products(gemm_measurement& measurement, const Work& work) {
    const measuring_scope scope(context_, measurement);
    work();
  }

  // ---- Memory

  // Makes room for batches of up to `rows` samples. Calls with no more of them then allocate nothing on the
  // device.
  void reserve(int rows) {
    if (rows <= capacity_) return;
    buffer<storage> activations(region_begin<layer_count - 1>(rows));
    buffer<float> outputs(elements(rows, output_size));
    buffer<float> row_results(elements(rows, 2));
    buffer<storage> inputs;
    if constexpr (low_precision) {
      inputs = buffer<storage>(elements(rows, leading_dimension<storage>(input_size)));
      fill_zero(stream(), inputs.view());  // so that what pads a row is zero, here and below
      fill_zero(stream(), activations.view());
      ++memory_version_;  // the sums move, even if there is no room for them
      context_.room_for_sums(elements(rows, widest_hidden_layer));
    }
    inputs_ = std::move(inputs);
    activations_ = std::move(activations);
    outputs_ = std::move(outputs);
    row_results_ = std::move(row_results);
    training_memory_ = {};
    staged_inputs_ = {};
    staged_targets_ = {};
    staged_labels_ = {};
    capacity_ = rows;
    ++memory_version_;
  }

  // What batches of up to `rows` samples take of layer L: its outputs, and in training what
  // reserve_training() adds.
  template <std::size_t L>
  static constexpr batch_bytes layer_memory(int rows) {
    const std::size_t region = (region_begin<L + 1>(rows) - region_begin<L>(rows)) * sizeof(storage),
                      kept = kept_begin<L + 1>(rows) - kept_begin<L>(rows) + kept_of_batch_begin<L + 1>() -
                             kept_of_batch_begin<L>(),
                      outputs = L + 1 < layer_count ? region : elements(rows, output_size) * sizeof(float);
    return {outputs, outputs + regions_of_training * region + kept};
  }
  // What they take beside: results of each sample, inputs and sums where these are of another precision, and
  // parts of gradients where layers are computed together. Samples in host memory take a copy more.
  static batch_bytes memory_beside_layers(int rows) {
    std::size_t floats = elements(rows, 2), inputs = 0, parts = 0;
    if constexpr (low_precision) {
      inputs = elements(rows, leading_dimension<storage>(input_size));
      floats += elements(rows, widest_hidden_layer);
    }
    if constexpr (may_fuse) parts = fused::parts_size(rows);
    const std::size_t inference = floats * sizeof(float) + inputs * sizeof(storage);
    return {inference, inference + parts * sizeof(float)};
  }
  // The parameters with what pads them: as much are the gradients, and each value that an optimiser keeps.
  static constexpr std::size_t parameter_memory() { return layout::size * sizeof(float); }
  static constexpr std::size_t statistics_memory() { return statistics_layout::size * sizeof(float); }
  // The weights' copies in 16 bits, where there are any.
  static constexpr std::size_t copy_memory() {
    if constexpr (low_precision) return copies::size * sizeof(storage);
    return 0;
  }

  // Makes room for `values` of each parameter, zero, to be filled with the state of the optimiser of that
  // name (its Optimizer::name) after so many updates. It goes on from there; another one is refused.
  void restore_optimizer(const std::string& name, int values, std::uint64_t updates) {
    refuse_average("restoring an optimiser");
    optimizer_memory_.restore(stream(), name, values, updates);
    ++memory_version_;
  }

  // The next update is an optimiser's first. So is the first one by another optimiser than before; a schedule
  // or a clipping around the same one changes nothing of its state.
  void forget_optimizer() {
    refuse_average("forgetting an optimiser");
    optimizer_memory_.forget(stream());
    ++memory_version_;
  }

  // The name of the optimiser that has the state; empty where there is none.
  const std::string& optimizer_name() const { return optimizer_memory_.user(); }
  // How many updates it has made, if its steps depend on that number. Waits for the device.
  std::uint64_t optimizer_updates() const { return optimizer_memory_.updates(stream()); }

  // Where reduce_on_plateau stands, a part of the optimiser's state; and puts it back or moves it on.
  const plateau_state& plateau() const { return optimizer_memory_.plateau(); }
  void set_plateau(const plateau_state& now) {
    now.validate();
    optimizer_memory_.set_plateau(stream(), now);
  }

  // Changes whenever memory that a recorded graph refers to has moved, or its kernels were chosen anew.
  std::uint64_t memory_version() const { return memory_version_; }

  // In FP32. Who writes to them through views taken before the last forward pass takes them again, or
  // products in 16 bits go on with copies of what they were.
  std::vector<named_parameter> parameters() {
    weights_changed_ = true;
    return named<layout>(parameters_.data());
  }
  // What layers have learnt of their inputs otherwise than by gradients: batch_norm's running means and
  // variances.
  std::vector<named_parameter> statistics() { return named<statistics_layout>(statistics_.data()); }
  // All that a trained network is: its parameters and its statistics.
  std::vector<named_parameter> tensors() {
    std::vector<named_parameter> all = parameters();
    for (named_parameter& tensor : statistics()) all.push_back(std::move(tensor));
    return all;
  }
  std::vector<named_parameter> gradients() {
    reserve_gradients();
    return named<layout>(gradients_.data());
  }
  // What the optimiser keeps of each parameter: its first value (the velocity of sgd) under the parameter's
  // name, the others (the second moment of adam) under that name with ".1", ".2", … Empty where there is
  // none.
  std::vector<named_parameter> optimizer_state() {
    std::vector<named_parameter> all;
    for (int value = 0; value < optimizer_memory_.values(); ++value) {
      for (named_parameter& tensor : named<layout>(optimizer_memory_.state(value))) {
        tensor.name += optimizer_suffix(value);
        all.push_back(std::move(tensor));
      }
    }
    return all;
  }
  // The end of the names of its nth values, counted from 0.
  static std::string optimizer_suffix(int nth) { return nth == 0 ? "" : "." + std::to_string(nth); }

  // ---- The network as a function of one sample

  // Reads its weights from the network's arena, in device memory, for as long as the network lives: for
  // kernels, and for the host where that is the device.
  // Waits for the network's stream; after a later update, wait again or launch on stream().
  auto function() const {
    context_.synchronize();
    return network_function<layers, weights_by_pointer>({parameters_.data()});
  }

  // Reads them from `arena`, a copy of arena_size floats in any memory that its caller can read.
  PLEXUS_FN static auto function_of(const float* arena) {
    return network_function<layers, weights_by_pointer>({arena});
  }

  // Holds a copy of the weights itself. For small networks: an argument of a kernel has 4 KB, since CUDA 12.1
  // 32 KB.
  auto function_by_value() const {
    weights_by_value<layout::size> weights;
    copy_to_host<float>(stream(), weights.data, parameters_.data());
    return network_function<layers, weights_by_value<layout::size>>(weights);
  }

  // Brings the weights' copies up to date, where there are any: what every forward pass does first. For who
  // replays a recorded one.
  void refresh_weights() {
    if constexpr (low_precision) {
      if (!std::exchange(weights_changed_, false)) return;
      for_each_row(stream(), copies::rows,
                   update_rows<copies, no_update, storage>{{arenas()}, copies_.data(), nullptr});
    }
  }

  // The epoch whose loss was least: while early stopping trains, after an error that has ended it, and from a
  // checkpoint of it.
  std::optional<least_loss_epoch>& best_epoch() { return best_epoch_; }

  const training_counters& training_state() const { return counters_; }
  // Goes on from there.
  void restore_training_state(const training_counters& earlier) {
    counters_ = earlier;
    rows_in_training_ = 0;
    draw_as_in_step(earlier.step);
    ++memory_version_;  // a recorded step holds the seed
  }
  void count_epoch() { ++counters_.epoch; }
  // What work on the network changes on the host: recording it changes that, though the work is yet to come,
  // and replaying it does not.
  host_effects effects() const { return {counters_.step, rows_in_training_}; }
  void set_effects(const host_effects& now) {
    counters_.step = now.step;
    rows_in_training_ = now.rows_in_training;
  }

  cudaStream_t stream() const { return context_.stream(); }

 private:
  using storage = typename Precision::storage;
  static constexpr bool low_precision = !std::is_same_v<storage, float>;
  using copies = detail::copies_layout<layers, storage>;
  using statistics_layout = detail::arena_layout<layers, detail::statistics_tensors>;

  static constexpr bool draws = [] {
    bool any = false;
    detail::for_each_index<layer_count>(
        [&]<std::size_t L>() { any = any || layer_type<L>::draws_random_numbers; });
    return any;
  }();

  static constexpr int inference_rows =
      256;  // a batch of predict: large enough for GEMM, small enough for caches

  template <class Activation>
  struct default_initializer {
    using type = glorot_uniform;
  };
  template <class Activation>
  requires requires { typename Activation::initializer; }
  struct default_initializer<Activation> {
    using type = typename Activation::initializer;
  };

  static constexpr std::size_t elements(int rows, int width) {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(width);
  }

  static void require_one_target(const target_view& y, const char* doing) {
    require((y.labels == nullptr) != (y.values == nullptr), doing,
            y.labels == nullptr ? "the target has neither labels nor values"
                                : "the target has both labels and values",
            "give a target_view exactly one of the two");
  }

  static int sample_count(std::span<const float> x, const char* doing = "training on a batch") {
    return detail::sample_count(x, input_size, doing);
  }

  // function.operator()<L>() for every layer.
  template <class Function>
  static void for_each_layer(Function&& function) {
    detail::for_each_index<layer_count>(function);
  }

  void exchange_average() {
    for_each(stream(), layout::size, exchange_values{parameters_.data(), optimizer_memory_.state(0)});
    uses_average_ = !uses_average_;
    weights_changed_ = true;
  }

  void begin_anew(seed s) {
    weights_changed_ = true;
    uses_average_ = false;
    best_epoch_.reset();
    restore_training_state({.random = s});
    reset_totals();
    for (const detail::tensor_record& tensor : statistics_layout::tensors) {
      constant{tensor.spec.initial}(stream(), {statistics_.data() + tensor.offset, tensor.spec.size()});
    }
    optimizer_memory_.forget(stream());
    ++memory_version_;
    if constexpr (scales_loss) set_loss_scaling(read_scaler().rules);
  }

  template <class Initializer>
  void initialize_layer(std::size_t l, seed s, const Initializer& initializer) {
    std::uint64_t i = 0;
    for (const detail::tensor_record& tensor : layout::tensors) {
      const std::uint64_t number = i++;
      if (tensor.layer != l) continue;
      const view<float> values{parameters_.data() + tensor.offset, tensor.spec.size()};
      if (tensor.spec.is_weight) {
        initializer(stream(), values, random_stream{s.value, number}, tensor.spec.fan);
      } else {
        constant{tensor.spec.initial}(stream(), values);
      }
    }
  }

  static std::string name_of(const detail::tensor_record& tensor) {
    return std::to_string(tensor.module_number) + "." + tensor.spec.name;
  }

  template <class Layout>
  static std::vector<named_parameter> named(float* arena) {
    std::vector<named_parameter> result;
    for (const detail::tensor_record& tensor : Layout::tensors) {
      result.push_back(
          {name_of(tensor), used_extents(tensor.spec.extents), {arena + tensor.offset, tensor.spec.size()}});
    }
    return result;
  }

  // ---- Where the layers' activations lie: one region a layer, each (capacity, width), one after the other.
  // The last layer's, the network's outputs, are in FP32 and lie apart.

  template <std::size_t L>
  static constexpr int width = layer_type<L>::output_shape::size;
  template <std::size_t L>
  using output_element = std::conditional_t<L + 1 == layer_count, float, storage>;

  static constexpr int widest_hidden_layer = [] {
    int widest = 0;
    detail::for_each_index<layer_count - 1>([&]<std::size_t L>() { widest = std::max(widest, width<L>); });
    return widest;
  }();
  template <std::size_t L>
  static constexpr bool keeps_z = !output_differentiable<typename layer_type<L>::activation>;

  template <std::size_t L>
  static constexpr std::size_t region_begin(int rows) {
    std::size_t begin = 0;
    detail::for_each_index<L>([&]<std::size_t Before>() {
      begin += padded<storage>(elements(rows, leading_dimension<storage>(width<Before>)));
    });
    return begin;
  }
  // Layer L's region of memory that has one for every layer.
  template <std::size_t L>
  matrix_view<storage> region(storage* memory, int rows) const {
    return {memory + region_begin<L>(capacity_), rows, width<L>, leading_dimension<storage>(width<L>)};
  }

  template <std::size_t L>
  matrix_view<output_element<L>> outputs_of(int rows) const {
    if constexpr (L + 1 == layer_count) {
      return matrix(outputs_.data(), rows, output_size);
    } else {
      return region<L>(activations_.data(), rows);
    }
  }
  matrix_view<float> outputs(int rows) const { return outputs_of<layer_count - 1>(rows); }

  // The training memory holds every layer's delta, and behind them every layer's z.
  template <std::size_t L>
  matrix_view<storage> delta_of(int rows) const {
    return region<L>(training_memory_.data(), rows);
  }
  template <std::size_t L>
  matrix_view<storage> z_of(int rows) const {
    return region<L>(training_memory_.data() + region_begin<layer_count>(capacity_), rows);
  }

  // What layers keep for backward beside these.
  template <std::size_t L>
  static constexpr std::size_t kept_begin(int rows) {
    std::size_t begin = 0;
    detail::for_each_index<L>([&]<std::size_t Before>() {
      begin += padded<unsigned char>(elements(rows, layer_type<Before>::kept_bytes));
    });
    return begin;
  }
  // Of a batch as a whole: whatever the batch, at the same place until the update.
  template <std::size_t L>
  static constexpr std::size_t kept_of_batch_begin() {
    std::size_t begin = 0;
    detail::for_each_index<L>([&]<std::size_t Before>() {
      begin += padded<unsigned char>(layer_type<Before>::kept_bytes_of_batch);
    });
    return begin;
  }

  enum class pass_mode {
    inference,
    differentiated,  // the same, and it keeps what backward needs
    training,
  };

  template <std::size_t L>
  layer_pass pass_of(pass_mode mode) const {
    layer_pass pass{.training = mode == pass_mode::training};
    if (mode == pass_mode::inference) return pass;
    if constexpr (layer_type<L>::kept_bytes > 0) pass.kept = kept_.data() + kept_begin<L>(capacity_);
    if constexpr (layer_type<L>::kept_bytes_of_batch > 0) {
      pass.of_batch = kept_of_batch_.data() + kept_of_batch_begin<L>();
    }
    if constexpr (layer_type<L>::draws_random_numbers) {
      pass.random = {counters_.random.value, L, device_step_.data()};
    }
    return pass;
  }

  static constexpr bool any_keeps_z = [] {
    bool any = false;
    detail::for_each_index<layer_count>([&]<std::size_t L>() { any = any || keeps_z<L>; });
    return any;
  }();

  static constexpr std::size_t regions_of_training = any_keeps_z ? 2 : 1;  // of each layer: delta and z

  void reserve_training(int rows) {
    reserve(rows);
    if (training_memory_.size() != 0) return;
    buffer<storage> deltas_and_z(regions_of_training * region_begin<layer_count>(capacity_));
    if constexpr (low_precision) fill_zero(stream(), deltas_and_z.view());
    kept_ = buffer<unsigned char>(kept_begin<layer_count>(capacity_));
    if (kept_of_batch_.size() == 0)
      kept_of_batch_ = buffer<unsigned char>(kept_of_batch_begin<layer_count>());
    reserve_fused_training();
    training_memory_ = std::move(deltas_and_z);  // last: it says that all of it is there
    ++memory_version_;
  }

  // A network that only infers has no gradients; zero before the first backward.
  void reserve_gradients() {
    if (gradients_.size() == layout::size) return;
    gradients_ = buffer<float>(layout::size);
    fill_zero(stream(), gradients_.view());
    ++memory_version_;
  }

  template <std::size_t L>
  auto derivative_of(int rows) const {
    using activation = typename layer_type<L>::activation;
    if constexpr (keeps_z<L>) {
      return activation_derivative<activation, storage>{z_of<L>(rows), {}};
    } else {
      return activation_derivative<activation, output_element<L>>{outputs_of<L>(rows), {}};
    }
  }

  // ---- Forward and backward

  template <std::size_t L>
  matrix_view<const storage> input_of(matrix_view<const float> x) const {
    if constexpr (L > 0) {
      return outputs_of<L - 1>(x.rows);
    } else if constexpr (low_precision) {
      return converted_inputs(x.rows);
    } else {
      return x;
    }
  }
  matrix_view<storage> converted_inputs(int rows) const {
    return {inputs_.data(), rows, input_size, leading_dimension<storage>(input_size)};
  }

  template <std::size_t L>
  static constexpr std::size_t layer_offset = layout::layer_offset(L);

  template <std::size_t L>
  layer_parameters<Precision> parameters_of() const {
    const float* arena = parameters_.data() + layer_offset<L>;
    if constexpr (low_precision) {
      return {arena, copies_.data() + copies::layer_offset(L), statistics_of_layer<L>()};
    } else {
      return {arena, arena, statistics_of_layer<L>()};
    }
  }

  template <std::size_t L>
  float* statistics_of_layer() const {
    return statistics_.data() + statistics_layout::layer_offset(L);
  }

  // What products read: weights and inputs, in 16 bits where the precision has them.
  void take_inputs(matrix_view<const float> x) {
    refresh_weights();
    if constexpr (low_precision) {
      for_each_row(stream(), x.rows, convert_rows<storage, float>{x, converted_inputs(x.rows)});
    }
  }

  void forward_layers(matrix_view<const float> x, pass_mode mode) {
    take_inputs(x);
    if constexpr (may_fuse) {
      if (fuses()) {
        return fused::forward(stream(), fused_parameters(), input_of<0>(x),
                              fused_memory_of(x.rows, mode != pass_mode::inference));
      }
    }
    forward_layers_to<layer_count - 1>(x, mode);
  }

  // One after the other, to the layer `Last`.
  template <std::size_t Last, std::size_t L = 0>
  void forward_layers_to(matrix_view<const float> x, pass_mode mode) {
    basic_layer_memory<output_element<L>, storage> memory{outputs_of<L>(x.rows), {}, pass_of<L>(mode)};
    if constexpr (keeps_z<L>) {
      if (mode != pass_mode::inference) memory.z = z_of<L>(x.rows);
    }
    layer_type<L>::forward(context_, parameters_of<L>(), input_of<L>(x), memory);
    if constexpr (L < Last) forward_layers_to<Last, L + 1>(x, mode);
  }

  template <class Loss, class InputDelta>
  void propagate(matrix_view<const float> x, target_view y, const Loss& loss, const InputDelta& dx) {
    detail::require_samples(x, input_size, "training a network");
    require(x.rows > 0, "training a network", "the batch is empty", "give at least one sample");
    require_one_target(y, "training a network");
    validate_loss(loss, output_size);
    reserve_training(x.rows);
    reserve_gradients();
    forward_layers(x, pass_mode::training);
    rows_in_training_ = x.rows;
    const auto derivative = derivative_of<layer_count - 1>(x.rows);
    for_each_row(stream(), x.rows,
                 output_delta_rows<Loss, std::remove_const_t<decltype(derivative)>, storage>{
                     loss, outputs(x.rows), y, results(), delta_of<layer_count - 1>(x.rows), derivative,
                     1 / divisor_of<Loss>(static_cast<float>(x.rows)), scale_of_loss()});
    add_training_totals(x.rows);
    backward_layers(x, dx);
    if constexpr (!scales_loss) {
      if (is_watched())
        for_each_row(stream(), runs::rows, watch_gradients<runs>{gradients_.data(), step_watch_.data()});
    } else {
      for_each(stream(), 1, begin_overflow{scaler_.data(), step_watch_.data()});
      for_each_row(stream(), copies::rows, unscale_rows<copies>{gradients_.data(), scaler_.data()});
    }
  }

  const float* scale_of_loss() const {
    if constexpr (scales_loss) return &scaler_.data()->now.scale;
    return nullptr;
  }

  template <class InputDelta>
  void backward_layers(matrix_view<const float> x, const InputDelta& dx) {
    if constexpr (may_fuse) {
      if (fuses()) return fused_backward(x, dx);
    }
    backward_from<layer_count - 1>(x, gradients_.data(), dx, pass_mode::training);
  }

  // From layer L's delta to the input, and to the parameters' gradients unless `gradients` is null.
  template <std::size_t L, class InputDelta>
  void backward_from(matrix_view<const float> x, float* gradients, const InputDelta& dx, pass_mode mode) {
    const auto backward_into = [&](const auto& input_delta) {
      layer_type<L>::backward(context_, parameters_of<L>(),
                              gradients == nullptr ? nullptr : gradients + layer_offset<L>, input_of<L>(x),
                              delta_of<L>(x.rows), pass_of<L>(mode), input_delta);
    };
    if constexpr (L == 0) {
      backward_into(dx);
    } else {
      const auto derivative = derivative_of<L - 1>(x.rows);
      backward_into(input_delta<std::remove_const_t<decltype(derivative)>, storage>{delta_of<L - 1>(x.rows),
                                                                                    derivative});
      backward_from<L - 1>(x, gradients, dx, mode);
    }
  }

  // ---- All layers as one kernel

  using fused = fused_layers<layers, Precision>;
  static constexpr bool may_fuse = may_be_fused<layers> && fused::fit;

  bool fuses() const {
    return fusion_ == fusion_policy::automatic && context_.policy() != gemm_policy::vendor &&
           fused::runs_on(context_.device());
  }

  void reserve_fused_training() {
    if constexpr (may_fuse) {
      gradient_parts_ = buffer<float>(fused::parts_size(capacity_));
      fill_zero(stream(), gradient_parts_.view());
    }
  }

  auto fused_parameters() const {
    typename fused::parameters all;
    for_each_layer([&]<std::size_t L>() { all[L] = parameters_of<L>(); });
    return all;
  }

  // What training keeps of every layer; for inference the outputs alone.
  auto fused_memory_of(int rows, bool training) const {
    typename fused::memory memory{};
    memory.outputs = outputs(rows);
    if (!training) return memory;
    for_each_layer([&]<std::size_t L>() {
      memory[L].delta = delta_of<L>(rows);
      if constexpr (L + 1 < layer_count) memory[L].a = outputs_of<L>(rows);
      if constexpr (keeps_z<L>) memory[L].z = z_of<L>(rows);
    });
    return memory;
  }

  template <class InputDelta>
  void fused_backward(matrix_view<const float> x, const InputDelta& dx) {
    const auto kept = fused_memory_of(x.rows, true);
    fused::backward(stream(), fused_parameters(), kept, dx);
    fused::find_gradients(stream(), input_of<0>(x), kept, gradient_parts_.data(), gradients_.data());
  }

  // ---- The parameters and their copies, the loss scale

  // Runs of parameters: a warp's work in an update, and in the norm of the gradients, whose parts one block
  // adds up.
  using runs = arena_runs<layout::size, platform::on_cpu ? 4096 : 128>;
  using norm_runs = arena_runs<layout::size, 4096>;

  bool is_watched() const { return step_watch_.size() != 0; }

  // In device memory, where steps may be skipped: not 0 where this step is to change nothing.
  const int* skip() const {
    if constexpr (scales_loss) return &scaler_.data()->overflow;
    return is_watched() && watch_rule_ != non_finite::go_on ? &step_watch_.data()->is_bad : nullptr;
  }

  update_arenas arenas() const {
    return {parameters_.data(), gradients_.data(), optimizer_memory_.state(), layout::size};
  }

  // update(i) for every parameter, in one launch that writes the weights' copies as well.
  template <class Update>
  void update_all(const Update& update) {
    using rows = std::conditional_t<low_precision, copies, runs>;
    for_each_row(stream(), rows::rows, update_rows<rows, Update, storage>{update, copies_.data(), skip()});
  }

  void draw_as_in_step(std::uint64_t step) {
    if constexpr (draws) {
      copy_to_device<std::uint64_t>(stream(), device_step_.data(), std::span(&step, 1));
      context_.synchronize();
    }
  }

  void update_statistics() {
    const int rows = std::exchange(rows_in_training_, 0);
    if (rows == 0) return;  // there was no backward since the last update
    for_each_layer([&]<std::size_t L>() {
      if constexpr (layer_type<L>::statistics.size() > 0) {
        layer_type<L>::update_statistics(context_, statistics_of_layer<L>(), pass_of<L>(pass_mode::training),
                                         rows, skip());
      }
    });
  }

  // What the optimiser applies in this update.
  template <class Optimizer>
  const step_type<Optimizer>* begin_step(const Optimizer& optimizer) {
    update_moment* const moment = optimizer_memory_.moment();
    if constexpr (needs_gradient_norm<Optimizer>) {
      double* const parts = optimizer_memory_.norm_parts(norm_runs::rows);
      for_each_row(stream(), norm_runs::rows, gradient_squares<norm_runs>{gradients_.data(), parts});
      for_each_long_row(stream(), 1, gradient_length{parts, norm_runs::rows, &moment->gradient_norm});
    }
    auto* const step = optimizer_memory_.template step<step_type<Optimizer>>();
    for_each(stream(), 1, begin_update<Optimizer>{optimizer, moment, step, skip()});
    return step;
  }

  loss_scaler read_scaler() const {
    loss_scaler scaler;
    copy_to_host<loss_scaler>(stream(), std::span(&scaler, 1), scaler_.data());
    return scaler;
  }
  void write_scaler(const loss_scaler& scaler) {
    copy_to_device<loss_scaler>(stream(), scaler_.data(), std::span(&scaler, 1));
    context_.synchronize();
  }

  row_results results() const { return {row_results_.data(), row_results_.data() + capacity_}; }

  void add_to_totals(int rows) {
    for_each_row(stream(), 2, add_row_sums{{row_results_.data(), 2, rows, capacity_}, totals_.data()});
  }

  void add_training_totals(int rows) {
    if (!is_watched()) return add_to_totals(rows);
    for_each_row(
        stream(), 1,
        add_watched_results{{row_results_.data(), 2, rows, capacity_}, totals_.data(), step_watch_.data()});
  }

  template <class T>
  bool is_finite(matrix_view<T> values) const {
    std::vector<T> row(static_cast<std::size_t>(values.cols));
    for (int r = 0; r < values.rows; ++r) {
      copy_to_host<T>(stream(), row, values.row(r));
      if (!std::ranges::all_of(row, [](T value) { return std::isfinite(static_cast<float>(value)); }))
        return false;
    }
    return true;
  }

  // ---- Batches in host memory

  matrix_view<const float> stage(const float* x, int rows) {
    reserve(rows);
    if (staged_inputs_.size() == 0) {
      staged_inputs_ = buffer<float>(elements(capacity_, input_size));
      staged_targets_ = buffer<float>(elements(capacity_, output_size));
      staged_labels_ = buffer<int>(elements(capacity_, 1));
    }
    copy_to_device(stream(), staged_inputs_.data(), std::span(x, elements(rows, input_size)));
    return matrix<const float>(staged_inputs_.data(), rows, input_size);
  }

  // Waits for the device. A CPU's kernels read the samples where they are.
  void predict_rows(const float* x, int rows, float* y) {
    const auto a = forward(platform::on_cpu ? matrix<const float>(x, rows, input_size) : stage(x, rows));
    copy_to_host(stream(), std::span(y, elements(rows, output_size)), a.data);
  }

  context context_;
  fusion_policy fusion_;
  buffer<float> parameters_, gradients_, statistics_;
  buffer<std::uint64_t> device_step_;  // where layers draw random numbers
  detail::optimizer_memory<layout::size> optimizer_memory_;
  buffer<double> totals_;  // Σ loss, Σ correct
  buffer<storage> inputs_, activations_, training_memory_;
  buffer<unsigned char> kept_, kept_of_batch_;
  buffer<float> outputs_, gradient_parts_, row_results_;
  buffer<float> staged_inputs_, staged_targets_;
  buffer<int> staged_labels_;
  int capacity_ = 0;
  int rows_in_training_ = 0;  // of the last backward since an update
  std::uint64_t memory_version_ = 0;
  training_counters counters_;
  std::optional<least_loss_epoch> best_epoch_;
  buffer<storage> copies_;         // of the weights, in 16 bits
  buffer<loss_scaler> scaler_;     // where the loss is scaled
  bool weights_changed_ = false;   // since the copies were written
  bool uses_average_ = false;      // in place of the weights
  buffer<step_watch> step_watch_;  // where steps are watched
  std::optional<non_finite> watch_rule_;
};

// network<input<784>, dense<300, relu>, dense<10>>: in FP32. With a precision policy before the input, such
// as mixed<fp16>, in that one.
template <class First, class... Rest>
class network : public basic_network<fp32, First, Rest...> {
 public:
  using basic_network<fp32, First, Rest...>::basic_network;
};

template <precision_policy Precision, class... Entries>
class network<Precision, Entries...> : public basic_network<Precision, Entries...> {
 public:
  using basic_network<Precision, Entries...>::basic_network;
};

}  // namespace plexus::inline PLEXUS_ABI
