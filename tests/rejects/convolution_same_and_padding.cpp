// Padding said in two ways.
// expect: plexus::conv2d: each option is given at most once; same and valid are paddings
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
using filters = px::conv2d<6, 5, px::relu, px::same>;
#else
using filters = px::conv2d<6, 5, px::relu, px::valid, px::same>;
#endif

int main() { px::network<px::image<1, 8, 8>, filters> net; }
