// Long sums in slices: where a product has too few elements to fill a device, several blocks add up parts of
// each element's sum, and a second pass adds the parts in their order.
#pragma once

#include <plexus/core/context.hpp>
#include <plexus/core/for_each.hpp>
#include <plexus/kernels/epilogue.hpp>
#include <plexus/kernels/gemm_shape.hpp>

#include <algorithm>
#include <cstddef>

namespace plexus::inline PLEXUS_ABI::kernels {

// Slices begin at multiples of this, so that each reads whole sectors where the unsliced operand would.
inline constexpr int slice_granularity = 16;

// Sums down the columns of a matrix are not cut into slices of fewer rows.
inline constexpr int shortest_row_slice = 256;

// Whether a sum whose length may be known when this is compiled is ever cut into slices.
constexpr bool may_be_sliced(int known_length, int shortest) { return at_most(known_length) / 2 >= shortest; }

// The length of each of `slices` slices that cover `length`; the last ones may be shorter, or empty.
inline int slice_length(int length, int slices) {
  return divide_up(divide_up(length, slices), slice_granularity) * slice_granularity;
}

// Of which slice s covers [begin, end).
struct slice_range {
  int begin, end;
};
PLEXUS_FN inline slice_range slice_of(int length, int slice, int slice_length) {
  const int begin = slice * slice_length < length ? slice * slice_length : length;
  return {begin, length - begin < slice_length ? length : begin + slice_length};
}

// Element i of C (rows, cols), counted row by row: Σ over the slices s of parts[s·rows·cols + i].
template <class Epilogue>
struct slice_sum {
  const float* parts;
  int slices, rows, cols;
  Epilogue epilogue;

  PLEXUS_FN void operator()(std::size_t i) const {
    const std::size_t elements = static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols);
    float sum = 0;
    for (int slice = 0; slice < slices; ++slice) sum += parts[static_cast<std::size_t>(slice) * elements + i];
    const int index = static_cast<int>(i);
    epilogue(index / cols, index % cols, sum);
  }
};

template <class Epilogue>
void sum_slices(cudaStream_t stream, const float* parts, int slices, int rows, int cols,
                const Epilogue& epilogue) {
  for_each(stream, static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols),
           slice_sum<Epilogue>{parts, slices, rows, cols, epilogue});
}

// As many slices of `length` as give every multiprocessor `blocks_each` blocks, where one slice has `blocks`
// and `elements` results; but no slice shorter than `shortest`. To a CPU they are of no use.
inline int slices_to_fill(const context& context, int length, std::size_t elements, int blocks,
                          int blocks_each, int shortest) {
  if (platform::on_cpu || elements == 0) return 1;
  const int wanted = context.device().multiprocessors * blocks_each / blocks;
  const int held = static_cast<int>(context.parts().size / elements);
  return std::max(1, std::min({wanted, held, length / shortest}));
}

// launch(epilogue) where the product (rows, cols) is computed in one slice; where in several, the launch
// stores their results, and a pass of its own adds them up for the epilogue. MaySlice says whether there can
// be several.
template <bool MaySlice = true, class Epilogue, class Launch>
void in_slices(const context& context, int slices, int rows, int cols, const Epilogue& epilogue,
               const Launch& launch) {
  if constexpr (MaySlice && !platform::on_cpu) {
    if (slices > 1) {
      float* const parts = context.parts().data;
      launch(store{matrix(parts, slices * rows, cols)});
      return sum_slices(context.stream(), parts, slices, rows, cols, epilogue);
    }
  }
  launch(epilogue);
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
