// A second activation where options stand.
// expect: plexus::conv2d: options are stride, padding, same, valid, dilation, groups and no_bias
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
using filters = px::conv2d<6, 3, px::relu>;
#else
using filters = px::conv2d<6, 3, px::relu, px::tanh>;
#endif

int main() { px::network<px::image<1, 8, 8>, filters> net; }
