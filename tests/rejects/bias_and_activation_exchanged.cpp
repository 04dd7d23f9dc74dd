// expect: plexus::dense: an activation has float operator\(\)\(float\) const and float derivative\(float\) const
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
using hidden = px::dense<2, px::sigmoid, px::no_bias>;
#else
using hidden = px::dense<2, px::no_bias, px::sigmoid>;
#endif

int main() { px::network<px::input<3>, hidden> net; }
