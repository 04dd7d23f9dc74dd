// Atomic operations, atomic over all threads of all blocks. Like CUDA's they order nothing: that is for
// fences to do.
#pragma once

#include <hostcuda/engine/fence.hpp>

#include <atomic>
#include <concepts>
#include <type_traits>

namespace hostcuda {
namespace detail {

template <class T, class... Ts>
concept one_of = (std::same_as<T, Ts> || ...);

// Replaces the value at `address` by update(value); returns the value before.
template <class T, class Update>
T atomic_update(T* address, Update update) {
  const std::atomic_ref<T> target(*address);
  T before = target.load(std::memory_order_relaxed);
  while (!target.compare_exchange_weak(before, update(before), atomic_order(), std::memory_order_relaxed)) {
  }
  return before;
}

}  // namespace detail

template <detail::one_of<int, unsigned, unsigned long long, float, double> T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_add(value, detail::atomic_order());
}

template <detail::one_of<int, unsigned> T>
T atomicSub(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_sub(value, detail::atomic_order());
}

template <detail::one_of<int, unsigned, unsigned long long, float> T>
T atomicExch(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).exchange(value, detail::atomic_order());
}

template <detail::one_of<int, unsigned, long long, unsigned long long> T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  return detail::atomic_update(address, [value](T old) { return value < old ? value : old; });
}

template <detail::one_of<int, unsigned, long long, unsigned long long> T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  return detail::atomic_update(address, [value](T old) { return old < value ? value : old; });
}

// ((old >= limit) ? 0 : old + 1)
inline unsigned atomicInc(unsigned* address, unsigned limit) {
  return detail::atomic_update(address, [limit](unsigned old) { return old >= limit ? 0 : old + 1; });
}

// ((old == 0 || old > limit) ? limit : old - 1)
inline unsigned atomicDec(unsigned* address, unsigned limit) {
  return detail::atomic_update(address,
                               [limit](unsigned old) { return old == 0 || old > limit ? limit : old - 1; });
}

template <detail::one_of<int, unsigned, unsigned short, unsigned long long> T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  std::atomic_ref<T>(*address).compare_exchange_strong(expected, value, detail::atomic_order());
  return expected;
}

template <detail::one_of<int, unsigned, unsigned long long> T>
T atomicAnd(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_and(value, detail::atomic_order());
}

template <detail::one_of<int, unsigned, unsigned long long> T>
T atomicOr(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_or(value, detail::atomic_order());
}

template <detail::one_of<int, unsigned, unsigned long long> T>
T atomicXor(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_xor(value, detail::atomic_order());
}

}  // namespace hostcuda
