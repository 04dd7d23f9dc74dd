// Regression on a table: how far diabetes has progressed within a year, from age, sex, body mass index, blood
// pressure and six values of the blood serum of 442 patients. By cross-validation, so that every patient is
// judged by networks that have not seen them, and beside what any network has to beat: the mean, and linear
// regression.
//
// diabetes.csv has the figures of B. Efron, T. Hastie, I. Johnstone, R. Tibshirani, "Least angle regression",
// Annals of Statistics 32 (2004), 407–499, as the authors published them: not standardised.
//
//   regression [diabetes.csv]
#include <plexus/data/csv.hpp>
#include <plexus/data/folds.hpp>
#include <plexus/data/normalize.hpp>
#include <plexus/plexus.hpp>
#include <plexus/train/metrics.hpp>

#include <array>
#include <cmath>
#include <cstdio>
#include <deque>
#include <functional>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace px = plexus;

namespace {

constexpr int features = 10, fold_count = 5;

using input = px::input<features>;
using linear_network = px::network<input, px::dense<1>>;
using small_network = px::network<input, px::dense<16, px::silu>, px::dense<1>>;

// ---- What is compared

// With all parameters zero it answers with the mean of the targets, since these are standardised.
linear_network mean_of_targets() {
  linear_network net;
  net.initialize(px::seed{}, px::constant{});
  return net;
}

// Least squares. All samples in every step, and a cost without other minima: where this ends, linear
// regression ends.
linear_network linear_regression(const px::dataset& training) {
  linear_network net = mean_of_targets();
  px::fit(net, training, px::mean_squared{}, px::sgd{.rate = 0.1f, .momentum = 0.92f},
          {.epochs = 600, .batch = training.size()});
  return net;
}

// Networks that each hold back another part of the training data, to know when to stop, and answer with their
// mean: so all data are learnt from, and what a single one has learnt by chance is averaged out. B. Parmanto,
// P. Munro, H. Doyle, "Improving committee diagnosis with resampling techniques", NIPS 1995. Width, rate and
// decay were chosen on folds of the same patients, which flatters the error a little.
class committee {
 public:
  static constexpr int input_size = features, output_size = 1;

  explicit committee(const px::dataset& training) {
    constexpr int epochs = 100, batch = 32;
    for (const auto& [learnt, held_back] : px::folds(training, 5, px::seed{7})) {
      const int steps = epochs * px::divide_up(learnt.size(), batch);
      const px::scheduled optimizer{px::adamw{.rate = 0.003f, .weight_decay = 0.3f},
                                    px::one_cycle{.steps = static_cast<std::uint64_t>(steps)}};
      small_network& net = members_.emplace_back(px::seed{members_.size() + 1});
      px::fit(net, learnt, px::mean_squared{}, optimizer,
              {.epochs = epochs, .batch = batch, .validation = &held_back, .stop_early = {.patience = 20}});
    }
  }

  // As a network's: px::errors_of asks for no more.
  std::vector<float> predict(std::span<const float> x, int n) {
    std::vector<float> mean(static_cast<std::size_t>(n));
    for (small_network& net : members_) {
      const std::vector<float> y = net.predict(x, n);
      for (std::size_t i = 0; i < y.size(); ++i) mean[i] += y[i] / static_cast<float>(members_.size());
    }
    return mean;
  }

 private:
  std::deque<small_network> members_;
};

// ---- Standardised targets

struct target_scale {
  float mean, deviation;

  static target_scale of(const std::vector<float>& targets) {
    const auto n = static_cast<double>(targets.size());
    const double mean = std::accumulate(targets.begin(), targets.end(), 0.0) / n;
    double squares = 0;
    for (const float y : targets) squares += (y - mean) * (y - mean);
    return {static_cast<float>(mean), static_cast<float>(std::sqrt(squares / n))};
  }

  void apply(px::dataset& data) const {
    for (float& y : data.targets) y = (y - mean) / deviation;
  }

