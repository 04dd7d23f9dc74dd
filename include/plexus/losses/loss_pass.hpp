// A loss over a batch: its value and the rows it classifies correctly, and BP1, the delta of the output
// layer.
#pragma once

#include <plexus/core/for_each.hpp>
#include <plexus/losses/loss.hpp>
#include <plexus/losses/target.hpp>

#include <climits>

namespace plexus::inline PLEXUS_ABI {

// Row `row` of a target.
struct target_row {
  target_view target;
  int row;
  PLEXUS_FN float operator()(int j) const { return target(row, j); }
};

// The place of the largest of values(0) … values(width − 1), the first one on ties.
template <class Group, class Values>
PLEXUS_FN int argmax(Group group, int width, const Values& values) {
  float largest = -INFINITY;
  int place = INT_MAX;
  for (int j = group.rank(); j < width; j += group.size()) {
    const float value = values(j);
    if (value > largest || place == INT_MAX) {
      largest = value;
      place = j;
    }
  }
  const float group_largest = group.max(largest);
  return group.min(largest == group_largest ? place : INT_MAX);
}

struct output_row {
  const float* a;
  PLEXUS_FN float operator()(int j) const { return a[j]; }
};

// Whether the largest output is at the target's largest place; of a single output, whether a binary loss
// takes it for the target's class.
template <class Loss, class Group>
PLEXUS_FN bool is_correct(const Loss& loss, Group group, const float* a, target_row y, int width) {
  if constexpr (binary_loss<Loss>) {
    if (width == 1) return loss.agrees(a[0], y(0));
  }
  const int guess = argmax(group, width, output_row{a});
  return guess == (y.target.labels != nullptr ? y.target.labels[y.row] : argmax(group, width, y));
}

// A sample's gradient, times its weight.
template <class Gradient>
struct weighted_gradient {
  Gradient gradient;
  float weight;
  PLEXUS_FN void operator()(int j, float slope) const { gradient(j, weight * slope); }
};

// What a loss pass writes for each row: the loss, times the row's weight, and 1 where the row is correct.
struct row_results {
  float* loss;
  float* correct;

  template <class Group, class Loss, class Gradient>
  PLEXUS_FN void operator()(Group group, int row, const Loss& loss_function, matrix_view<const float> a,
                            target_view y, Gradient gradient) const {
    const float* outputs = a.row(row);
    const float weight = y.weight(row);
    const float value = weight * loss_of_sample(loss_function, group, outputs, target_row{y, row}, a.cols,
                                                weighted_gradient<Gradient>{gradient, weight});
    const bool is_right = is_correct(loss_function, group, outputs, target_row{y, row}, a.cols);
    if (group.rank() == 0) {
      loss[row] = value;
      correct[row] = is_right ? 1.0f : 0.0f;
    }
  }
};

struct ignore_gradient {
  PLEXUS_FN void operator()(int, float) const {}
};

// Judges a batch.
template <class Loss>
struct judge_rows {
  Loss loss;
  matrix_view<const float> a;  // (n, out)
  target_view y;
  row_results results;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    results(group, row, loss, a, y, ignore_gradient{});
  }
};

// BP1: δ = ∇ₐC ⊙ σ'(z), with C the mean over the batch: scale = 1/n, or the sum: scale = 1.
template <class Derivative, class T = float>
struct store_delta {
  matrix_view<T> delta;
  Derivative derivative;
  float scale;
  int row;
  PLEXUS_FN void operator()(int j, float gradient) const {
    delta(row, j) = static_cast<T>(scale * gradient * derivative(row, j));
  }
};

template <class Loss, class Derivative, class T = float>
struct output_delta_rows {
  Loss loss;
  matrix_view<const float> a;  // (n, out)
  target_view y;
  row_results results;
  matrix_view<T> delta;  // (n, out)
  Derivative derivative;
  float scale;
  const float* loss_scale = nullptr;  // in device memory: another factor of δ, so that 16 bits can hold it

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const float factor = loss_scale != nullptr ? scale * *loss_scale : scale;
    results(group, row, loss, a, y, store_delta<Derivative, T>{delta, derivative, factor, row});
  }
};

}  // namespace plexus::inline PLEXUS_ABI
