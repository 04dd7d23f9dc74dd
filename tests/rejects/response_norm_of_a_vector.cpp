// Local response normalisation after a dense layer, which has no channels.
// expect alone: this_layer_does_not_accept_its_input<.*layer_number<2(UL)?>.*local_response_norm<5.*expects<.*images_at_least<1, 1, 1>.*receives<.*shape<9>
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
using layers = px::network<px::image<9, 3, 3>, px::local_response_norm<5>, px::dense<9>>;
#else
using layers = px::network<px::image<9, 3, 3>, px::dense<9>, px::local_response_norm<5>>;
#endif

int main() { layers net; }
