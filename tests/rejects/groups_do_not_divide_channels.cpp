// Groups that do not divide the channels.
// expect alone: this_layer_does_not_accept_its_input<.*layer_number<1(UL)?>.*conv2d<.*expects<.*images_at_least<3, 3, 2>.*receives<.*shape<3, 8, 8>
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
using layers = px::network<px::image<4, 8, 8>, px::conv2d<6, 3, px::relu, px::groups<2>>>;
#else
using layers = px::network<px::image<3, 8, 8>, px::conv2d<6, 3, px::relu, px::groups<2>>>;
#endif

int main() { layers net; }
