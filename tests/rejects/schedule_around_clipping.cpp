// Clipping has no rate that a schedule could change.
// expect: scheduled: the optimiser has no member rate; clipping goes around, clip_norm{scheduled{...}, limit}
#include <plexus/plexus.hpp>

namespace px = plexus;

int main() {
  px::network<px::input<2>, px::dense<1>> net;
#if defined(RIGHT_TWIN)
  net.update(px::clip_norm{px::scheduled{px::adam{}, px::cosine{}}, 1.0f});
#else
  net.update(px::scheduled{px::clip_norm{px::adam{}, 1.0f}, px::cosine{}});
#endif
}
