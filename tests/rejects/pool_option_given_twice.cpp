// Two strides.
// expect: plexus: a pool's stride and padding are each given at most once
#include <plexus/plexus.hpp>

namespace px = plexus;

#if defined(RIGHT_TWIN)
using pool = px::average_pool<3, px::stride<2>, px::padding<1>>;
#else
using pool = px::average_pool<3, px::stride<2>, px::padding<1>, px::stride<1>>;
#endif

int main() { px::network<px::image<1, 8, 8>, pool> net; }
