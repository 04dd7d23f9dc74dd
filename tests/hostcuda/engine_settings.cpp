// Settings that come from the environment.
#include "engine_support.hpp"
#include "support/catch.hpp"

#include <cstdlib>
#include <stdexcept>
#include <string>

using namespace hostcuda_tests;
using Catch::Matchers::ContainsSubstring;

namespace {

// An environment variable, for a scope.
class environment {
 public:
  environment(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before, was_set_ = true;
    setenv(name, value, 1);
  }
  environment(const environment&) = delete;
  environment& operator=(const environment&) = delete;
  ~environment() { was_set_ ? setenv(name_, before_.c_str(), 1) : unsetenv(name_); }

 private:
  const char* name_;
  std::string before_;
  bool was_set_ = false;
};

std::string complaint(const char* name, const char* value) {
  const environment set(name, value);
  try {
    detail::settings_from_environment();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "none";
}

setting_values with(const char* name, const char* value) {
  const environment set(name, value);
  return detail::settings_from_environment();
}

}  // namespace

TEST_CASE("the environment sets workers, order, streams and stacks", "[hostcuda]") {
  CHECK(with("HOSTCUDA_WORKERS", "3").workers == 3);
  CHECK(with("HOSTCUDA_ORDER", "forward").order == thread_order::forward);
  CHECK(with("HOSTCUDA_ORDER", "reverse").order == thread_order::reverse);
  CHECK(with("HOSTCUDA_ORDER", "shuffled").order == thread_order::shuffled);
  CHECK(with("HOSTCUDA_ORDER", "shuffled:18446744073709551615").order == thread_order::shuffled);
  CHECK(with("HOSTCUDA_ORDER", "shuffled:18446744073709551615").seed == 18446744073709551615u);
  CHECK(with("HOSTCUDA_STREAMS", "deferred").streams == stream_mode::deferred);
  CHECK(with("HOSTCUDA_STREAMS", "immediate").streams == stream_mode::immediate);
  CHECK(with("HOSTCUDA_WITHOUT_BARRIER", "gemm.hpp:12").without_barrier == "gemm.hpp:12");
  CHECK(with("HOSTCUDA_STACK_KB", "512").stack_kilobytes == 512);
}

TEST_CASE("a value that means nothing is refused with what is expected", "[hostcuda]") {
  for (const char* value : {"", "0", "-1", "two", "2x", "99999"}) {
    CHECK_THAT(complaint("HOSTCUDA_WORKERS", value),
               ContainsSubstring("HOSTCUDA_WORKERS is \"" + std::string(value)) &&
                   ContainsSubstring("a number from 1 to 1024"));
  }
  for (const char* value : {"", "backward", "shuffled:", "shuffled:x", "shuffled:1x", "shuffled:-1"}) {
    CHECK_THAT(complaint("HOSTCUDA_ORDER", value),
               ContainsSubstring("HOSTCUDA_ORDER") && ContainsSubstring("forward, reverse, shuffled or"));
  }
  CHECK_THAT(complaint("HOSTCUDA_STREAMS", "later"), ContainsSubstring("immediate or deferred"));
  CHECK_THAT(complaint("HOSTCUDA_STACK_KB", "1MB"), ContainsSubstring("HOSTCUDA_STACK_KB"));
}
