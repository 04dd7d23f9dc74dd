// A convolution after a dense layer.
// expect alone: this_layer_does_not_accept_its_input<.*layer_number<2(UL)?>.*conv2d<.*expects<.*images_at_least<3, 3, 1>.*receives<.*shape<9>
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
using layers = px::network<px::image<1, 3, 3>, px::conv2d<9, 3>, px::dense<2>>;
#else
using layers = px::network<px::image<1, 3, 3>, px::dense<9>, px::conv2d<2, 3>>;
#endif

int main() { layers net; }
