// Convolution by windows of one pixel, whose taps lie as a matrix does: a product for each image,
//   forward          z_i = W·x_i     with W (O, C), x_i (C, pixels) and z_i (O, pixels)
//   gradient of x    dx_i = Wᵀ·δ_i
// which the loaders of matrices bring packet by packet, where those of convolution.hpp look for each element.
#pragma once

#include <plexus/kernels/gemm.hpp>
#include <plexus/kernels/tensor_gemm.hpp>

namespace plexus::inline PLEXUS_ABI::kernels {

// The filters of all images, and these: rows of `pixels` for each channel.
template <class T>
struct pointwise_operands {
  matrix_view<const T> w, images;
  int pixels;

  PLEXUS_FN matrix_view<const T> image(int i) const {
    return {images.row(i), images.cols / pixels, pixels, pixels};
  }
};

// The element (channel, pixel) of image i for an epilogue of (channel, pixel of all images).
template <class Epilogue>
struct epilogue_of_image {
  Epilogue epilogue;
  int first;
  PLEXUS_FN void operator()(int channel, int pixel, float acc) const {
    epilogue(channel, first + pixel, acc);
  }
};

// Block (i, j) computes tile (i % t, j) of image i / t, which has t tiles of rows.
template <layout L, class Tile, class Epilogue>
__global__ void __launch_bounds__(gemm_arrangement<Tile>::threads, Tile::resident_blocks)
    pointwise_convolution_kernel(pointwise_operands<float> of, Epilogue epilogue) {
  const int tiles = divide_up(L == layout::tn ? of.w.cols : of.w.rows, Tile::block_m);
  const int image = static_cast<int>(blockIdx.x) / tiles;
  multiply_tile<L, Tile>(of.w, of.image(image), static_cast<int>(blockIdx.x) % tiles * Tile::block_m,
                         static_cast<int>(blockIdx.y) * Tile::block_n, 0,
                         epilogue_of_image<Epilogue>{epilogue, image * of.pixels});
}

template <layout L, class Tile, class Epilogue>
void launch_pointwise_convolution(cudaStream_t stream, const pointwise_operands<float>& of,
                                  const Epilogue& epilogue) {
  const int tiles = divide_up(L == layout::tn ? of.w.cols : of.w.rows, Tile::block_m);
  const dim3 blocks(static_cast<unsigned>(tiles) * static_cast<unsigned>(of.images.rows),
                    static_cast<unsigned>(divide_up(of.pixels, Tile::block_n)));
  launch("launching a pointwise convolution", stream,
         {blocks, dim3(static_cast<unsigned>(gemm_arrangement<Tile>::threads))},
         pointwise_convolution_kernel<L, Tile, Epilogue>, of, epilogue);
}

// Block i computes tile i % t of image i / t, which has t tiles.
template <layout L, class Tile, class T, class Epilogue>
__global__ void __launch_bounds__(tensor_arrangement<Tile>::threads, Tile::resident_blocks)
    pointwise_tensor_convolution_kernel(pointwise_operands<T> of, Epilogue epilogue) {
  using operands = tensor_operands<L, Tile, T>;
  constexpr bool transposed = L == layout::tn;
  const int rows = transposed ? of.w.cols : of.w.rows, depth = transposed ? of.w.rows : of.w.cols;
  const int tiles = tensor_tiles<Tile>(rows, of.pixels);
  const int image = static_cast<int>(blockIdx.x) / tiles;
  multiply_tensor_tile<Tile, typename operands::a, typename operands::b>(
      of.w, of.image(image), static_cast<int>(blockIdx.x) % tiles, {0, depth}, {rows, of.pixels, 0},
      epilogue_of_image<Epilogue>{epilogue, image * of.pixels});
}

template <layout L, class Tile, class T, class Epilogue>
void launch_pointwise_tensor_convolution(cudaStream_t stream, const pointwise_operands<T>& of,
                                         const Epilogue& epilogue) {
  using operands = tensor_operands<L, Tile, T>;
  const int tiles = tensor_tiles<Tile>(L == layout::tn ? of.w.cols : of.w.rows, of.pixels);
  const dim3 blocks(static_cast<unsigned>(tiles) * static_cast<unsigned>(of.images.rows));
  launch("launching a pointwise tensor-core convolution", stream,
         tensor_launch_shape<Tile, typename operands::a, typename operands::b>(blocks),
         pointwise_tensor_convolution_kernel<L, Tile, T, Epilogue>, of, epilogue);
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
