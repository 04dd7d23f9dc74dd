// Many products of the same shape in one launch. Their matrices lie one below the other, each operand's in
// one stack, which is a matrix_view of all their rows.
#pragma once

#include <plexus/kernels/direct_product.hpp>
#include <plexus/kernels/gemm.hpp>
#include <plexus/kernels/tensor_gemm.hpp>

namespace plexus::inline PLEXUS_ABI::kernels {

// Matrix i of a stack of matrices of `rows` rows each.
template <class T>
PLEXUS_FN matrix_view<T> matrix_of_stack(const matrix_view<T>& stack, int i, int rows) {
  return {stack.row(i * rows), rows, stack.cols, stack.ld};
}

// Block (i, j) computes tile (i % t, j) of product i / t, C having t tiles of rows: a grid's first dimension
// has room for any number of products.
template <layout L, class Tile, class Epilogue>
__global__ void __launch_bounds__(gemm_arrangement<Tile>::threads, Tile::resident_blocks)
    batched_gemm_kernel(matrix_view<const float> a, int rows_a, matrix_view<const float> b, int rows_b,
                        Epilogue epilogue) {
  const int m = L == layout::tn ? a.cols : rows_a;
  const int tiles = divide_up(m, Tile::block_m);
  const int product = static_cast<int>(blockIdx.x) / tiles;
  multiply_tile<L, Tile>(matrix_of_stack(a, product, rows_a), matrix_of_stack(b, product, rows_b),
                         static_cast<int>(blockIdx.x) % tiles * Tile::block_m,
                         static_cast<int>(blockIdx.y) * Tile::block_n, product * m, epilogue);
}

template <layout L, class Tile, class Epilogue>
void launch_batched_gemm(cudaStream_t stream, int count, matrix_view<const float> a,
                         matrix_view<const float> b, const Epilogue& epilogue) {
  const int m = epilogue.c.rows / count;
  const dim3 blocks(static_cast<unsigned>(divide_up(m, Tile::block_m)) * static_cast<unsigned>(count),
                    static_cast<unsigned>(divide_up(epilogue.c.cols, Tile::block_n)));
  const launch_shape shape{blocks, dim3(static_cast<unsigned>(gemm_arrangement<Tile>::threads))};
  launch("launching a batched GEMM", stream, shape, batched_gemm_kernel<L, Tile, Epilogue>, a, a.rows / count,
         b, b.rows / count, epilogue);
}

// Block i computes tile i % t of product i / t, C having t tiles.
template <layout L, class Tile, class T, class Epilogue>
__global__ void __launch_bounds__(tensor_arrangement<Tile>::threads, Tile::resident_blocks)
    batched_tensor_gemm_kernel(matrix_view<const T> a, int rows_a, matrix_view<const T> b, int rows_b,
                               Epilogue epilogue) {
  using operands = tensor_operands<L, Tile, T>;
  const int m = L == layout::tn ? a.cols : rows_a;
  const int tiles = tensor_tiles<Tile>(m, epilogue.c.cols);
  const int product = static_cast<int>(blockIdx.x) / tiles;
  multiply_tensor_tile<Tile, typename operands::a, typename operands::b>(
      matrix_of_stack(a, product, rows_a), matrix_of_stack(b, product, rows_b),
      static_cast<int>(blockIdx.x) % tiles, {0, L == layout::tn ? rows_a : a.cols},
      {m, epilogue.c.cols, product * m}, epilogue);
}

template <layout L, class Tile, class T, class Epilogue>
void launch_batched_tensor_gemm(cudaStream_t stream, int count, matrix_view<const T> a,
                                matrix_view<const T> b, const Epilogue& epilogue) {
  using operands = tensor_operands<L, Tile, T>;
  const int tiles = tensor_tiles<Tile>(epilogue.c.rows / count, epilogue.c.cols);
  const dim3 blocks(static_cast<unsigned>(tiles) * static_cast<unsigned>(count));
  launch("launching a batched tensor-core GEMM", stream,
         tensor_launch_shape<Tile, typename operands::a, typename operands::b>(blocks),
         batched_tensor_gemm_kernel<L, Tile, T, Epilogue>, a, a.rows / count, b, b.rows / count, epilogue);
}

// Row i % m of product i / m by loops: for products much smaller than a tile.
template <layout L, class T, class Epilogue>
struct batched_direct_products {
  int count;
  matrix_view<const T> a;
  matrix_view<const T> b;
  Epilogue epilogue;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const int m = epilogue.c.rows / count, product = row / m;
    direct_row<L>(group, matrix_of_stack(a, product, a.rows / count),
                  matrix_of_stack(b, product, b.rows / count), row % m, row, epilogue);
  }
};

template <layout L, class T, class Epilogue>
void batched_direct_product(cudaStream_t stream, int count, matrix_view<const T> a, matrix_view<const T> b,
                            const Epilogue& epilogue) {
  for_each_row(stream, epilogue.c.rows, batched_direct_products<L, T, Epilogue>{count, a, b, epilogue});
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
