// expect: plexus::network: at least one layer follows the input
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
using layers = px::network<px::input<784>, px::dense<10>>;
#else
using layers = px::network<px::input<784>>;
#endif

int main() { layers net; }
