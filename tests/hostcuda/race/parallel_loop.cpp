// A parallel loop whose iterations write a cell each. With -DNEIGHBOURS two of them write the same cell.
#include "engine_support.hpp"

#include <cstdio>
#include <vector>

using namespace hostcuda_tests;

int main() {
  std::vector<int> cells(1000);
  int* cell = cells.data();
  const cudaError_t error = parallel_for(nullptr, cells.size(), [cell](std::size_t i) {
#if defined(NEIGHBOURS)
    cell[i / 2] = 1;  // RACE
#else
    cell[i] = 1;
#endif
  });
  std::printf("cell 0: %d\n", cells[0]);
  return error == cudaSuccess && cells[0] == 1 ? 0 : 3;
}
