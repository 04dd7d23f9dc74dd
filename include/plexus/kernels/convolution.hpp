// Convolution of images as matrix products of which one operand is never stored: the patches under the
// filter, read where they lie. ("Implicit GEMM": Chetlur et al., "cuDNN", arXiv 1410.0759, section 3.)
//
// With images x (n, C, H, W), filters w (O, C/G, kh, kw) and outputs (n, O, oh, ow), one group of the G
// computes, j running over the pixels of all images and k over the taps (c, r, s) of a filter:
//   forward          z (o, j)  = Σ_k w(o, k)·patch(k, j)
//   gradient of x    dx (c, j) = Σ_k w(o, c, r, s)·δ(the outputs that pixel j reaches by tap k = (o, r, s))
//   gradient of w    dw (o, k) = Σ_j δ(o, j)·patch(k, j)
// They run on the main loop of gemm.hpp with loaders of their own. Neighbouring lanes take neighbouring
// pixels, which lie next to each other in memory.
#pragma once

#include <plexus/core/divisor.hpp>
#include <plexus/kernels/convolution_shape.hpp>
#include <plexus/kernels/epilogue.hpp>
#include <plexus/kernels/gemm.hpp>

#include <cstddef>

namespace plexus::inline PLEXUS_ABI::kernels {

// An operand (extents, depths) of which element (i, k) is value(along_extent(i), along_depth(k)): what the
// two indices come to is worked out once each. depth_is_contiguous says along which of the two neighbours lie
// next to each other in memory. Elements are of type T.

// w as a matrix: one row for each output.
template <class T>
struct filter_rows {
  using element = T;
  static constexpr bool depth_is_contiguous = true;
  const T* data;
  int extents, depths, ld;

  filter_rows(const T* w, int row, const convolution_shape& of)
      : data(w), extents(of.group_outputs()), depths(of.depth()), ld(row) {}

  PLEXUS_FN filter_rows of_group(int group) const {
    filter_rows result = *this;
    result.data += static_cast<std::ptrdiff_t>(group) * extents * ld;
    return result;
  }
  PLEXUS_FN matrix_view<const T> matrix() const { return {data, extents, depths, ld}; }
  PLEXUS_FN int along_extent(int o) const { return o * ld; }
  PLEXUS_FN int along_depth(int k) const { return k; }
  PLEXUS_FN T value(int row, int k) const { return data[row + k]; }
};

// w the other way round: one row for each input channel c, in it all (o, r, s).
template <class T>
struct filters_of_channels {
  using element = T;
  static constexpr bool depth_is_contiguous = true;
  const T* data;
  int extents, depths, ld;
  int taps;  // kh·kw
  int outputs;
  divisor by_taps;

  filters_of_channels(const T* w, int row, const convolution_shape& of)
      : data(w),
        extents(of.group_channels()),
        depths(of.group_outputs() * of.window.area()),
        ld(row),
        taps(of.window.area()),
        outputs(of.group_outputs()),
        by_taps(taps) {}

  PLEXUS_FN filters_of_channels of_group(int group) const {
    filters_of_channels result = *this;
    result.data += static_cast<std::ptrdiff_t>(group) * outputs * ld;
    return result;
  }
  PLEXUS_FN int along_extent(int c) const { return c * taps; }
  PLEXUS_FN int along_depth(int k) const {
    const int o = by_taps(k);
    return o * ld + by_taps.remainder(k, o);
  }
  PLEXUS_FN T value(int channel, int tap) const { return data[channel + tap]; }
};

// δ as a matrix: one row for each output, along it the pixels of all images.
template <class T>
struct delta_rows {
  using element = T;
  static constexpr bool depth_is_contiguous = true;
  const T* data;
  int extents, depths, ld;
  int pixels;
  divisor by_pixels;

  delta_rows(const matrix_view<const T>& delta, const convolution_shape& of)
      : data(delta.data),
        extents(of.group_outputs()),
        depths(delta.rows * of.output().area()),
        ld(delta.ld),
        pixels(of.output().area()),
        by_pixels(pixels) {}

  PLEXUS_FN delta_rows of_group(int group) const {
    delta_rows result = *this;
    result.data += group * extents * pixels;
    return result;
  }
  PLEXUS_FN int along_extent(int o) const { return o * pixels; }
  PLEXUS_FN std::ptrdiff_t along_depth(int j) const {
    const int sample = by_pixels(j);
    return static_cast<std::ptrdiff_t>(sample) * ld + by_pixels.remainder(j, sample);
  }
  PLEXUS_FN T value(int output, std::ptrdiff_t pixel) const { return data[output + pixel]; }
};

// One pixel of the image that a product's columns stand for: where it, or its sample, begins in the other
// one.
struct image_place {
  std::ptrdiff_t begin;
  int y, x;
};

// Walks over pixels of images (n, height, width).
struct pixel_grid {
  int count, ld;
  divisor by_area, by_width;

