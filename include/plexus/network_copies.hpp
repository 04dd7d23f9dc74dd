// The weights once more in 16 bits, as products on tensor cores read them. The parameters in FP32, the master
// weights, are what an optimiser changes: a small step would be lost in 16 bits. Whatever changes the
// parameters writes the copies as well, in the same kernel.
#pragma once

#include <plexus/core/precision.hpp>
#include <plexus/layers/chain.hpp>
#include <plexus/optimizers/update.hpp>

namespace plexus::inline PLEXUS_ABI::detail {

// Where the copies lie: in the order of the arena, every matrix with rows of its own leading dimension.
template <class Layers, class T>
class copies_layout {
  using arena = arena_layout<Layers>;

  static constexpr int rows_of(const tensor_record& record) {
    return record.spec.is_weight ? record.spec.rows() : 1;
  }
  static constexpr int cols_of(const tensor_record& record) {
    return static_cast<int>(record.spec.size()) / rows_of(record);
  }

 public:
  // All the arena's rows, of which a kernel takes one a warp.
  static constexpr int rows = [] {
    int count = 0;
    for (const tensor_record& record : arena::tensors) count += rows_of(record);
    return count;
  }();

  PLEXUS_FN static parameter_row row(int r) { return row_from<0>(r); }

  static constexpr std::size_t layer_offset(std::size_t layer) {
    std::size_t before = 0;
    for (const tensor_record& record : arena::tensors) before += record.layer < layer ? 1 : 0;
    return size_of_first(before);
  }
  static constexpr std::size_t size = layer_offset(std::tuple_size_v<Layers>);

 private:
  // What the copies of the first tensors take up.
  static constexpr std::size_t size_of_first(std::size_t count) {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const tensor_record& record = arena::tensors[i];
      if (!record.spec.is_weight) continue;
      sum += padded<T>(static_cast<std::size_t>(rows_of(record)) *
                       static_cast<std::size_t>(leading_dimension<T>(cols_of(record))));
    }
    return sum;
  }

  // Of tensor number Tensor: constants, so that device code need not call std::array's functions.
  template <std::size_t Tensor>
  static constexpr tensor_record tensor = arena::tensors[Tensor];
  template <std::size_t Tensor>
  static constexpr int rows_in = rows_of(arena::tensors[Tensor]);
  template <std::size_t Tensor>
  static constexpr int cols_in = cols_of(arena::tensors[Tensor]);
  template <std::size_t Tensor>
  static constexpr std::size_t copy_of = size_of_first(Tensor);

  // Row r of the tensors from number Tensor on.
  template <std::size_t Tensor>
  PLEXUS_FN static parameter_row row_from(int r) {
    if constexpr (Tensor + 1 < arena::tensor_count) {
      if (r >= rows_in<Tensor>) return row_from<Tensor + 1>(r - rows_in<Tensor>);
    }
    constexpr std::size_t begin = tensor<Tensor>.offset, copy = copy_of<Tensor>;
    constexpr bool is_copied = tensor<Tensor>.spec.is_weight;
    constexpr int cols = cols_in<Tensor>, ld = leading_dimension<T>(cols);
    const auto nth = static_cast<std::size_t>(r);
    return {begin + nth * cols, cols, is_copied, copy + nth * ld};
  }
};

}  // namespace plexus::inline PLEXUS_ABI::detail

namespace plexus::inline PLEXUS_ABI {

// For copies of parameters that somebody else has changed.
struct no_update {
  update_arenas of;
  PLEXUS_FN no_update here() const { return *this; }
  PLEXUS_FN void operator()(std::size_t) const {}
};

// A matrix in another precision.
template <class T, class From>
struct convert_rows {
  matrix_view<const From> from;
  matrix_view<T> to;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    for (int j = group.rank(); j < from.cols; j += group.size())
      to(row, j) = static_cast<T>(static_cast<float>(from(row, j)));
  }
};

}  // namespace plexus::inline PLEXUS_ABI
