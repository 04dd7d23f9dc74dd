// expect: plexus::input: the width is at least 1
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
constexpr int width = 1;
#else
constexpr int width = 0;
#endif

int main() { px::network<px::input<width>, px::dense<2>> net; }
