// expect: plexus::inspect::check_gradients: a network in FP32
#include <plexus/inspect/check_gradients.hpp>
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
using precision = px::fp32;
#else
using precision = px::mixed<px::bf16>;
#endif

int main() {
  px::network<precision, px::input<3>, px::dense<2>> net;
  const float x[3]{}, y[2]{};
  return px::inspect::check_gradients(net, px::quadratic{}, x, y).passed() ? 0 : 1;
}
