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

namespace detail {

// An optimiser of the user's may accept all numbers.
template <class Optimizer>
void validate_optimizer(const Optimizer& optimizer) {
  if constexpr (requires { optimizer.validate(); }) optimizer.validate();
}

}  // namespace detail

struct update_moment {
  std::uint64_t step = 1;   // the number of this update, counted from 1
  float gradient_norm = 0;  // ‖∂C/∂w‖ of all parameters, for an optimiser that needs_gradient_norm
  float rate_factor = 1;    // of a plateau, for with_plateau
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

// Whether the optimiser, or the one that it is around, has a rate.
template <class Optimizer>
constexpr bool has_rate() {
  if constexpr (requires(Optimizer o) { o.rate *= 1.0f; }) {
    return true;
  } else if constexpr (requires(Optimizer o) { o.optimizer; }) {
    return has_rate<decltype(Optimizer::optimizer)>();
  } else {
    return false;
  }
}

template <class Optimizer>
PLEXUS_FN void multiply_rate(Optimizer& optimizer, float factor) {
  if constexpr (requires { optimizer.rate *= factor; }) {
    optimizer.rate *= factor;
  } else {
    multiply_rate(optimizer.optimizer, factor);
  }
}

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

// What an update works on, all of one layout.
struct update_arenas {
  float* w;
  const float* dw;
  float* state;
  std::size_t size;  // of each
};

// Parameter i by `step`. here() is a copy for the loop over the parameters: what is read through a pointer
// would have to be read again after each of them.
template <class Step>
struct update_parameters {
  Step step;
  update_arenas of;

  PLEXUS_FN update_parameters here() const { return {step, of}; }
  PLEXUS_FN void operator()(std::size_t i) const {
    step(of.w[i], of.dw[i], parameter_state{of.state, of.size, i});
  }
};

// The same by a step in device memory.
template <class Step>
struct update_parameters_by {
  const Step* step;
  update_arenas of;

  PLEXUS_FN update_parameters<Step> here() const { return {*step, of}; }
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
    const float* const w = update.of.w + at.begin;
    T* const copy = copies + at.copy;
    for (int j = group.rank(); j < at.cols; j += group.size()) copy[j] = static_cast<T>(w[j]);
  }
};

// Σ g² of each run of an arena, in double: squares of FP32 leave its range.
template <class Runs>
struct gradient_squares {
  const float* dw;
  double* sums;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const parameter_row at = Runs::row(row);
    const float* const g = dw + at.begin;
    const double sum = group.sum(part_of_sum<double>(
        group, at.cols, [g](int i) { return static_cast<double>(g[i]) * static_cast<double>(g[i]); }));
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
    const double* const parts = sums;
    const double sum = group.sum(part_of_sum<double>(group, count, [parts](int i) { return parts[i]; }));
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
