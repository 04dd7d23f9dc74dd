// A maximum of more pixels than a byte numbers. The mean keeps no such number.
// expect: plexus::max_pool: a window has at most 256 pixels; two smaller pools give the same maximum
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
using layers = px::network<px::image<1, 20, 20>, px::average_pool<20>>;
using smaller = px::network<px::image<1, 20, 20>, px::max_pool<4>, px::max_pool<5>>;
#else
using layers = px::network<px::image<1, 20, 20>, px::max_pool<20>>;
using smaller = layers;
#endif

int main() {
  layers net;
  smaller same;
}
