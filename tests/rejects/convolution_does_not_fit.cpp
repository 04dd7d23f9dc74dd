// A window that is larger than the padded image: one line names the layer, what it expects and the shape it
// receives.
// expect alone: this_layer_does_not_accept_its_input<.*layer_number<2(UL)?>.*conv2d<.*expects<.*images_at_least<5, 5, 1>.*receives<.*shape<6, 4, 4>
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
using layers = px::network<px::image<1, 8, 8>, px::conv2d<6, 5>, px::conv2d<16, 5, px::relu, px::padding<1>>>;
#else
using layers = px::network<px::image<1, 8, 8>, px::conv2d<6, 5>, px::conv2d<16, 5>>;
#endif

int main() { layers net; }