  // Errors of standardised targets, in the unit of the table.
  px::regression_errors undo(px::regression_errors errors) const {
    errors.mean_absolute *= static_cast<double>(deviation);
    errors.root_mean_square *= static_cast<double>(deviation);
    return errors;
  }
};

// ---- Cross-validation

enum model { mean, linear, network, model_count };
using fold_errors = std::array<px::regression_errors, model_count>;

// Means and deviations are the training part's: the other one is not to be known.
fold_errors judge(px::fold fold) {
  const auto normal = px::normalization::per_feature(fold.training);
  const auto scale = target_scale::of(fold.training.targets);
  for (px::dataset* part : {&fold.training, &fold.validation}) {
    normal.apply(*part);
    scale.apply(*part);
  }
  const auto errors = [&](auto&& net) { return scale.undo(px::errors_of(net, fold.validation)); };
  return {errors(mean_of_targets()), errors(linear_regression(fold.training)),
          errors(committee(fold.training))};
}

double mean_over_folds(const std::vector<fold_errors>& folds,
                       const std::function<double(const fold_errors&)>& value) {
  double sum = 0;
  for (const fold_errors& fold : folds) sum += value(fold);
  return sum / static_cast<double>(folds.size());
}

void print(const char* name, const fold_errors& errors) {
  std::printf("%-6s", name);
  for (const px::regression_errors& e : errors)
    std::printf("  |%7.2f%7.2f%7.3f", e.root_mean_square, e.mean_absolute, e.r_squared);
  std::printf("\n");
}

fold_errors mean_errors(const std::vector<fold_errors>& folds) {
  fold_errors means;
  for (std::size_t m = 0; m < model_count; ++m) {
    means[m] = {
        .mean_absolute = mean_over_folds(folds, [m](const fold_errors& f) { return f[m].mean_absolute; }),
        .root_mean_square =
            mean_over_folds(folds, [m](const fold_errors& f) { return f[m].root_mean_square; }),
        .r_squared = mean_over_folds(folds, [m](const fold_errors& f) { return f[m].r_squared; })};
  }
  return means;
}

// How much larger the network's root mean square is than that of linear regression.
double excess(const fold_errors& errors) {
  return errors[network].root_mean_square - errors[linear].root_mean_square;
}

// The standard error of that difference's mean.
double noise(const std::vector<fold_errors>& folds) {
  const double mean_excess = mean_over_folds(folds, excess);
  const double variance = mean_over_folds(folds, [&](const fold_errors& fold) {
    return (excess(fold) - mean_excess) * (excess(fold) - mean_excess);
  });
  return std::sqrt(variance / static_cast<double>(folds.size() - 1));
}

// What is implausible about these means; empty where nothing is.
std::string doubts(const fold_errors& means, double noise) {
  // scikit-learn's LinearRegression has 54.9 ± 0.3 over the seeds of its five folds.
  if (std::abs(means[linear].root_mean_square - 54.9) > 1.5)
    return "linear regression has another error than elsewhere, 54.9";
  if (means[linear].root_mean_square > 0.8 * means[mean].root_mean_square)
    return "linear regression is hardly better than the mean";
  if (excess(means) > noise) return "the network is worse than linear regression";
  return "";
}

bool run(const char* table) {
  const px::csv_dataset patients = px::load_csv(table, {.targets = {"progression"}});
  std::printf("%d patients, %d features, %d folds; each: root mean square, mean absolute error, R²\n\n",
              patients.size(), patients.features, fold_count);
  std::printf("%-6s  |%-21s  |%-21s  |%-21s\n", "fold", " mean", " linear regression", " network");
  std::vector<fold_errors> folds;
  for (const px::fold& fold : px::folds(patients, fold_count, px::seed{1})) {
    folds.push_back(judge(fold));
    print(std::to_string(folds.size()).c_str(), folds.back());
  }
  const fold_errors means = mean_errors(folds);
  print("mean", means);
  std::printf("\nnetwork - linear regression: %+.2f ± %.2f\n", excess(means), noise(folds));
  const std::string doubt = doubts(means, noise(folds));
  if (!doubt.empty()) std::fprintf(stderr, "regression: %s\n", doubt.c_str());
  return doubt.empty();
}

}  // namespace

int main(int argc, char** argv) try {
  return run(argc > 1 ? argv[1] : "examples/regression/diabetes.csv") ? 0 : 1;
} catch (const px::error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
