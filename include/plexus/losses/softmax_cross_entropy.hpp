// Cross-entropy of the softmax of the outputs (logits): C = −1/n Σₓ Σⱼ tⱼ ln pⱼ, p = softmax(a). Without
// smoothing and weights t is the target y.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/core/view.hpp>

#include <cmath>
#include <string>

namespace plexus::inline PLEXUS_ABI {

struct softmax_cross_entropy {
  // Of the target so much is spread evenly over all classes: y becomes (1 − s) y + s/width (Szegedy et al.,
  // "Rethinking the Inception architecture", 2016).
  float label_smoothing = 0;
  // One a class, in device memory: t = weight · y. C stays the weighted sum over n, as PyTorch has it for
  // targets that are probabilities; for labels its mean divides by the sum of the labels' weights instead.
  view<const float> class_weights{};

  void validate(int outputs) const {
    require_fraction("configuring softmax_cross_entropy", "label smoothing", label_smoothing,
                     "0.1, or 0 for none");
    if (class_weights.size == 0 || class_weights.size == static_cast<std::size_t>(outputs)) return;
    throw error(
        "configuring softmax_cross_entropy",
        std::to_string(class_weights.size) + " class weights for " + std::to_string(outputs) + " outputs",
        "give one weight per output, or none");
  }

  // One sample's −Σ tⱼ ln pⱼ = Σ tⱼ (ln Σᵢ e^aᵢ − aⱼ), by log-sum-exp with the maximum taken out so that
  // nothing overflows. Softmax and loss fold into one gradient: ∂C/∂aⱼ = pⱼ Σ t − tⱼ.
  template <class Group, class Target, class Gradient>
  PLEXUS_FN float operator()(Group group, const float* a, Target y, int width, Gradient gradient) const {
    float largest = -INFINITY;
    for (int j = group.rank(); j < width; j += group.size()) largest = fmaxf(largest, a[j]);
    largest = group.max(largest);

    float exponentials = 0, mass = 0, expected = 0;
    for (int j = group.rank(); j < width; j += group.size()) {
      const float shifted = a[j] - largest;
      const float weight = weight_of(j, y(j), width);
      exponentials += expf(shifted);
      mass += weight;
      expected += weight * shifted;
    }
    exponentials = group.sum(exponentials);
    mass = group.sum(mass);
    expected = group.sum(expected);

    for (int j = group.rank(); j < width; j += group.size()) {
      gradient(j, expf(a[j] - largest) / exponentials * mass - weight_of(j, y(j), width));
    }
    return mass * logf(exponentials) - expected;
  }

 private:
  // t of class j, where the target is y.
  PLEXUS_FN float weight_of(int j, float y, int width) const {
    const float smooth = (1 - label_smoothing) * y + label_smoothing / static_cast<float>(width);
    return class_weights.size == 0 ? smooth : class_weights[static_cast<std::size_t>(j)] * smooth;
  }
};

}  // namespace plexus::inline PLEXUS_ABI
