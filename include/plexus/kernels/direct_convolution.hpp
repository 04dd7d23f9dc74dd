// Convolution without tiles, of few outputs. A product by the tiles of convolution.hpp has at least 32 rows,
// one an output: with the six filters of LeNet's first layer, or the one of a depthwise convolution, most of
// a tile is idle. Here a thread computes all outputs of a group at neighbouring pixels of a column, so that a
// value that it reads serves all of them; or sums to a whole row of taps of all filters' gradients.
#pragma once

#include <plexus/core/launch.hpp>
#include <plexus/kernels/convolution_shape.hpp>
#include <plexus/kernels/packet.hpp>
#include <plexus/kernels/slices.hpp>

#include <algorithm>
#include <cstddef>

namespace plexus::inline PLEXUS_ABI::kernels {

inline constexpr int direct_threads = 128;

// A gradient is not added up in slices of fewer pixels: a warp's sums take some instructions to become one.
inline constexpr int shortest_direct_slice = 16 * direct_threads;

// What is read and what is written: pixel (y, x) of `to` takes tap (r, s) of its window from pixel
// (y, x)·stride + first + (r, s)·step of `from`, of each channel of its group.
struct direct_walk {
  extent2d from, to, window, stride, step, first;
  int channels, outputs;  // of one group

  PLEXUS_FN constexpr int depth() const { return channels * window.area(); }
};

constexpr direct_walk walk_forward(const convolution_shape& of) {
  return {of.image,
          of.output(),
          of.window,
          of.stride,
          of.dilation,
          {-of.padding.height, -of.padding.width},
          of.group_channels(),
          of.group_outputs()};
}
// From δ to the gradient of the images, with a stride of 1: the taps lie the other way.
constexpr direct_walk walk_back(const convolution_shape& of) {
  return {of.output(), of.image,           of.window,          1, {-of.dilation.height, -of.dilation.width},
          of.padding,  of.group_outputs(), of.group_channels()};
}

// Whether no pixel of an axis reads beyond it, `span` being from its first tap to its last.
constexpr bool reads_inside(int pixels, int stride, int first, int span, int extent) {
  return first + std::min(0, span) >= 0 && first + (pixels - 1) * stride + std::max(0, span) < extent;
}

// How many pixels of a column a thread computes, and what they read of a column of the image; how a tap's
// weights lie in shared memory: those of all outputs, in whole packets.
template <direct_walk Of>
struct direct_arrangement {
  static constexpr int rows = std::min(Of.outputs <= 4 ? 4 : 2, Of.to.height);
  static constexpr int strips = divide_up(Of.to.height, rows);
  static constexpr int lowest = std::min(0, (Of.window.height - 1) * Of.step.height);
  static constexpr int reach =
      (rows - 1) * Of.stride.height + std::max(0, (Of.window.height - 1) * Of.step.height) - lowest + 1;
  static constexpr int packet = Of.outputs <= 2 ? Of.outputs : 4;
  static constexpr int packets = divide_up(Of.outputs, packet);
  static constexpr int tap_size = packets * packet;
  static constexpr int weights = Of.depth() * tap_size;
  static constexpr bool stays_inside =
      reads_inside(rows * strips, Of.stride.height, Of.first.height, (Of.window.height - 1) * Of.step.height,
                   Of.from.height) &&
      reads_inside(Of.to.width, Of.stride.width, Of.first.width, (Of.window.width - 1) * Of.step.width,
                   Of.from.width);
};

// Zero beyond the image's edges, where StaysInside does not say that nothing lies there.
template <bool StaysInside, class T>
PLEXUS_FN float pixel_or_zero(const T* image, extent2d of, int y, int x) {
  const bool is_there = StaysInside || (is_within(y, of.height) && is_within(x, of.width));
  return is_there ? static_cast<float>(image[y * of.width + x]) : 0.0f;
}

// A kernel's work is an object, for nvcc 13 gives up on a kernel that has a shape among its own arguments.
template <class Work>
__global__ void __launch_bounds__(direct_threads) direct_convolution_kernel(Work work) {
  work();
}

template <direct_walk Of, class T, class Weights, class Epilogue>
struct direct_convolution {
  using at = direct_arrangement<Of>;
  using weight_packet = packet<at::packet>;

