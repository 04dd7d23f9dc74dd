// Slide 9, "Stochastic gradient descent": mini-batches of size m, an epoch is one pass over all inputs, and
// the end comes when the error is sufficiently small or when the maximum number of steps is exceeded.
#include "slide.hpp"
#include "three_three_two.hpp"

namespace px = plexus;

namespace {

constexpr int samples = 60, batch = 8;  // m = 8: seven full batches and one of four
constexpr std::uint64_t steps_an_epoch = (samples + batch - 1) / batch;

px::history train(const px::dataset& data, double small_enough, std::uint64_t most_steps) {
  lecture::three_three_two net{px::seed{9}};
  return px::fit(net, data, px::quadratic{}, px::sgd{.rate = 2, .momentum = 0.9f},
                 {.epochs = 2000, .batch = batch, .stop_below = small_enough, .max_steps = most_steps});
}

void report(const px::history& run) {
  std::printf("\nIt began at an error of %.6f and ended at %.6f after %llu steps, because: %s.\n",
              run.epochs.front().loss, run.epochs.back().loss, static_cast<unsigned long long>(run.steps),
              px::to_string(run.reason));
}

}  // namespace

int main() {
  lecture::slide slide("Slide 9: Stochastic gradient descent");
  const px::dataset data = lecture::training_set(samples);

  slide.say("It ends when the error is sufficiently small (here 0.0005), with steps to spare:");
  const px::history small = train(data, 0.0005, 16000);
  report(small);
  slide.columns();
  slide.statement("the reason given", px::to_string(px::stop_reason::error_small_enough),
                  px::to_string(small.reason));
  slide.statement("the last epoch's error is below 0.0005", "yes",
                  small.epochs.back().loss < 0.0005 ? "yes" : "no");
  slide.statement(
      "all errors before were not", "yes",
      small.epochs.size() > 1 && small.epochs[small.epochs.size() - 2].loss >= 0.0005 ? "yes" : "no");
  slide.exact("steps in an epoch of 60 samples, m = 8", static_cast<double>(steps_an_epoch),
              static_cast<double>(small.steps) / static_cast<double>(small.epochs.size()));

  slide.say("Or when the maximum number of steps is exceeded (here 100, in the middle of an epoch):");
  const px::history limited = train(data, 0.0005, 100);
  report(limited);
  slide.columns();
  slide.statement("the reason given", px::to_string(px::stop_reason::step_limit),
                  px::to_string(limited.reason));
  slide.exact("steps made", 100, static_cast<double>(limited.steps));
  slide.statement("the error is not yet below 0.0005", "yes",
                  limited.epochs.back().loss >= 0.0005 ? "yes" : "no");
  return slide.result();
}
