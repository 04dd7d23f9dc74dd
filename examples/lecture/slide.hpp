// Prints what a slide of the lecture shows beside what plexus computes, and remembers whether they agree.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace lecture {

// Slide: "Deep Learning Internals", lecture 11 of Modern Parallel Computing (EEC 289Q, UC Davis, 2018).
class slide {
 public:
  explicit slide(const std::string& title) { std::printf("%s\n", title.c_str()); }

  void say(const std::string& text) const { std::printf("\n%s\n", text.c_str()); }

  void columns(const char* expected = "slide") const {
    std::printf("\n  %-36s %20s %20s %11s\n", "", expected, "plexus", "difference");
  }

  // A number the slide gives to some digits, such as ".35": half a unit of the last one is allowed.
  void rounded(const std::string& what, const std::string& shown, double computed) {
    const std::size_t point = shown.find('.');
    const auto digits = static_cast<int>(point == std::string::npos ? 0 : shown.size() - point - 1);
    const double expected = std::strtod(shown.c_str(), nullptr);
    compare(what, shown, expected, computed, 0.5 * std::pow(10, -digits) + 1e-6);
  }

  // A number that is known without rounding.
  void exact(const std::string& what, double expected, double computed, double allowed = 1e-6) {
    compare(what, decimal(expected), expected, computed, allowed);
  }

  // A statement instead of a number.
  void statement(const std::string& what, const std::string& expected, const std::string& computed) {
    row(what, expected, computed, "", expected == computed);
  }

  // The program's exit code.
  int result() const {
    std::printf("\n%s\n\n", wrong_ == 0 ? "All of it agrees." : "Something DISAGREES: see the marked lines.");
    return wrong_ == 0 ? 0 : 1;
  }

 private:
  static std::string decimal(double value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.8f", value);
    return text;
  }

  static std::string scientific(double value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.1e", value);
    return text;
  }

  void compare(const std::string& what, const std::string& shown, double expected, double computed,
               double allowed) {
    const double difference = std::abs(computed - expected);
    row(what, shown, decimal(computed), scientific(difference), difference <= allowed);  // a NaN is not
  }

  void row(const std::string& what, const std::string& expected, const std::string& computed,
           const std::string& difference, bool agrees) {
    wrong_ += agrees ? 0 : 1;
    std::printf("  %-*s %20s %20s %11s%s\n", 36 + invisible_bytes(what), what.c_str(), expected.c_str(),
                computed.c_str(), difference.c_str(), agrees ? "" : "  <-- DISAGREES");
  }

  // printf counts bytes; a character beyond ASCII has more than one.
  static int invisible_bytes(const std::string& text) {
    int count = 0;
    for (const char byte : text) count += (static_cast<unsigned char>(byte) & 0xC0u) == 0x80u;
    return count;
  }

  int wrong_ = 0;
};

}  // namespace lecture
