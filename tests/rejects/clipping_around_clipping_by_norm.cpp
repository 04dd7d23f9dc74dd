// The norm is found before anything is clipped, so that the inner one would be another than is meant.
// expect: clip_norm goes around all others: the norm is that of the gradients as they are
#include <plexus/plexus.hpp>

namespace px = plexus;

int main() {
  px::network<px::input<2>, px::dense<1>> net;
#if defined(RIGHT_TWIN)
  net.update(px::clip_norm{px::clip_value{px::adam{}, 1.0f}, 1.0f});
#else
  net.update(px::clip_value{px::clip_norm{px::adam{}, 1.0f}, 1.0f});
#endif
}