  pixel_grid(int images, extent2d image, int row)
      : count(images * image.area()), ld(row), by_area(image.area()), by_width(image.width) {}

  PLEXUS_FN image_place at(int j) const {
    const int sample = by_area(j), pixel = by_area.remainder(j, sample), y = by_width(pixel);
    return {static_cast<std::ptrdiff_t>(sample) * ld, y, by_width.remainder(pixel, y)};
  }
};

// A filter's tap: how far it, or its channel, is from a place in memory, and its distance from the patch's
// corner. Short, for a thread may hold eight of them.
struct tap_place {
  int offset;
  short y, x;
};

// Walks over the taps (channel, r, s), which are `distance` apart.
struct tap_grid {
  int count;
  extent2d distance;
  int channel_size;
  divisor by_area, by_width;

  tap_grid(extent2d window, extent2d apart, int channels, int size_of_channel)
      : count(channels * window.area()),
        distance(apart),
        channel_size(size_of_channel),
        by_area(window.area()),
        by_width(window.width) {}

  PLEXUS_FN tap_place at(int k) const {
    const int channel = by_area(k), tap = by_area.remainder(k, channel), r = by_width(tap);
    return {channel * channel_size, static_cast<short>(r * distance.height),
            static_cast<short>(by_width.remainder(tap, r) * distance.width)};
  }
};

// Images as patches, zero beyond the edges: tap k of pixel j is as far from that pixel's corner in every
// patch.
template <class T>
struct patch_reader {
  using element = T;
  const T* data;
  int group_size;
  extent2d image, stride, first;  // pixel (0, 0) has its corner at `first`, and others by `stride` from there
  pixel_grid pixels;
  tap_grid taps;

  PLEXUS_FN image_place pixel(int j) const {
    image_place at = pixels.at(j);
    at.y = at.y * stride.height + first.height;
    at.x = at.x * stride.width + first.width;
    at.begin += at.y * image.width + at.x;
    return at;
  }
  PLEXUS_FN tap_place tap(int k) const {
    tap_place at = taps.at(k);
    at.offset += at.y * image.width + at.x;
    return at;
  }
  PLEXUS_FN T read(const image_place& corner, const tap_place& tap) const {
    const bool is_there =
        is_within(corner.y + tap.y, image.height) && is_within(corner.x + tap.x, image.width);
    return is_there ? data[corner.begin + tap.offset] : T(0.0f);
  }
};

// x as the patches under the filter.
template <class T>
patch_reader<T> patches_of(const matrix_view<const T>& x, const convolution_shape& of) {
  return {x.data,
          of.group_channels() * of.image.area(),
          of.image,
          of.stride,
          extent2d(-of.padding.height, -of.padding.width),
          pixel_grid(x.rows, of.output(), x.ld),
          tap_grid(of.window, of.dilation, of.group_channels(), of.image.area())};
}

// δ as what each pixel of x receives, by tap (r, s) from the output whose patch has the pixel there: with a
// stride of 1 these are patches whose taps lie the other way.
template <class T>
patch_reader<T> received_deltas(const matrix_view<const T>& delta, const convolution_shape& of) {
  return {delta.data,
          of.group_outputs() * of.output().area(),
          of.output(),
          1,
          of.padding,
          pixel_grid(delta.rows, of.image, delta.ld),
          tap_grid(of.window, extent2d(-of.dilation.height, -of.dilation.width), of.group_outputs(),
                   of.output().area())};
}

// The same with any stride, which does not leave an output for every pixel and tap.
template <class T>
struct strided_delta_reader {
  using element = T;
  const T* data;
  int group_size;
  extent2d output, stride, padding;
  divisor by_stride_y, by_stride_x;
  pixel_grid pixels;
  tap_grid taps;

  strided_delta_reader(const matrix_view<const T>& delta, const convolution_shape& of)
      : data(delta.data),
        group_size(of.group_outputs() * of.output().area()),
        output(of.output()),
        stride(of.stride),
        padding(of.padding),
        by_stride_y(stride.height),
        by_stride_x(stride.width),
        pixels(delta.rows, of.image, delta.ld),
        taps(of.window, of.dilation, of.group_outputs(), of.output().area()) {}