  matrix_view<const T> images;
  Weights weights;
  Epilogue epilogue;

  __device__ void operator()() const {
    __shared__ weight_packet shared[Of.depth() * at::packets];
    const int group = static_cast<int>(blockIdx.y);
    bring_weights(weights.of_group(group), shared);
    __syncthreads();

    const int place = static_cast<int>(blockIdx.x) * direct_threads + static_cast<int>(threadIdx.x);
    const int strip = place / Of.to.width, col = place % Of.to.width;  // strips of all images
    const int sample = strip / at::strips, row = strip % at::strips * at::rows;
    if (sample >= images.rows) return;
    const int top = row * Of.stride.height + Of.first.height + at::lowest;
    const int left = col * Of.stride.width + Of.first.width;
    const T* image =
        images.data + static_cast<std::ptrdiff_t>(sample) * images.ld + group * Of.channels * Of.from.area();
    float sums[at::rows][Of.outputs] = {};
    for (int channel = 0; channel < Of.channels; ++channel, image += Of.from.area()) {
      PLEXUS_UNROLL
      for (int s = 0; s < Of.window.width; ++s) {
        const int first_tap = channel * Of.window.area() + s;
        add_column_of_taps(image, top, left + s * Of.step.width, shared + first_tap * at::packets, sums);
      }
    }
    PLEXUS_UNROLL
    for (int p = 0; p < at::rows; ++p) {
      if (row + p >= Of.to.height) break;
      const int pixel = sample * Of.to.area() + (row + p) * Of.to.width + col;
      PLEXUS_UNROLL
      for (int o = 0; o < Of.outputs; ++o) epilogue(group * Of.outputs + o, pixel, sums[p][o]);
    }
  }

 private:
  __device__ static void bring_weights(const Weights& of, weight_packet* shared) {
    for (int i = static_cast<int>(threadIdx.x); i < at::weights; i += direct_threads) {
      const int tap = i / at::tap_size, output = i % at::tap_size;
      const bool is_there = output < Of.outputs;
      shared[i / at::packet].at[i % at::packet] =
          is_there ? static_cast<float>(of.value(of.along_extent(output), of.along_depth(tap))) : 0.0f;
    }
  }

  // The products of one column of taps, whose weights these are, with what lies from (top, x) down.
  __device__ static void add_column_of_taps(const T* image, int top, int x, const weight_packet* of_taps,
                                            float (&sums)[at::rows][Of.outputs]) {
    float column[at::reach];
    PLEXUS_UNROLL
    for (int i = 0; i < at::reach; ++i)
      column[i] = pixel_or_zero<at::stays_inside>(image, Of.from, top + i, x);
    PLEXUS_UNROLL
    for (int r = 0; r < Of.window.height; ++r) {
      float w[at::tap_size];
      PLEXUS_UNROLL
      for (int i = 0; i < at::packets; ++i)
        store_packet(w + i * at::packet, of_taps[r * Of.window.width * at::packets + i]);
      PLEXUS_UNROLL
      for (int p = 0; p < at::rows; ++p) {
        const float value = column[p * Of.stride.height + r * Of.step.height - at::lowest];
        PLEXUS_UNROLL
        for (int o = 0; o < Of.outputs; ++o) sums[p][o] += w[o] * value;
      }
    }
  }
};

// The arguments are those of launch_convolution(): weights of the first group, an epilogue of (output, pixel
// of all images).
template <direct_walk Of, class T, class Weights, class Epilogue>
void launch_direct_convolution(cudaStream_t stream, matrix_view<const T> images, const Weights& weights,
                               int groups, const Epilogue& epilogue) {
  using work = direct_convolution<Of, T, Weights, Epilogue>;
  const int places = images.rows * direct_arrangement<Of>::strips * Of.to.width;
  const dim3 blocks(static_cast<unsigned>(divide_up(places, direct_threads)), static_cast<unsigned>(groups));
  launch("launching a direct convolution", stream, {blocks, dim3(direct_threads)},
         direct_convolution_kernel<work>, work{images, weights, epilogue});
}

// The taps whose gradients one thread adds up: whole lines of a filter's window, all of them where these are
// few.
template <convolution_shape Of>
struct direct_gradient_arrangement {
  static constexpr int outputs = Of.group_outputs();
  static constexpr int lines = outputs * Of.window.area() <= 40 ? Of.window.height : 1;
  static constexpr int taps = lines * Of.window.width;
  static constexpr int parts = Of.depth() / taps;  // of the weights of one output
};

// Block (s, l, g) computes the gradients of part l of group g's weights, from slice s of the pixels of all
// images. C has the rows of all groups below each other, and those of all slices below these.
template <convolution_shape Of, class T, class Epilogue>
struct direct_filter_gradient {
  using at = direct_gradient_arrangement<Of>;
  static constexpr int warps = direct_threads / 32, results = at::outputs * at::taps;

