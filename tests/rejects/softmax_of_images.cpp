// Softmax of images, of which it is not said over what.
// expect alone: this_layer_does_not_accept_its_input<.*layer_number<1(UL)?>.*softmax.*expects<.*vectors>.*receives<.*shape<2, 3, 3>
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
using layers = px::network<px::image<2, 3, 3>, px::dense<4>, px::softmax>;
#else
using layers = px::network<px::image<2, 3, 3>, px::softmax>;
#endif

int main() { layers net; }
