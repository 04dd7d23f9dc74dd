#include <plexus/plexus.hpp>
#include <plexus/train/progress_log.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"

#include <sstream>

namespace px = plexus;

namespace {

std::string logged(px::log_level level, const px::training_progress& now) {
  std::ostringstream text;
  px::progress_log(text, level)(now);
  return text.str();
}

}  // namespace

TEST_CASE("A line of the log has what there is", "[train]") {
  px::training_progress now;
  now.epoch = 3;
  now.samples_done = 600;
  now.samples_per_second = 12500;
  now.loss = 0.25;
  now.accuracy = NAN;
  const std::string in_epoch = "in_epoch=3 samples=600 loss=0.25 samples_per_second=12500\n";
  CHECK(logged(px::log_level::steps, now) == in_epoch);
  CHECK(logged(px::log_level::epochs, now).empty());
  CHECK(logged(px::log_level::silent, now).empty());
  now.epoch_finished = true;
  now.accuracy = 0.5;
  now.validation_loss = 0.125;
  now.validation_accuracy = 0.75;
  now.skipped_steps = 2;
  now.non_finite_steps = 3;
  const std::string epoch =
      "epoch=3 samples=600 loss=0.25 accuracy=0.5 validation_loss=0.125 validation_accuracy=0.75 "
      "samples_per_second=12500 skipped_steps=2 non_finite_steps=3\n";
  CHECK(logged(px::log_level::epochs, now) == epoch);
  CHECK(logged(px::log_level::steps, now) == epoch);
  CHECK(logged(px::log_level::silent, now).empty());
}

TEST_CASE("fit writes a line for each epoch", "[train]") {
  px::network<px::input<6>, px::dense<4>> net{px::seed{1}};
  std::ostringstream text;
  px::fit(net, support::largest_feature(50, 6, 4), px::softmax_cross_entropy{}, px::sgd{},
          {.epochs = 3, .batch = 10, .progress = px::progress_log(text)});
  const std::string lines = text.str();
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 3);
  CHECK(lines.starts_with("epoch=1 samples=50 loss="));
}
