// One update of all parameters by an optimiser: one launch over the arena, padding included.
//
// An optimiser is a small trivially copyable struct:
//
//   static constexpr const char* name        whose state it is, in a checkpoint
//   int state_count() const                  how many values it keeps of each parameter
//   void operator()(float& w, float gradient, parameter_state state) const         PLEXUS_FN: one parameter
//   void validate() const                    if it may be set up wrongly; throws
//
// One whose numbers change from update to update has instead of the operator a function at(update_moment),
// PLEXUS_FN too, which gives the object that is called in that update. It is asked on the device, so that a
// step recorded as a graph moves on.
#pragma once

#include <plexus/core/for_each.hpp>

#include <cstdint>
#include <type_traits>

namespace plexus::inline PLEXUS_ABI {

struct update_moment {
  std::uint64_t step = 1;   // the number of this update, counted from 1
  float gradient_norm = 0;  // ‖∂C/∂w‖ of all parameters, for an optimiser that needs_gradient_norm
};

// What an optimiser keeps of one parameter: state[0], state[1], … Each lies in an arena of its own.
struct parameter_state {
  float* arenas;
  std::size_t arena_size;
  std::size_t parameter;
  PLEXUS_FN float& operator[](int k) const {
    return arenas[static_cast<std::size_t>(k) * arena_size + parameter];
  }
};

template <class Optimizer>
concept varying_optimizer = requires(const Optimizer optimizer, update_moment moment) {
  optimizer.at(moment);
};

template <class Optimizer>
inline constexpr bool needs_gradient_norm = requires {
  requires Optimizer::needs_gradient_norm;
};

// What is called for each parameter in this update.
template <class Optimizer>
PLEXUS_FN auto step_of(const Optimizer& optimizer, const update_moment& moment) {
  if constexpr (varying_optimizer<Optimizer>) {
    return optimizer.at(moment);
  } else {
    return optimizer;
  }
}
template <class Optimizer>
using step_type = decltype(step_of(std::declval<const Optimizer&>(), update_moment{}));

// Parameter i by `step`. here() is a copy for the loop over the parameters: what is read through a pointer
// would have to be read again after each of them.
template <class Step>
struct update_parameters {
  Step step;
  float* w;
  const float* dw;
  float* state;
  std::size_t size;

  PLEXUS_FN update_parameters here() const { return {step, w, dw, state, size}; }
  PLEXUS_FN void operator()(std::size_t i) const { step(w[i], dw[i], parameter_state{state, size, i}); }
};

// The same by a step in device memory.
template <class Step>
struct update_parameters_by {
  const Step* step;
  float* w;
  const float* dw;
  float* state;
  std::size_t size;

  PLEXUS_FN update_parameters<Step> here() const { return {*step, w, dw, state, size}; }
};

// A run of neighbouring parameters: a row of a weight matrix, or all of another tensor.
struct parameter_row {
  std::size_t begin;  // in the arena
  int cols;
  bool is_copied;
  std::size_t copy;  // where its copy begins
};

// An arena without copies, cut into runs of equal length.
template <std::size_t Size, std::size_t Run>
struct arena_runs {
  static constexpr std::size_t run = Run;
  static constexpr int rows = static_cast<int>((Size + run - 1) / run);

  PLEXUS_FN static parameter_row row(int r) {
    const std::size_t begin = static_cast<std::size_t>(r) * run;
    return {begin, static_cast<int>(Size - begin < run ? Size - begin : run), false, 0};
  }
};

// `update` for every parameter, unless the step is to be skipped, and then the copies of the row's weights:
// in two loops, since a CPU's compiler vectorises each of them and not always both in one.
template <class Rows, class Update, class T>
struct update_rows {
  Update update;
  T* copies;
  const int* skip;  // or null

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    if (skip != nullptr && *skip != 0) return;
    const parameter_row at = Rows::row(row);
    const auto update_here = update.here();
    for (int j = group.rank(); j < at.cols; j += group.size()) {
      update_here(at.begin + static_cast<std::size_t>(j));
    }
    if (!at.is_copied) return;
    const float* const w = update.w + at.begin;
    T* const copy = copies + at.copy;
    for (int j = group.rank(); j < at.cols; j += group.size()) copy[j] = static_cast<T>(w[j]);
  }
};

// Σ g² of each run of an arena, in double: squares of FP32 leave its range.
template <class Runs>
struct gradient_squares {
  const float* dw;
  double* sums;

  PLEXUS_FN static double square(double x) { return x * x; }

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const parameter_row at = Runs::row(row);
    const float* const g = dw + at.begin;
    constexpr int width = 8;  // sums at once, in a CPU's vector registers
    double parts[width] = {};
    int j = group.rank();
    for (; j + (width - 1) * group.size() < at.cols; j += width * group.size()) {
      for (int i = 0; i < width; ++i) parts[i] += square(g[j + i * group.size()]);
    }
    double sum = 0;
    for (const double part : parts) sum += part;
    for (; j < at.cols; j += group.size()) sum += square(g[j]);
    sum = group.sum(sum);
    if (group.rank() == 0) sums[row] = sum;
  }
};

// ‖g‖ from them.
struct gradient_length {
  const double* sums;
  int count;
  float* norm;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int) const {
    double sum = 0;
    for (int i = group.rank(); i < count; i += group.size()) sum += sums[i];
    sum = group.sum(sum);
    if (group.rank() == 0) *norm = static_cast<float>(sqrt(sum));
  }
};

// Counts the update, unless it is to be skipped, and leaves in device memory what it will apply.
template <class Optimizer>
struct begin_update {
  Optimizer optimizer;
  update_moment* moment;
  step_type<Optimizer>* step;
  const int* skip;  // or null

  PLEXUS_FN void operator()(std::size_t) const {
    if (skip != nullptr && *skip != 0) return;
    ++moment->step;
    *step = step_of(optimizer, *moment);
  }
};

}  // namespace plexus::inline PLEXUS_ABI
