// The second: in a CUDA build it stays C++, so that a unit of nvcc and one of g++ meet in one program.
#include "units.hpp"

#include <plexus/io/safetensors.hpp>
#include <plexus/plexus.hpp>

std::vector<float> second_unit() { return train_and_predict(); }
