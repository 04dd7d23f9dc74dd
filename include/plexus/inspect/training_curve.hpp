// A picture of how training went: loss and accuracy, of training and validation, over the epochs. Needs stb.
#pragma once

#include <plexus/io/canvas.hpp>
#include <plexus/train/history.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

namespace training_curve {

struct curve {
  std::string name;
  color ink;
  std::vector<point> points;  // (epoch, value), the finite ones
};

// Positions of round numbers on an axis.
struct ticks {
  double begin = 0;
  double step = 1;
  int count = 0;

  double at(int i) const { return begin + i * step; }
  double end() const { return at(count - 1); }
};

// About `wanted` steps of 1, 2 or 5 times a power of ten that cover [low, high].
inline ticks round_ticks(double low, double high, int wanted, double least_step = 0) {
  if (low == high) {  // a flat curve, or a single epoch
    const double margin = std::max(std::abs(low) / 10, 1e-6);
    low -= margin;
    high += margin;
  }
  const double rough = (high - low) / wanted;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double leading = rough / power;
  const double step = std::max(least_step, power * (leading <= 1   ? 1
                                                    : leading <= 2 ? 2
                                                    : leading <= 5 ? 5
                                                                   : 10));
  const double first = std::floor(low / step + 1e-9);
  const double last = std::ceil(high / step - 1e-9);
  return {first * step, step, static_cast<int>(last - first) + 1};
}

// With as many decimals as tell one tick from the next.
inline std::string tick_label(double value, double step) {
  char text[64];
  const double largest = std::max(std::abs(value), step);
  if (largest >= 1e6 || step < 1e-5) {
    std::snprintf(text, sizeof text, "%.3g", value);
  } else {
    const int decimals = std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9)));
    std::snprintf(text, sizeof text, "%.*f", decimals, value + 0.0);  // + 0.0: no "-0"
  }
  return text;
}

// One diagram in a part of the picture: frame, grid, numbers, curves, legend.
class panel {
 public:
  panel(picture& image, int left, int width, std::string title, std::vector<curve> curves)
      : draw_(image),
        left_(left + margin_left),
        right_(left + width - margin_right),
        top_(margin_top),
        bottom_(image.height - margin_bottom),
        title_(std::move(title)),
        curves_(std::move(curves)) {
    point low{1, 0}, high{1, 1};
    bool first = true;
    for (const curve& c : curves_) {
      for (const point& p : c.points) {
        low = first ? p : point{std::min(low.x, p.x), std::min(low.y, p.y)};
        high = first ? p : point{std::max(high.x, p.x), std::max(high.y, p.y)};
        first = false;
      }
    }
    x_ = round_ticks(low.x, high.x, 8, 1);
    y_ = round_ticks(low.y, high.y, 6);
    const double margin = low.x == high.x ? 0.5 : 0;
    first_x_ = low.x - margin;
    last_x_ = high.x + margin;
  }

  void draw() {
    draw_axes();
    for (const curve& c : curves_) draw_curve(c);
    draw_legend();
  }

 private:
  static constexpr int margin_left = 90, margin_right = 30, margin_top = 100, margin_bottom = 80;
  static constexpr int text_scale = 2;
  static constexpr int letter_height = 7 * text_scale;
  static constexpr color text_ink{70, 70, 70}, grid_ink{228, 228, 228}, axis_ink{140, 140, 140};

  double to_x(double epoch) const {
    return left_ + (right_ - left_) * (epoch - first_x_) / (last_x_ - first_x_);
  }
  double to_y(double value) const {
    return bottom_ - (bottom_ - top_) * (value - y_.begin) / (y_.end() - y_.begin);
  }

  void draw_axes() {
    for (int i = 0; i < y_.count; ++i) {
      const int y = static_cast<int>(std::lround(to_y(y_.at(i))));
      draw_.rectangle(left_, y, right_ - left_, 1, grid_ink);
      const std::string label = tick_label(y_.at(i), y_.step);
      write_text(left_ - 10 - canvas::text_width(label, text_scale), y - letter_height / 2, label);
    }
    for (int i = 0; i < x_.count; ++i) {
      if (x_.at(i) < first_x_ || x_.at(i) > last_x_) continue;
      const int x = static_cast<int>(std::lround(to_x(x_.at(i))));
      draw_.rectangle(x, top_, 1, bottom_ - top_, grid_ink);
      draw_.rectangle(x, bottom_, 1, 6, axis_ink);
      write_centered(x, bottom_ + 12, tick_label(x_.at(i), x_.step));
    }
    draw_.rectangle(left_, top_, 1, bottom_ - top_, axis_ink);
    draw_.rectangle(left_, bottom_, right_ - left_, 1, axis_ink);
    write_centered((left_ + right_) / 2, bottom_ + 42, "epoch");
    write_centered((left_ + right_) / 2, top_ - 32, title_);
  }

