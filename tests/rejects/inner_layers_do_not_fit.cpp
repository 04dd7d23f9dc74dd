// The same in the middle of a network, after a layer whose width nobody wrote beside it.
// expect alone: this_layer_does_not_accept_its_input<.*layer_number<3(UL)?>.*linear<30, 10.*expects<.*shape<30>.*receives<.*shape<20>
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
constexpr int width = 30;
#else
constexpr int width = 20;
#endif

int main() {
  px::network<px::input<784>, px::dense<100, px::relu>, px::dense<width, px::relu>, px::linear<30, 10>> net;
}
