// What a loss is: a small trivially copyable struct, of one of two forms.
//
//   loss_term operator()(float a, float y) const;
//     One output's share; C is its mean over all outputs of all samples.
//   float operator()(group, const float* a, y, int width, gradient) const;
//     A sample's loss, the group sharing its outputs; C is its mean over the samples. See quadratic.hpp.
//
// A loss may say more than that:
//
//   void validate() const;  or  void validate(int outputs) const;
//     Throws where its parameters make no sense; called before anything is computed with it.
//   bool agrees(float a, float y) const;
//     Whether a single output decides between two classes as the target does.
//   static constexpr bool is_summed = true;
//     C is the sum and not the mean. summed<Loss> says so of any loss.
#pragma once

#include <plexus/platform.hpp>

#include <concepts>

namespace plexus::inline PLEXUS_ABI {

// One output's loss and its slope ∂/∂a.
struct loss_term {
  float value;
  float slope;
};

template <class Loss>
concept loss_of_each_output = requires(const Loss loss, float a, float y) {
  { loss(a, y) } -> std::same_as<loss_term>;
};

template <class Loss>
concept binary_loss = requires(const Loss loss, float a, float y) {
  { loss.agrees(a, y) } -> std::same_as<bool>;
};

template <class Loss>
concept summed_loss = requires {
  requires Loss::is_summed;
};

// What the sum over `count` outputs or samples is divided by.
template <class Loss, class Number>
PLEXUS_FN constexpr Number divisor_of(Number count) {
  return summed_loss<Loss> ? Number{1} : count;
}

// One sample's loss, whatever its form. gradient(j, ∂C/∂a_j) is called once for each of the `width` outputs.
template <class Loss, class Group, class Target, class Gradient>
PLEXUS_FN float loss_of_sample(const Loss& loss, Group group, const float* a, Target y, int width,
                               Gradient gradient) {
  if constexpr (loss_of_each_output<Loss>) {
    const float share = 1 / divisor_of<Loss>(static_cast<float>(width));
    float sum = 0;
    for (int j = group.rank(); j < width; j += group.size()) {
      const loss_term term = loss(a[j], y(j));
      gradient(j, share * term.slope);
      sum += term.value;
    }
    return share * group.sum(sum);
  } else {
    return loss(group, a, y, width, gradient);
  }
}

template <class Loss>
void validate_loss(const Loss& loss, int outputs) {
  if constexpr (requires { loss.validate(outputs); }) {
    loss.validate(outputs);
  } else if constexpr (requires { loss.validate(); }) {
    loss.validate();
  }
}

}  // namespace plexus::inline PLEXUS_ABI
