// What the engine tells AddressSanitizer and ThreadSanitizer. Without them all of it is nothing.
//
// ThreadSanitizer is the race checker: it sees each CUDA thread as a thread of its own, ordered with others
// only by what orders them on a GPU. Hence the functions of the engine, which run as whatever CUDA thread is
// current, are invisible to it (HOSTCUDA_UNSEEN), and order is given where CUDA gives it, by release() and
// acquire().
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define HOSTCUDA_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOSTCUDA_ADDRESS_SANITIZER 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define HOSTCUDA_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HOSTCUDA_THREAD_SANITIZER 1
#endif
#endif

#if defined(HOSTCUDA_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(HOSTCUDA_THREAD_SANITIZER)
#include <sanitizer/tsan_interface.h>
extern "C" void AnnotateIgnoreWritesBegin(const char* file, int line);
extern "C" void AnnotateIgnoreWritesEnd(const char* file, int line);
#endif

#include <cstddef>

#if !defined(HOSTCUDA_THREAD_SANITIZER)
#define HOSTCUDA_UNSEEN
#elif defined(__clang__)
#define HOSTCUDA_UNSEEN __attribute__((no_sanitize("thread"), disable_sanitizer_instrumentation))
#else
#define HOSTCUDA_UNSEEN __attribute__((no_sanitize("thread")))
#endif

namespace hostcuda::detail {

#if defined(HOSTCUDA_THREAD_SANITIZER)
inline constexpr bool race_check = true;
#else
inline constexpr bool race_check = false;
#endif

// A place that order between CUDA threads goes through: what happened before release() happened before what
// follows a later acquire().
struct order_point {
#if defined(HOSTCUDA_THREAD_SANITIZER)
  char address = 0;
  HOSTCUDA_UNSEEN void release() { __tsan_release(&address); }
  HOSTCUDA_UNSEEN void acquire() { __tsan_acquire(&address); }
#else
  void release() {}
  void acquire() {}
#endif
};

// While one exists, ThreadSanitizer overlooks what the current thread writes.
struct unseen_writes {
#if defined(HOSTCUDA_THREAD_SANITIZER)
  unseen_writes() { AnnotateIgnoreWritesBegin(__FILE__, __LINE__); }
  unseen_writes(const unseen_writes&) = delete;
  unseen_writes& operator=(const unseen_writes&) = delete;
  ~unseen_writes() { AnnotateIgnoreWritesEnd(__FILE__, __LINE__); }
#endif
};

// The sanitizers' half of a machine context.
struct context_shadow {
#if defined(HOSTCUDA_ADDRESS_SANITIZER)
  const void* stack_bottom = nullptr;
  std::size_t stack_size = 0;
  void* fake_stack = nullptr;
#endif
#if defined(HOSTCUDA_THREAD_SANITIZER)
  void* fiber = nullptr;
#endif

  // A stack that nothing has run on yet.
  HOSTCUDA_UNSEEN void create([[maybe_unused]] const void* bottom, [[maybe_unused]] std::size_t size) {
#if defined(HOSTCUDA_ADDRESS_SANITIZER)
    stack_bottom = bottom;
    stack_size = size;
#endif
#if defined(HOSTCUDA_THREAD_SANITIZER)
    fiber = __tsan_create_fiber(0);
#endif
  }

  HOSTCUDA_UNSEEN void destroy() {
#if defined(HOSTCUDA_THREAD_SANITIZER)
    __tsan_destroy_fiber(fiber);
#endif
  }

  // Just before a jump from this context to another.
  HOSTCUDA_UNSEEN void leave([[maybe_unused]] const context_shadow& to) {
#if defined(HOSTCUDA_ADDRESS_SANITIZER)
    __sanitizer_start_switch_fiber(&fake_stack, to.stack_bottom, to.stack_size);
#endif
#if defined(HOSTCUDA_THREAD_SANITIZER)
    fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to.fiber, __tsan_switch_to_fiber_no_sync);
#endif
  }

  // Just after a jump from another context to this one.
  HOSTCUDA_UNSEEN void enter([[maybe_unused]] context_shadow& from) {
#if defined(HOSTCUDA_ADDRESS_SANITIZER)
    __sanitizer_finish_switch_fiber(fake_stack, &from.stack_bottom, &from.stack_size);
#endif
  }
};

// Makes bytes unusable, or usable again, for AddressSanitizer.
inline void forbid_bytes([[maybe_unused]] const void* first, [[maybe_unused]] std::size_t count) {
#if defined(HOSTCUDA_ADDRESS_SANITIZER)
  __asan_poison_memory_region(first, count);
#endif
}
inline void allow_bytes([[maybe_unused]] const void* first, [[maybe_unused]] std::size_t count) {
#if defined(HOSTCUDA_ADDRESS_SANITIZER)
  __asan_unpoison_memory_region(first, count);
#endif
}

}  // namespace hostcuda::detail
