// The first of two units that include all of plexus and are linked into one program.
#include "units.hpp"

#include <plexus/io/safetensors.hpp>
#include <plexus/plexus.hpp>

std::vector<float> first_unit() { return train_and_predict(); }
