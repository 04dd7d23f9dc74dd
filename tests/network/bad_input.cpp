#include <plexus/plexus.hpp>
#include <plexus/train/metrics.hpp>
#include <plexus/tune.hpp>

#include "support/bad_input.hpp"
#include "support/data.hpp"

#include <limits>

namespace px = plexus;

namespace {

using network = px::network<px::input<3>, px::dense<4, px::relu>, px::dense<2>>;

px::history fit(const px::dataset& data, const px::sgd& optimizer, const px::fit_options& options) {
  network net;
  return px::fit(net, data, px::softmax_cross_entropy{}, optimizer, options);
}

// fit() on ten good samples.
support::folder_action training(const px::sgd& optimizer, const px::fit_options& options) {
  return [=](const auto&) { fit(support::largest_feature(10, 3, 2), optimizer, options); };
}

template <class Optimizer>
support::folder_action updating(const Optimizer& optimizer) {
  return [=](const auto&) { network{}.update(optimizer); };
}

support::folder_action scaling(const px::loss_scaling& rules) {
  return [=](const auto&) {
    px::network<px::mixed<px::fp16>, px::input<3>, px::dense<2>>{}.set_loss_scaling(rules);
  };
}

// fit() by a loss that makes no sense.
template <class Loss>
support::folder_action training_by(const Loss& loss) {
  return [=](const auto&) {
    network net;
    px::fit(net, support::largest_feature(10, 3, 2), loss, px::sgd{}, {.batch = 5});
  };
}

// fit() on ten samples with something wrong.
template <class Spoil>
support::folder_action training_on(const Spoil& spoil) {
  return [=](const auto&) {
    px::dataset data = support::random_targets(10, 3, 2);
    spoil(data);
    fit(data, px::sgd{}, {.epochs = 1, .batch = 5});
  };
}

// An optimiser of the user's.
struct sign_of_gradient {
  static constexpr const char* name = "sign_of_gradient";
  int state_count() const { return 0; }
  PLEXUS_FN void operator()(float& w, float gradient, px::parameter_state) const {
    w -= gradient > 0 ? 0.01f : -0.01f;
  }
};

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

const std::vector<float> one_nan{1, not_a_number, 1};
const std::vector<float> three(3, 1.0f), five(5, 1.0f), six(6, 1.0f);
const std::vector<int> one_label{1}, wrong_label{2};

}  // namespace

