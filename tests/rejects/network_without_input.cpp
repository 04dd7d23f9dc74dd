// expect: plexus::network: the list begins with input<width>
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
using layers = px::network<px::input<784>, px::dense<300, px::relu>, px::dense<10>>;
#else
using layers = px::network<px::dense<300, px::relu>, px::dense<10>>;
#endif

int main() { layers net; }