  matrix_view<const T> delta, images;
  int slice_pixels;
  Epilogue epilogue;

  __device__ void operator()() const {
    __shared__ float of_warps[warps][results];
    const int slice = static_cast<int>(blockIdx.x), part = static_cast<int>(blockIdx.y),
              group = static_cast<int>(blockIdx.z);
    float sums[at::outputs][at::taps] = {};
    add_up_slice(slice, part, group, sums);
    add_up_warp(sums, of_warps[threadIdx.x / 32]);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < results; i += direct_threads) {
      float sum = 0;
      for (int warp = 0; warp < warps; ++warp) sum += of_warps[warp][i];
      const int row = (slice * Of.groups + group) * at::outputs + i / at::taps;
      epilogue(row, part * at::taps + i % at::taps, sum);
    }
  }

 private:
  // What this thread has of the slice: every 128th pixel.
  __device__ void add_up_slice(int slice, int part, int group, float (&sums)[at::outputs][at::taps]) const {
    constexpr extent2d output = Of.output();
    const int first_line = part * at::lines % Of.window.height,
              channel = group * (Of.channels / Of.groups) + part * at::lines / Of.window.height;
    const T* const first_image = images.data + channel * Of.image.area();
    const T* const first_delta = delta.data + group * at::outputs * output.area();
    const slice_range range = slice_of(images.rows * output.area(), slice, slice_pixels);
    for (int j = range.begin + static_cast<int>(threadIdx.x); j < range.end; j += direct_threads) {
      const std::ptrdiff_t sample = j / output.area();
      const int pixel = j % output.area();
      const int top = pixel / output.width * Of.stride.height - Of.padding.height;
      const int left = pixel % output.width * Of.stride.width - Of.padding.width;
      const T* const image = first_image + sample * images.ld;
      float patch[at::taps];
      PLEXUS_UNROLL
      for (int i = 0; i < at::taps; ++i) {
        patch[i] = pixel_or_zero<Of.stays_inside()>(
            image, Of.image, top + (first_line + i / Of.window.width) * Of.dilation.height,
            left + i % Of.window.width * Of.dilation.width);
      }
      PLEXUS_UNROLL
      for (int o = 0; o < at::outputs; ++o) {
        const float d = static_cast<float>(first_delta[sample * delta.ld + o * output.area() + pixel]);
        PLEXUS_UNROLL
        for (int i = 0; i < at::taps; ++i) sums[o][i] += d * patch[i];
      }
    }
  }

  __device__ static void add_up_warp(const float (&sums)[at::outputs][at::taps], float* totals) {
    PLEXUS_UNROLL
    for (int i = 0; i < results; ++i) {
      float sum = sums[i / at::taps][i % at::taps];
      PLEXUS_UNROLL
      for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(~0u, sum, distance);
      if (threadIdx.x % 32 == 0) totals[i] = sum;
    }
  }
};

// epilogue(output, tap, dw), of all slices as in.
template <convolution_shape Of, class T, class Epilogue>
void launch_direct_filter_gradient(cudaStream_t stream, matrix_view<const T> delta,
                                   matrix_view<const T> images, const Epilogue& epilogue, int slices = 1) {
  using work = direct_filter_gradient<Of, T, Epilogue>;
  const dim3 blocks(static_cast<unsigned>(slices),
                    static_cast<unsigned>(direct_gradient_arrangement<Of>::parts),
                    static_cast<unsigned>(Of.groups));
  launch("launching a direct gradient of filters", stream, {blocks, dim3(direct_threads)},
         direct_convolution_kernel<work>,
         work{delta, images, slice_length(images.rows * Of.output().area(), slices), epilogue});
}

}  // namespace plexus::inline PLEXUS_ABI::kernels