TEST_CASE("Bad input to a network and its training", "[network][bad_input]") {
  support::check_bad_inputs(
      "networks and training",
      {
          {"a sample of the wrong width", [](const auto&) { network{}.predict(five); },
           "predicting one sample", "the data have size 5 and not 1 × 3", "give 3 values"},
          {"a batch of the wrong size", [](const auto&) { network{}.predict(five, 2); }, "predicting a batch",
           "the data have size 5 and not 2 × 3", "give 6 values"},
          {"a negative number of samples", [](const auto&) { network{}.predict(five, -1); },
           "predicting a batch", "the number of samples is negative", "give 0 or more"},
          {"a device matrix of the wrong width",
           [](const auto&) {
             const px::buffer<float> x(10);
             network{}.forward(px::matrix<const float>(x.data(), 2, 5));
           },
           "running a network forward",
           "the samples are a matrix (2, 5) with 5 values from row to row, the network takes 3 values a "
           "sample",
           "give a matrix (n, 3)"},
          {"a device matrix with a negative number of rows",
           [](const auto&) {
             const px::buffer<float> x(6);
             network{}.forward(px::matrix<const float>(x.data(), -2, 3));
           },
           "running a network forward",
           "the samples are a matrix (-2, 3) with 3 values from row to row, the network takes 3 values a "
           "sample",
           "give a matrix (n, 3)"},
          {"a device matrix whose rows overlap",
           [](const auto&) {
             const px::buffer<float> x(6);
             network{}.backward({x.data(), 2, 3, 2}, {}, px::quadratic{});
           },
           "training a network",
           "the samples are a matrix (2, 3) with 2 values from row to row, the network takes 3 values a "
           "sample",
           "give a matrix (n, 3)"},
          {"a target with neither labels nor values",
           [](const auto&) {
             const px::buffer<float> x(6);
             network{}.backward(px::matrix<const float>(x.data(), 2, 3), {}, px::quadratic{});
           },
           "training a network", "the target has neither labels nor values",
           "give a target_view exactly one of the two"},
          {"an empty batch to train on",
           [](const auto&) {
             network{}.step(std::span<const float>{}, std::span<const float>{}, px::quadratic{}, px::sgd{});
           },
           "training a network", "the batch is empty", "give at least one sample"},
          {"a batch that is no whole number of samples",
           [](const auto&) {
             network{}.step(std::span(five), std::span(one_label), px::softmax_cross_entropy{}, px::sgd{});
           },
           "training on a batch", "5 values are no whole number of samples of 3", "give n × 3 values"},
          {"more labels than samples",
           [](const auto&) {
             network{}.step(std::span(six), std::span(one_label), px::softmax_cross_entropy{}, px::sgd{});
           },
           "training on a batch of labels", "the data have size 1 and not 2 × 1", "give 2 values"},
          {"targets of the wrong width",
           [](const auto&) {
             network{}.step(std::span(three), std::span(three), px::quadratic{}, px::sgd{});
           },
           "training on a batch of targets", "the data have size 3 and not 1 × 2", "give 2 values"},
          {"a label that no output stands for",
           [](const auto&) {
             network{}.step(std::span(three), std::span(wrong_label), px::softmax_cross_entropy{}, px::sgd{});
           },
           "training on a batch of labels", "sample 0 has label 2 of 2 classes",
           "labels count from 0: correct the label, or set the network's outputs to the number of classes"},
          {"a rate of zero", training({.rate = 0}, {}), "configuring sgd",
           "the rate is not a positive number", "choose one such as 0.1"},
          {"a negative rate for an update alone", [](const auto&) { network{}.update(px::sgd{.rate = -1}); },
           "configuring sgd", "the rate is not a positive number", "choose one such as 0.1"},
          {"a rate that is NaN", training({.rate = not_a_number}, {}), "configuring sgd",
           "the rate is not a positive number", "choose one such as 0.1"},
          {"a momentum of one", training({.momentum = 1}, {}), "configuring sgd",
           "the momentum is not in [0, 1)", "choose one such as 0.9, or 0 for none"},
          {"a negative weight decay", training({.weight_decay = -1}, {}), "configuring sgd",
           "the weight decay is not a number ≥ 0", "choose one such as 1e-4, or 0 for none"},
          {"Nesterov's step without momentum", training({.nesterov = true}, {}), "configuring sgd",
           "Nesterov's step is asked for without momentum", "set a momentum, or nesterov = false"},
          {"adam without a rate", updating(px::adam{.rate = 0}), "configuring adam", "the rate is not a positive number", "choose one such as 1e-3"},
          {"adam with a beta1 of one", updating(px::adam{.beta1 = 1}), "configuring adam", "the beta1 is not in [0, 1)", "choose one such as 0.9"},
          {"adamw with a NaN for beta2", updating(px::adamw{.beta2 = not_a_number}), "configuring adamw", "the beta2 is not in [0, 1)", "choose one such as 0.999"},
          {"adamw with an epsilon of zero", updating(px::adamw{.epsilon = 0}), "configuring adamw", "the epsilon is not a positive number", "choose one such as 1e-8"},
          {"adamw with a negative weight decay", updating(px::adamw{.weight_decay = -1}), "configuring adamw", "the weight decay is not a number ≥ 0", "choose one such as 1e-2"},
          {"rmsprop with an alpha of one", updating(px::rmsprop{.alpha = 1}), "configuring rmsprop", "the alpha is not in [0, 1)", "choose one such as 0.99"},
          {"rmsprop with a negative momentum", updating(px::rmsprop{.momentum = -0.5f}), "configuring rmsprop", "the momentum is not in [0, 1)", "choose one such as 0.9, or 0 for none"},
          {"adagrad with a negative rate decay", updating(px::adagrad{.rate_decay = -1}), "configuring adagrad", "the rate decay is not a number ≥ 0", "choose one such as 1e-3, or 0 for none"},
          {"lion with a beta2 of one", updating(px::lion{.beta2 = 1}), "configuring lion", "the beta2 is not in [0, 1)", "choose one such as 0.99"},
          {"clipping to a norm of zero", updating(px::clip_norm{px::sgd{}, 0.0f}), "clipping gradients by their norm", "the limit is not a positive number", "choose one such as 1"},
          {"clipping to a negative value", updating(px::clip_value{px::sgd{}, -1.0f}), "clipping gradients by their values", "the limit is not a positive number", "choose one such as 1"},
          {"a clipped optimiser without a rate", updating(px::clip_norm{px::adam{.rate = -1}, 1.0f}), "configuring adam", "the rate is not a positive number", "choose one such as 1e-3"},
          {"steps of no updates", updating(px::scheduled{px::sgd{}, px::step_decay{.every = 0}}), "scheduling steps", "the number of updates is not positive", "choose one such as 10000"},
          {"a decay to zero", updating(px::scheduled{px::sgd{}, px::exponential_decay{.factor = 0}}), "scheduling an exponential", "the factor is not a positive number", "choose one such as 0.999"},
          {"a cosine that ends as it is warm", updating(px::scheduled{px::sgd{}, px::cosine{.steps = 5, .warm_up = 5}}), "scheduling a cosine", "the number of updates is not above those of the warm-up", "choose one such as 10000"},
          {"one cycle that only falls", updating(px::scheduled{px::sgd{}, px::one_cycle{.rising = 0}}), "scheduling one cycle", "the rising part is not in (0, 1) and more than one update", "choose one such as 0.3"},
          {"another optimiser than that of the checkpoint",
           [](const auto&) {
             network net;
             net.restore_optimizer("adam", 2, 5);
             net.update(px::lion{});
           },
           "updating a network",
           "its optimiser is lion with 1 value of a parameter, and what was restored is of adam with 2 values of a parameter",
           "go on with the optimiser that was saved, or call forget_optimizer()"},
          {"an optimiser restored with fewer than no values",
           [](const auto&) { network{}.restore_optimizer("adam", -1, 5); }, "restoring an optimiser",
           "the number of values of a parameter is negative", "give 0 or more"},
          {"two optimisers in a recorded step",
           [](const auto&) {
             network net;
             px::recorded_step step(net, [&] {
               net.update(px::adam{});
               net.update(px::lion{});
             });
             for (int i = 0; i < 3; ++i) step();
           },
           "updating a network", "its optimiser is another one than before, in a step that is being recorded",
           "make one update in a recorded step, always by the same optimiser"},
          {"an average that never moves", updating(px::averaged{px::sgd{}, 1.0f}), "averaging weights", "the decay is not in [0, 1)", "choose one such as 0.999"},
          {"an average that nobody keeps", [](const auto&) { network net; net.update(px::adam{}); net.use_average(); }, "using a network's average", "its optimiser keeps none", "train by averaged{…}, or load a checkpoint of such a training"},
          {"the average of no updates", [](const auto&) { network net; net.restore_optimizer("averaged sgd", 1, 0); net.use_average(); }, "using a network's average", "there has been no update yet", "train first"},
          {"an update of the average", [](const auto&) { network net; const px::averaged by{px::sgd{}, 0.9f}; net.update(by); const px::average_scope scope(net); net.update(by); }, "updating a network", "its weights are their average", "end the average_scope first"},
          {"a recorded update of the average", [](const auto&) { network net; px::recorded_step step(net, [&] { net.update(px::averaged{px::sgd{}, 0.9f}); }); step(); step(); const px::average_scope scope(net); step(); }, "updating a network", "its weights are their average", "end the average_scope first"},
          {"the average of the average", [](const auto&) { network net; net.update(px::averaged{px::sgd{}, 0.9f}); const px::average_scope scope(net), again(net); }, "using a network's average", "its weights are their average", "end the average_scope first"},
          {"a plateau that lowers nothing", training({}, {.batch = 5, .on_plateau = px::reduce_on_plateau{.factor = 1}}), "configuring reduce_on_plateau", "the factor is not in (0, 1)", "choose one such as 0.1"},
          {"a plateau of negative patience", training({}, {.batch = 5, .on_plateau = px::reduce_on_plateau{.patience = -1}}), "configuring reduce_on_plateau", "the patience is not a number of epochs ≥ 0", "choose one such as 10"},
          {"a plateau with a threshold that is NaN", training({}, {.batch = 5, .on_plateau = px::reduce_on_plateau{.threshold = NAN}}), "configuring reduce_on_plateau", "the threshold is not in [0, 1)", "choose one such as 1e-4"},
          {"a plateau of negative cooldown", training({}, {.batch = 5, .on_plateau = px::reduce_on_plateau{.cooldown = -1}}), "configuring reduce_on_plateau", "the cooldown is not a number of epochs ≥ 0", "choose one such as 0"},
          {"a plateau that never falls", training({}, {.batch = 5, .on_plateau = px::reduce_on_plateau{.least = 1}}), "configuring reduce_on_plateau", "the least factor is not in [0, 1)", "choose one such as 0"},
          {"a plateau under an optimiser without a rate", [](const auto&) { network net; px::fit(net, support::largest_feature(10, 3, 2), px::softmax_cross_entropy{}, sign_of_gradient{}, {.batch = 5, .on_plateau = px::reduce_on_plateau{}}); }, "training a network", "the optimiser has no member rate that falls on a plateau", "give it one, or leave out on_plateau"},
          {"a plateau's factor above one", [](const auto&) { network{}.set_plateau({.rate_factor = 2}); }, "restoring a plateau", "the factor of the rate is not in [0, 1] or the least loss is NaN", "give what plateau() once gave"},
          {"a Huber loss without a width", training_by(px::huber{.delta = 0}), "configuring huber",
           "the delta is not a positive number", "choose one such as 1"},
          {"a smooth L1 of negative width", training_by(px::smooth_l1{.beta = -1}), "configuring smooth_l1",
           "the beta is not a number ≥ 0", "choose one such as 1, or 0 for mean_absolute"},
          {"a relative error without an epsilon", training_by(px::relative_squared{.epsilon = 0}),
           "configuring relative_squared", "the epsilon is not a positive number",
           "choose one such as 0.01"},
          {"a percentage of nothing", training_by(px::mean_absolute_percentage{.epsilon = 0}),
           "configuring mean_absolute_percentage", "the epsilon is not a positive number",
           "choose one such as 1e-7"},
          {"a hinge with a margin that is NaN", training_by(px::hinge{.margin = not_a_number}),
           "configuring hinge", "the margin is not a positive number", "choose one such as 1"},
          {"a negative weight of positive samples",
           training_by(px::binary_cross_entropy{.positive_weight = -1}), "configuring binary_cross_entropy",
           "the positive weight is not a positive number",
           "choose one such as negative samples over positive ones, or 1"},
          {"labels smoothed to nothing", training_by(px::softmax_cross_entropy{.label_smoothing = 1}),
           "configuring softmax_cross_entropy", "the label smoothing is not in [0, 1)",
           "choose one such as 0.1, or 0 for none"},
          {"more class weights than classes",
           [](const auto&) {
             const px::buffer<float> weights(3);
             training_by(px::softmax_cross_entropy{.class_weights = weights.view()})(std::string());
           },
           "configuring softmax_cross_entropy", "3 class weights for 2 outputs",
           "give one weight per output, or none"},
          {"a negative patience", [](const auto&) { fit(support::largest_feature(10, 3, 2), px::sgd{}, {.batch = 5, .stop_early = {.patience = -1}}); }, "configuring early stopping", "the patience is negative", "give a number of epochs, or 0 for no such rule"},
          {"a least fall that is NaN", [](const auto&) { fit(support::largest_feature(10, 3, 2), px::sgd{}, {.batch = 5, .stop_early = {.least_fall = not_a_number}}); }, "configuring early stopping", "the least fall is not a number ≥ 0", "give a difference of losses, or 0"},
          {"confusions of values", [](const auto&) { network net; px::confusion(net, support::random_targets(4, 3, 2)); }, "counting a network's confusions", "the data set has targets and no labels", "give one with labels"},
          {"the top none", [](const auto&) { network net; px::top_k_accuracy(net, support::largest_feature(4, 3, 2), 0); }, "finding a network's top-k accuracy", "k is not positive", "give the number of outputs that the truth may be among"},
          {"errors of labels", [](const auto&) { network net; px::errors_of(net, support::largest_feature(4, 3, 2)); }, "finding a network's errors", "the data set has labels and no targets", "give one with targets"},
          {"confusions of a network that has diverged", [](const auto&) { network net; support::set_parameter(net, 3, {0, not_a_number}); px::confusion(net, support::largest_feature(4, 3, 2)); }, "counting a network's confusions", "an output for sample 0 is NaN", "train with a smaller rate, or load other weights"},
          {"a loss scale of zero", scaling({.initial = 0}), "configuring loss scaling",
           "the first scale is not a positive number", "choose a power of two such as 65536"},
          {"a loss scale of zero to go on from",
           [](const auto&) {
             px::network<px::mixed<px::fp16>, px::input<3>, px::dense<2>>{}.restore_loss_scale({.scale = 0});
           },
           "restoring the loss scale", "the scale is not a positive number",
           "give what loss_scale() once gave"},
          {"a loss scale that shrinks to grow", scaling({.growth = 0.5f}), "configuring loss scaling",
           "the growth is not a number ≥ 1", "choose 2, or 1 for a scale that never grows"},
          {"a loss scale that never backs off", scaling({.backoff = 1}), "configuring loss scaling",
           "the backoff is not in (0, 1)", "choose 0.5"},
          {"a loss scale that grows at once", scaling({.growth_interval = 0}), "configuring loss scaling",
           "the growth interval is not positive", "choose a number of steps such as 2000"},
          {"no epochs", training({}, {.epochs = 0}), "training a network",
           "the number of epochs is not positive", "train for at least one epoch"},
          {"a batch of no samples", training({}, {.batch = 0}), "training a network",
           "the batch has no samples", "use a batch of at least one sample"},
          {"a batch of no samples to tune for",
           [](const auto&) {
             network net;
             px::tune(net, 0);
           },
           "tuning a network", "the batch has no samples", "use a batch of at least one sample"},
          {"a way that no product goes",
           [](const auto&) {
             px::gemm_choices{}.set({{px::layout::nt, px::element_type::fp32, {64, 64, 64}},
                                     {{{px::gemm_tile::small, 1, px::gemm_way::loops}, 1}}});
           },
           "choosing how the product nt fp32 64 × 64 × 64 is computed", "loops is no way of this program",
           "give one of gemm_candidates()"},
          {"a product without a way",
           [](const auto&) {
             px::gemm_choices{}.set({{px::layout::tn, px::element_type::bf16, {6, 4, 2}}, {}});
           },
           "choosing how the product tn bf16 6 × 4 × 2 is computed", "no way is given",
           "give one of gemm_candidates()"},
          {"a batch larger than the set", training({}, {.batch = 11}), "training a network",
           "the batch of 11 is larger than the data set of 10 samples", "use a smaller batch"},
          {"a stopping loss that is NaN", training({}, {.batch = 5, .stop_below = not_a_number}),
           "training a network", "stop_below is negative or NaN", "give a loss, or 0 for no such rule"},
          {"a NaN among the targets", training_on([](px::dataset& data) { data.targets[7] = not_a_number; }),
           "checking a dataset", "target 1 of sample 3 is NaN", "remove the sample or replace the value"},
          {"an infinity among the inputs",
           training_on([](px::dataset& data) { data.inputs[4] = std::numeric_limits<float>::infinity(); }),
           "checking a dataset", "input 1 of sample 1 is infinite", "remove the sample or replace the value"},
          {"a set of another width",
           [](const auto&) { fit(support::largest_feature(10, 4, 2), px::sgd{}, {.batch = 5}); },
           "training a network", "the data have 4 features and 2 outputs, the network takes 3 and gives 2",
           "change the network's first or last layer, or the data"},
          {"a validation set of another width",
           [](const auto&) {
             const px::dataset validation = support::largest_feature(10, 3, 3);
             fit(support::largest_feature(10, 3, 2), px::sgd{}, {.batch = 5, .validation = &validation});
           },
           "validating a network", "the data have 3 features and 3 outputs, the network takes 3 and gives 2",
           "change the network's first or last layer, or the data"},
          {"a NaN in a batch's inputs",
           [](const auto&) {
             network{}.step(std::span<const float>(one_nan), std::span(one_label),
                            px::softmax_cross_entropy{}, px::sgd{});
           },
           "training on a batch of labels", "input 1 of sample 0 is NaN",
           "remove the sample or replace the value"},
          {"an infinity in a batch's targets",
           [](const auto&) {
             const std::vector<float> y{0, std::numeric_limits<float>::infinity()};
             network{}.step(std::span(three), std::span(y), px::quadratic{}, px::sgd{});
           },
           "training on a batch of targets", "target 1 of sample 0 is infinite",
           "remove the sample or replace the value"},
          {"a last step that diverges",
           [](const auto&) {
             px::dataset data = support::random_targets(10, 3, 2);
             for (float& x : data.inputs) x *= 1e18f;
             px::network<px::input<3>, px::dense<2>> net;
             px::fit(net, data, px::quadratic{}, px::sgd{.rate = 1e30f}, {.epochs = 1, .batch = 10});
           },
           "training a network", "0.weight is no longer finite after epoch 1",
           "use a smaller rate, or scale the inputs"},
          {"training that diverges",
           [](const auto&) {
             px::network<px::input<3>, px::dense<4>, px::dense<2>> net;
             px::fit(net, support::random_targets(10, 3, 2), px::quadratic{}, px::sgd{.rate = 1e6f},
                     {.epochs = 50, .batch = 5});
           },
           "training a network", "the loss is no longer finite in step 1 of epoch 2 (samples 4, 7, 2, 1, 3): the outputs of layer 1",
           "use a smaller rate, or scale the inputs"},
          {"a gradient beyond FP32",
           [](const auto&) {
             const px::dataset data{.features = 1, .outputs = 1, .inputs = {1, 1, 3e38f, 3e38f}, .targets = {9, 9, 9, 9}};
             px::network<px::input<1>, px::dense<1>> net;
             net.initialize(px::seed{1}, px::constant{.value = 0});
             px::fit(net, data, px::summed<px::mean_absolute>{}, px::sgd{.rate = 1e-6f},
                     {.epochs = 1, .batch = 2, .shuffle = false});
           },
           "training a network",
           "a gradient is no longer finite in step 2 of epoch 1 (samples 2, 3): the gradient of 0.weight, of outputs that are finite",
           "use a smaller rate, or scale the inputs"},
      });
}
