// The one primitive below every warp operation.
#pragma once

#include <hostcuda/engine/block.hpp>

#include <array>
#include <type_traits>

namespace hostcuda::detail {

// Its address tells apart what operations compute.
template <class Argument, class Combine>
inline constexpr char operation_kind = 0;

// Each lane in `mask` calls this with its own argument. The last to arrive runs combine(arguments), where
// lanes that are not in the mask, have returned from the kernel, or never were, are null; no lane returns
// before that. `operation` is what reports call it: the function that calls.
template <class Argument, class Combine>
void warp_collective(unsigned mask, Argument& mine, Combine&& combine,
                     const char* operation = __builtin_FUNCTION()) {
  block_runner& block = kernel_runner(operation);
  const void* kind = &operation_kind<Argument, std::remove_cvref_t<Combine>>;
  if (!block.meet_in_warp(mask, &mine, {kind, operation})) return;
  std::array<Argument*, warp_lanes> arguments;
  for (unsigned lane = 0; lane < warp_lanes; ++lane) {
    arguments[lane] = static_cast<Argument*>(block.argument_of(mask, lane));
  }
  combine(arguments);
  block.finish_in_warp(mask);
}

}  // namespace hostcuda::detail
