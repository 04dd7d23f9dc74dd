// The picture of a training run, judged by where its ink is.
#include "support/catch.hpp"
#include "support/files.hpp"

#include <plexus/inspect/training_curve.hpp>

#include <limits>
#include <set>

namespace {

namespace px = plexus;

const px::color blue{31, 119, 180}, orange{232, 119, 34};

struct box {
  int left = 10000, right = -1, top = 10000, bottom = -1;
};

bool has_color(const px::picture& image, int x, int y, px::color c) {
  const std::uint8_t* pixel = image.pixel(x, y);
  return pixel[0] == c.red && pixel[1] == c.green && pixel[2] == c.blue;
}

// Where in columns [from, to) there is a color.
box where(const px::picture& image, px::color c, int from, int to) {
  box found;
  for (int y = 0; y < image.height; ++y) {
    for (int x = from; x < to; ++x) {
      if (!has_color(image, x, y, c)) continue;
      found = {std::min(found.left, x), std::max(found.right, x), std::min(found.top, y),
               std::max(found.bottom, y)};
    }
  }
  return found;
}

px::history falling_loss(bool with_accuracy, bool with_validation) {
  px::history past;
  for (int epoch = 1; epoch <= 5; ++epoch) {
    px::epoch_record record;
    record.epoch = epoch;
    record.loss = 1.0 - 0.2 * (epoch - 1);  // 1, 0.8, …, 0.2: the axis goes from 0.2 to 1
    record.accuracy = with_accuracy ? 0.5 + 0.1 * (epoch - 1) : std::numeric_limits<double>::quiet_NaN();
    if (with_validation) record.validation_loss = 1.0;
    past.epochs.push_back(record);
  }
  return past;
}

TEST_CASE("loss and accuracy have a panel each") {
  const px::picture image = px::draw_training_curve(falling_loss(true, true));
  CHECK(image.width == 1200);
  CHECK(image.height == 560);
  // The loss falls through all of its panel, whose frame is from (90, 100) to (570, 480).
  const box loss = where(image, blue, 0, 600);
  CHECK(loss.left == Approx(90).margin(6));
  CHECK(loss.right == Approx(570).margin(6));
  CHECK(loss.top == Approx(100).margin(6));
  CHECK(loss.bottom == Approx(480).margin(6));
  CHECK(has_color(image, 330, 290, blue));  // epoch 3, loss 0.6
  CHECK(has_color(image, 930, 290, blue));  // epoch 3, accuracy 70 %
  CHECK(!has_color(image, 330, 200, blue));
  CHECK(!has_color(image, 330, 380, blue));
  const box validation = where(image, orange, 0, 400);  // a flat line on top, left of the legend
  CHECK(validation.top == Approx(100).margin(6));
  CHECK(validation.bottom == Approx(100).margin(6));
  CHECK(where(image, orange, 600, 1200).right == -1);  // there is no validation accuracy
}

TEST_CASE("where there is no accuracy, the loss has all of the picture") {
  const px::picture image = px::draw_training_curve(falling_loss(false, false));
  CHECK(where(image, blue, 0, 1200).right == Approx(1170).margin(6));
  CHECK(where(image, orange, 0, 1200).right == -1);
}

TEST_CASE("an epoch whose loss is no number leaves a gap") {
  px::history past = falling_loss(false, false);
  past.epochs[2].loss = std::numeric_limits<double>::quiet_NaN();
  const px::picture image = px::draw_training_curve(past);
  CHECK(where(image, blue, 370, 890).right == -1);
  CHECK(where(image, blue, 345, 370).right >= 0);
}

TEST_CASE("training curves of every odd kind are drawn") {
  px::history one_epoch, flat, diverged, long_run;
  one_epoch.epochs.resize(1);
  flat = falling_loss(true, true);
  for (px::epoch_record& epoch : flat.epochs) epoch.loss = 1e-9;
  diverged = falling_loss(true, true);
  for (px::epoch_record& epoch : diverged.epochs) epoch.loss = std::numeric_limits<double>::infinity();
  for (int epoch = 1; epoch <= 500; ++epoch) {
    px::epoch_record record;
    record.epoch = epoch;
    record.loss = epoch % 2 == 0 ? 1e29 : -1e29;
    long_run.epochs.push_back(record);
  }
  const support::temporary_folder folder;
  for (const px::history& past : {one_epoch, flat, diverged, long_run}) {
    px::save_training_curve(past, folder / "curve.png", "a title of one's own: 784×300×10");
    CHECK(support::read_file(folder / "curve.png").starts_with("\x89PNG"));
  }
}

TEST_CASE("axes have round numbers that cover the data") {
  using namespace px::training_curve;
  const auto positions = [](const ticks& axis) {
    std::vector<double> all;
    for (int i = 0; i < axis.count; ++i) all.push_back(axis.at(i));
    return all;
  };
  CHECK(positions(round_ticks(0.2, 1.0, 4)) == std::vector<double>{0.2, 0.4, 0.6000000000000001, 0.8, 1.0});
  CHECK(positions(round_ticks(0.21, 0.93, 4)).front() <= 0.21);
  CHECK(positions(round_ticks(0.21, 0.93, 4)).back() >= 0.93);
  CHECK(positions(round_ticks(1, 5, 8, 1)) == std::vector<double>{1, 2, 3, 4, 5});
  CHECK(positions(round_ticks(-30, 70, 5)) == std::vector<double>{-40, -20, 0, 20, 40, 60, 80});
  for (const double low : {-1e30, -1.0, 0.0, 1e-12, 3.0, 1e29}) {
    for (const double size : {0.0, 1e-9, 0.3, 1.0, 77.0, 1e30}) {
      const ticks axis = round_ticks(low, low + size, 6);
      INFO(low << " + " << size);
      CHECK(axis.count >= 2);
      CHECK(axis.count <= 15);
    }
  }
  CHECK(tick_label(0.30000000000000004, 0.1) == "0.3");
  CHECK(tick_label(-0.0, 0.5) == "0.0");
  CHECK(tick_label(2000, 500) == "2000");
  CHECK(tick_label(0.25, 0.05) == "0.25");
  CHECK(tick_label(3e7, 1e7) == "3e+07");
}

}  // namespace
