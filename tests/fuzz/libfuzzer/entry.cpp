// What libFuzzer calls (llvm.org/docs/LibFuzzer.html): the target is the one that PLEXUS_FUZZ_TARGET names.
#include "fuzz/targets.hpp"

#include <cstdint>
#include <cstdlib>

namespace {

const fuzz::target& chosen_target() {
  const char* const name = std::getenv("PLEXUS_FUZZ_TARGET");
  const auto found =
      std::ranges::find(fuzz::targets, std::string_view(name == nullptr ? "" : name), &fuzz::target::name);
  if (found == std::end(fuzz::targets)) throw std::invalid_argument("PLEXUS_FUZZ_TARGET names no target");
  return *found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::target& target = chosen_target();
  fuzz::accepts(target.read, std::as_bytes(std::span(data, size)));
  return 0;
}
