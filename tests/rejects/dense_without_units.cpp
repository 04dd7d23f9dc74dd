// expect: plexus::dense: a layer has at least one unit
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
constexpr int units = 1;
#else
constexpr int units = 0;
#endif

int main() { px::network<px::input<3>, px::dense<units>> net; }