  PLEXUS_FN image_place pixel(int j) const {
    image_place at = pixels.at(j);
    at.y += padding.height;
    at.x += padding.width;
    return at;
  }
  PLEXUS_FN tap_place tap(int k) const { return taps.at(k); }
  PLEXUS_FN T read(const image_place& pixel, const tap_place& tap) const {
    const int down = pixel.y - tap.y, across = pixel.x - tap.x;
    if (down < 0 || across < 0) return T(0.0f);  // which the divisors do not divide
    const int y = by_stride_y(down), x = by_stride_x(across);
    const bool is_whole = (y * stride.height == down) && (x * stride.width == across);
    const bool is_there = is_whole && y < output.height && x < output.width;
    return is_there ? data[pixel.begin + tap.offset + y * output.width + x] : T(0.0f);
  }
};

// A reader's values as an operand: pixels along one of the two indices, taps along the other.
template <class Reader, bool PixelsAlongDepth>
struct image_operand {
  using element = typename Reader::element;
  static constexpr bool depth_is_contiguous = PixelsAlongDepth;
  Reader reader;
  int extents, depths;

  explicit image_operand(const Reader& of)
      : reader(of),
        extents(PixelsAlongDepth ? of.taps.count : of.pixels.count),
        depths(PixelsAlongDepth ? of.pixels.count : of.taps.count) {}

  PLEXUS_FN image_operand of_group(int group) const {
    image_operand result = *this;
    result.reader.data += group * reader.group_size;
    return result;
  }
  PLEXUS_FN auto along_extent(int i) const { return place<!PixelsAlongDepth>(i); }
  PLEXUS_FN auto along_depth(int k) const { return place<PixelsAlongDepth>(k); }
  PLEXUS_FN element value(const image_place& pixel, const tap_place& tap) const {
    return reader.read(pixel, tap);
  }
  PLEXUS_FN element value(const tap_place& tap, const image_place& pixel) const {
    return reader.read(pixel, tap);
  }

 private:
  template <bool IsPixel>
  PLEXUS_FN auto place(int i) const {
    if constexpr (IsPixel) {
      return reader.pixel(i);
    } else {
      return reader.tap(i);
    }
  }
};
template <class Reader>
image_operand<Reader, false> taps_by_pixels(const Reader& reader) {
  return image_operand<Reader, false>(reader);
}
template <class Reader>
image_operand<Reader, true> pixels_by_taps(const Reader& reader) {
  return image_operand<Reader, true>(reader);
}

// Which elements of a piece a thread brings, where neighbours lie along the depth: a warp takes eight of them
// in each of four rows, whose places follow each other, so that its stores go to 32 different banks …
template <int Extent, int Depth, int Threads, int Lanes>
struct elements_along_depth {
  static constexpr int run = 8;
  static constexpr int extents = Extent * run / Threads, depths = Depth / run;
  static_assert(extents > 0 && Extent * run % Threads == 0 && Depth % run == 0,
                "a block loads whole runs of a convolution's operand");
  using piece = staged_piece<Extent, Depth, Lanes>;

  __device__ static int extent(int i) { return piece::extent_at(index(i)); }
  __device__ static int depth(int j) { return static_cast<int>(threadIdx.x) % run + j * run; }
  __device__ static int place(int i, int j) { return depth(j) * piece::stride + index(i); }

 private:
  __device__ static int index(int i) { return (static_cast<int>(threadIdx.x) + i * Threads) / run; }
};

// … and where they lie along the extent: a warp takes 32 of one row.
template <int Extent, int Depth, int Threads, int Lanes>
struct elements_along_extent {
  static constexpr int rows = Threads / Extent;
  static constexpr int extents = 1, depths = Depth / rows;
  static_assert(Threads % Extent == 0 && Depth % rows == 0, "a block loads whole rows of a piece");
  using piece = staged_piece<Extent, Depth, Lanes>;

  __device__ static int extent(int) { return static_cast<int>(threadIdx.x) % Extent; }
  __device__ static int depth(int j) { return static_cast<int>(threadIdx.x) / Extent + j * rows; }
  __device__ static int place(int i, int j) { return piece::place_of(extent(i), depth(j)); }
};

// Brings an operand into shared memory element by element, in flight during the arithmetic.
template <class Operand, int Extent, int Depth, int Threads, int Lanes>
class gather_loader {
  using elements =
      std::conditional_t<Operand::depth_is_contiguous, elements_along_depth<Extent, Depth, Threads, Lanes>,
                         elements_along_extent<Extent, Depth, Threads, Lanes>>;

 public:
  using piece = typename elements::piece;

  // Begins at element `first` of the extent and at depth `depth`. Beyond the operand's edge its last row is
  // loaded again: what comes of it lies outside C.
  __device__ gather_loader(const Operand& operand, int first, int depth) : operand_(operand), depth_(depth) {
    PLEXUS_UNROLL
    for (int i = 0; i < elements::extents; ++i) {
      const int extent = first + elements::extent(i);
      rows_[i] = operand_.along_extent(extent < operand_.extents ? extent : operand_.extents - 1);
    }
  }