  void draw_curve(const curve& c) {
    constexpr std::size_t most_discs = 40;  // more would hide the line
    constexpr double thickness = 2.5, radius = 4;
    for (std::size_t i = 0; i < c.points.size(); ++i) {
      const point at = to_pixels(c.points[i]);
      const bool adjoins = i > 0 && c.points[i].x == c.points[i - 1].x + 1;  // no bridge over epochs left out
      if (adjoins) draw_.line(to_pixels(c.points[i - 1]), at, thickness, c.ink);
      if (c.points.size() <= most_discs) draw_.disc(at, radius, c.ink);
    }
  }

  point to_pixels(point p) const { return {to_x(p.x), to_y(p.y)}; }

  // In the upper right corner where curves fall, in the lower right where they rise.
  void draw_legend() {
    int width = 0;
    for (const curve& c : curves_) width = std::max(width, canvas::text_width(c.name, text_scale));
    constexpr int row_height = 26, sample = 34, gap = 10;
    const int height = static_cast<int>(curves_.size()) * row_height + gap;
    const int x = right_ - width - sample - 3 * gap;
    const int y = rises() ? bottom_ - height - gap : top_ + gap;
    draw_.rectangle(x, y, width + sample + 2 * gap, height, {255, 255, 255});
    for (std::size_t i = 0; i < curves_.size(); ++i) {
      const double middle = y + gap + static_cast<double>(i) * row_height + row_height / 2.0 - gap / 2.0;
      draw_.line({static_cast<double>(x + gap), middle}, {static_cast<double>(x + sample), middle}, 2.5,
                 curves_[i].ink);
      draw_.disc({x + (gap + sample) / 2.0, middle}, 4, curves_[i].ink);
      write_text(x + sample + gap, static_cast<int>(middle) - letter_height / 2, curves_[i].name);
    }
  }

  bool rises() const {
    return !curves_.empty() && !curves_[0].points.empty() &&
           curves_[0].points.back().y > curves_[0].points.front().y;
  }

  void write_text(int x, int y, const std::string& words) { draw_.text(x, y, words, text_scale, text_ink); }
  void write_centered(int x, int y, const std::string& words) {
    write_text(x - canvas::text_width(words, text_scale) / 2, y, words);
  }

  canvas draw_;
  int left_, right_, top_, bottom_;
  std::string title_;
  std::vector<curve> curves_;
  ticks x_, y_;
  double first_x_ = 1, last_x_ = 2;
};

// The curves of one quantity that have anything to show.
template <class Training, class Validation>
std::vector<curve> curves_of(const history& past, double factor, Training training, Validation validation) {
  curve of_training{"training", {31, 119, 180}, {}};
  curve of_validation{"validation", {232, 119, 34}, {}};
  constexpr double largest = 1e30;  // a loss beyond it has diverged and would flatten the rest
  const auto add = [&](curve& to, int epoch, std::optional<double> value) {
    if (value && std::abs(*value) <= largest) {
      to.points.push_back({static_cast<double>(epoch), *value * factor});
    }
  };
  for (const epoch_record& epoch : past.epochs) {
    add(of_training, epoch.epoch, epoch.*training);
    add(of_validation, epoch.epoch, epoch.*validation);
  }
  std::vector<curve> curves;
  for (curve* c : {&of_training, &of_validation}) {
    if (!c->points.empty()) curves.push_back(std::move(*c));
  }
  return curves;
}

}  // namespace training_curve

// Draws the history as a picture of 1200 × 560 pixels: a panel for the loss and, where there is one, for the
// accuracy.
inline picture draw_training_curve(const history& past, const std::string& title = "training curve") {
  using namespace training_curve;
  require(!past.epochs.empty(), "drawing a training curve", "the history has no epochs", "train first");
  constexpr int width = 1200, height = 560;
  picture image(width, height, 3);
  const auto accuracy = curves_of(past, 100, &epoch_record::accuracy, &epoch_record::validation_accuracy);
  const int panels = accuracy.empty() ? 1 : 2;
  panel(image, 0, width / panels, "loss",
        curves_of(past, 1, &epoch_record::loss, &epoch_record::validation_loss))
      .draw();
  if (!accuracy.empty()) panel(image, width / 2, width / 2, "accuracy in %", accuracy).draw();
  constexpr int title_scale = 3;
  canvas(image).text((width - canvas::text_width(title, title_scale)) / 2, 20, title, title_scale,
                     {30, 30, 30});
  return image;
}

// The same as a PNG file, written whole or not at all.
inline void save_training_curve(const history& past, const std::filesystem::path& path,
                                const std::string& title = "training curve") {
  save_png(draw_training_curve(past, title), path);
}

}  // namespace plexus::inline PLEXUS_ABI
