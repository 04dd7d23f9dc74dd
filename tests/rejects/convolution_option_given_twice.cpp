// Two paddings: one of them would be lost in silence.
// expect: plexus::conv2d: each option is given at most once; same and valid are paddings
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
using filters = px::conv2d<6, 5, px::relu, px::stride<1>, px::padding<1>>;
#else
using filters = px::conv2d<6, 5, px::relu, px::stride<1>, px::padding<1>, px::valid>;
#endif

int main() { px::network<px::image<1, 8, 8>, filters> net; }
