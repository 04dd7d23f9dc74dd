// The norm has to be asked for by what is outermost.
// expect: clip_norm goes around all others: the norm is that of the gradients as they are
#include <plexus/plexus.hpp>

namespace px = plexus;

int main() {
  px::network<px::input<2>, px::dense<1>> net;
#if defined(RIGHT_TWIN)
  net.update(px::clip_norm{px::averaged{px::clip_value{px::adam{}, 1.0f}}, 1.0f});
#else
  net.update(px::averaged{px::clip_norm{px::adam{}, 1.0f}, 0.9f});
#endif
}
