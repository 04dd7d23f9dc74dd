// An optimiser of the user's without a rate, and so without what a schedule could change.
// expect: scheduled: neither the optimiser nor one that it is around has a member rate
#include <plexus/plexus.hpp>

namespace px = plexus;

struct fixed_step {
  static constexpr const char* name = "fixed_step";
#if defined(RIGHT_TWIN)
  float rate = 0.1f;
#else
  float step = 0.1f;
#endif
  int state_count() const { return 0; }
  PLEXUS_FN void operator()(float& w, float gradient, px::parameter_state) const { w -= gradient; }
};

int main() {
  px::network<px::input<2>, px::dense<1>> net;
  net.update(px::scheduled{px::clip_norm{fixed_step{}, 1.0f}, px::cosine{}});
}
