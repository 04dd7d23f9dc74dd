// What device code finds without including anything.
#pragma once

#include <hostcuda/builtins/atomics.hpp>
#include <hostcuda/builtins/math.hpp>
#include <hostcuda/builtins/memory.hpp>
#include <hostcuda/builtins/synchronization.hpp>
#include <hostcuda/builtins/variables.hpp>
#include <hostcuda/builtins/warp.hpp>
