// Dropout that leaves nothing.
// expect: plexus::dropout: the probability is in \[0, 1\)
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
using layers = px::network<px::input<4>, px::dropout<0.5>>;
#else
using layers = px::network<px::input<4>, px::dropout<1>>;
#endif

int main() { layers net; }