  __device__ void load_first(float* shared, int depths) {
    fetch_up_to(depths);
    depth_ += depths;
    land(shared);
  }

  __device__ void fetch() {
    fetch_up_to(Depth);
    depth_ += Depth;
  }

  __device__ void land(float* shared) const {
    PLEXUS_UNROLL
    for (int j = 0; j < elements::depths; ++j) {
      PLEXUS_UNROLL
      for (int i = 0; i < elements::extents; ++i) shared[elements::place(i, j)] = in_flight_[j][i];
    }
  }

 private:
  __device__ void fetch_up_to(int depths) {
    PLEXUS_UNROLL
    for (int j = 0; j < elements::depths; ++j) {
      const int depth = elements::depth(j);
      const auto at = operand_.along_depth(depth_ + (depth < depths ? depth : 0));
      PLEXUS_UNROLL
      for (int i = 0; i < elements::extents; ++i)
        in_flight_[j][i] = depth < depths ? static_cast<float>(operand_.value(rows_[i], at)) : 0.0f;
    }
  }

  Operand operand_;
  int depth_;
  decltype(std::declval<Operand>().along_extent(0)) rows_[elements::extents];
  float in_flight_[elements::depths][elements::extents];
};

// To find their elements the loaders need more registers than a matrix's do.
template <class Tile>
inline constexpr int resident_convolutions = Tile::resident_blocks - (Tile::resident_blocks + 2) / 4;

// Block (i, j, s) computes tile (j % t, i) of slice s of group j / t, each group having t tiles of rows. C
// has the rows of all groups below each other, and those of all slices below these.
template <class Tile, class OperandA, class OperandB, class Epilogue>
__global__ void __launch_bounds__(gemm_arrangement<Tile>::threads, resident_convolutions<Tile>)
    convolution_kernel(OperandA a, OperandB b, int groups, int slice_depth, Epilogue epilogue) {
  using at = gemm_arrangement<Tile>;
  const int tiles = divide_up(a.extents, at::block_m);
  const int group = static_cast<int>(blockIdx.y) / tiles;
  const int first_row = static_cast<int>(blockIdx.y) % tiles * at::block_m;
  const int first_col = static_cast<int>(blockIdx.x) * at::block_n;
  const int slice = static_cast<int>(blockIdx.z);
  const slice_range depths = slice_of(a.depths, slice, slice_depth);
  using loader_a = gather_loader<OperandA, at::block_m, at::block_k, at::threads, at::lanes_m>;
  using loader_b = gather_loader<OperandB, at::block_n, at::block_k, at::threads, at::lanes_n>;
  gemm_accumulators<Tile> sums;
  multiply_operands(loader_a(a.of_group(group), first_row, depths.begin),
                    loader_b(b.of_group(group), first_col, depths.begin), depths.end - depths.begin, sums);
  sums.finish(first_row, first_col, a.extents, b.extents, (slice * groups + group) * a.extents, epilogue);
}

// The operands are those of the first group.
template <class Tile, class OperandA, class OperandB, class Epilogue>
void launch_convolution(cudaStream_t stream, const OperandA& a, const OperandB& b, int groups,
                        const Epilogue& epilogue, int slices = 1) {
  const dim3 blocks(static_cast<unsigned>(divide_up(b.extents, Tile::block_n)),
                    static_cast<unsigned>(divide_up(a.extents, Tile::block_m) * groups),
                    static_cast<unsigned>(slices));
  launch("launching a convolution", stream,
         {blocks, dim3(static_cast<unsigned>(gemm_arrangement<Tile>::threads))},
         convolution_kernel<Tile, OperandA, OperandB, Epilogue>, a, b, groups, slice_length(a.depths, slices),
         epilogue);
}

// A product's element (channel, pixel of all images) for an epilogue of (sample, feature), a sample's
// features being the pixels of its channels. The bias, one a channel, is added before.
template <class Epilogue, class Bias>
struct image_epilogue {
  Epilogue epilogue;
  Bias bias;  // const float* or no_bias_term
  int pixels;
  divisor by_pixels;

  image_epilogue(const Epilogue& of, Bias channel_bias, int area)
      : epilogue(of), bias(channel_bias), pixels(area), by_pixels(area) {}

  PLEXUS_FN void operator()(int channel, int j, float acc) const {
    const int sample = by_pixels(j);
    epilogue(sample, channel * pixels + by_pixels.remainder(j, sample), acc + bias[channel]);
  }
};

}  // namespace plexus::inline PLEXUS_ABI::kernels
