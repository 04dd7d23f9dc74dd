// A layer after an input of another width: one line names the layer, the shape it expects and the shape it
// receives.
// expect alone: this_layer_does_not_accept_its_input<.*layer_number<1(UL)?>.*linear<4, 2.*expects<.*shape<4>.*receives<.*shape<3>
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
using layers = px::network<px::input<4>, px::linear<4, 2>>;
#else
using layers = px::network<px::input<3>, px::linear<4, 2>>;
#endif

int main() { layers net; }
