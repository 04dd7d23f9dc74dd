// A fiber: a machine context with a stack of its own, which another context of the same OS thread jumps to
// and from.
#pragma once

#include <hostcuda/engine/fault.hpp>
#include <hostcuda/engine/sanitizers.hpp>

#include <boost/context/detail/fcontext.hpp>

#include <sys/mman.h>

#include <cstddef>

namespace hostcuda::detail {

struct context {
  boost::context::detail::fcontext_t at = nullptr;  // where to go on, while it is suspended
  context_shadow shadow;
};

// The first thing that runs after a jump: the context that it came from, carried by the jump, is now
// suspended.
HOSTCUDA_UNSEEN inline void arrive(context& here, boost::context::detail::transfer_t transfer) {
  auto& from = *static_cast<context*>(transfer.data);
  from.at = transfer.fctx;
  here.shadow.enter(from.shadow);
}

[[gnu::always_inline]] HOSTCUDA_UNSEEN inline void jump(context& from, context& to) {
  from.shadow.leave(to.shadow);
  arrive(from, boost::context::detail::jump_fcontext(to.at, &from));
}

// Address space for a stack, with a page below it that must not be touched: an overflow ends in a fault, not
// in another stack. Without that page where the system has no more mappings to give.
class fiber_stack {
 public:
  explicit fiber_stack(std::size_t size) : size_(size + page) {
    bottom_ =
        mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bottom_ == MAP_FAILED) {
      throw kernel_fault{cudaErrorLaunchOutOfResources,
                         "no memory is left for the stacks of a block's threads"};
    }
    mprotect(bottom_, page, PROT_NONE);
  }
  fiber_stack(const fiber_stack&) = delete;
  fiber_stack& operator=(const fiber_stack&) = delete;
  ~fiber_stack() { munmap(bottom_, size_); }

  char* bottom() const { return static_cast<char*>(bottom_) + page; }
  std::size_t size() const { return size_ - page; }

 private:
  static constexpr std::size_t page = 4096;
  void* bottom_;
  std::size_t size_;
};

class fiber : public context {
 public:
  using entry_point = void (*)(boost::context::detail::transfer_t);

  // `number` spreads the tops of stacks, which are a power of two apart, over the sets of the caches.
  fiber(std::size_t stack_size, entry_point entry, unsigned number) : stack_(stack_size) {
    const std::size_t usable = stack_.size() - (number % 32u) * 192u;
    at = boost::context::detail::make_fcontext(stack_.bottom() + usable, usable, entry);
    shadow.create(stack_.bottom(), usable);
  }
  fiber(const fiber&) = delete;
  fiber& operator=(const fiber&) = delete;
  ~fiber() { shadow.destroy(); }

 private:
  fiber_stack stack_;
};

}  // namespace hostcuda::detail
