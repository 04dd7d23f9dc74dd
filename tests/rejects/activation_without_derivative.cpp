// expect: plexus::dense: an activation has float operator\(\)\(float\) const and float derivative\(float\) const
#include <plexus/plexus.hpp>

namespace px = plexus;

struct square {
  PLEXUS_FN float operator()(float z) const { return z * z; }
#if defined(RIGHT_TWIN)
  PLEXUS_FN float derivative(float z) const { return 2 * z; }
#endif
};

int main() { px::network<px::input<3>, px::dense<2, square>> net; }
