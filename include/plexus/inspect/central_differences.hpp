// The slope of a function that is computed in FP32, by differences, and how far the result can be trusted.
#pragma once

#include <plexus/platform.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

namespace plexus::inline PLEXUS_ABI::inspect {

struct slope_estimate {
  double slope = std::numeric_limits<double>::quiet_NaN();
  // How far the truth may be from it: infinite where f is not finite beside v.
  double uncertainty = std::numeric_limits<double>::infinity();
  // Whether that comes from f having another slope on either side of v, or close to it, and not from rounding
  // or curvature.
  bool at_kink = true;
};

// f(v), f(v + h) and f(v − h) for steps h = 4 s, s, s/4, …, s/4096, s being the scale of v as a power of two,
// so that v ± h is exact in FP32 but for its last bit.
//
// A difference D(h) = (f(v + h) − f(v − h)) / 2h is off by terms of h² and by the rounding of f over h; no
// one step suits all values of a network. Each two neighbouring steps give R = (16 D(h/4) − D(h)) / 15, whose
// terms begin at h⁴ (Richardson). Of these the one counts whose uncertainty is least (as Ridders, "Accurate
// computation of F'(x) and F'(x)F''(x)", 1982, chooses it), and the uncertainty is the largest of
//   |R − R of the next larger and the next smaller steps|, by which curvature shows, and kinks nearby,
//   |4 S(h/4) − S(h)| / 6 with S(h) = (f(v + h) − 2 f(v) + f(v − h)) / h, the disagreement of the one-sided
//     differences: of the order h³ where f is smooth, and half the jump of the slope where it has a kink at
//     v, and
//   12 σ / h, four standard deviations of R, σ being that of the rounding of f.
class central_differences {
 public:
  template <class Function>
  central_differences(const Function& f, float v, double scale, double at_v) : at_(at_v) {
    double h = 4 * std::exp2(std::round(std::log2(scale)));
    for (sample& one : samples_) {
      const float up = static_cast<float>(v + h), down = static_cast<float>(v - h);
      one = {(static_cast<double>(up) - static_cast<double>(down)) / 2, f(up), f(down)};
      h /= 4;
    }
  }

  // One sample of the rounding of f, as large as its standard deviation on average: what is left between the
  // two least steps' differences, where curvature no longer counts. 0 where f does not change at all, or is
  // not finite.
  double noise() const {
    constexpr double per_noise = 1.46;  // √(1 + 1 + 1/16 + 1/16), of four independent errors
    const std::size_t k = pairs - 1;
    const double left = std::abs(difference(k + 1) - difference(k)) * samples_[k].h / 2 / per_noise;
    return std::isfinite(left) ? left : 0;
  }

  slope_estimate slope(double noise) const {
    slope_estimate best;
    for (std::size_t k = 1; k + 1 < pairs; ++k) {
      const double r = extrapolated(k), kink = one_sided_disagreement(k) / 6;
      const double disagreement =
          std::max(std::abs(r - extrapolated(k - 1)), std::abs(r - extrapolated(k + 1)));
      const double uncertainty = std::max({disagreement, kink, 12 * noise / samples_[k].h});
      if (!std::isfinite(disagreement + kink) || uncertainty >= best.uncertainty) continue;
      best = {r, uncertainty, kink >= uncertainty / 2 && is_kink(k, noise)};
    }
    return best;
  }

 private:
  struct sample {
    double h, above, below;
  };
  static constexpr std::size_t pairs = 7;
  // √(2 · 16² + 2 + 30²): 16 (a + b) − (d + e) − 30 c of five independent errors.
  static constexpr double rounding_of_disagreement = 37.6;

  double difference(std::size_t k) const {
    return (samples_[k].above - samples_[k].below) / (2 * samples_[k].h);
  }
  double extrapolated(std::size_t k) const { return (16 * difference(k + 1) - difference(k)) / 15; }
  double bend(std::size_t k) const {
    return (samples_[k].above - 2 * at_ + samples_[k].below) / samples_[k].h;
  }
  double one_sided_disagreement(std::size_t k) const { return std::abs(4 * bend(k + 1) - bend(k)); }

  // Whether the one-sided differences of the next smaller step as well disagree, and by more than rounding:
  // what curvature makes of them is 64 times smaller there.
  bool is_kink(std::size_t k, double noise) const {
    const double then = one_sided_disagreement(k + 1);
    return then > one_sided_disagreement(k) / 4 &&
           then > 4 * rounding_of_disagreement * noise / samples_[k + 1].h;
  }

  double at_;
  std::array<sample, pairs + 1> samples_;
};

}  // namespace plexus::inline PLEXUS_ABI::inspect
