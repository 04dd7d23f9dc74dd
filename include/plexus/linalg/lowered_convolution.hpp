// Convolution on a CPU: patches are written out as the columns of a matrix ("lowered", im2col: K.
// Chellapilla, S. Puri, P. Simard, "High performance convolutional neural networks for document processing",
// 2006) and multiplied by the BLAS. A piece of the work is some small images, or of a large one a band of its
// outputs' rows: as many columns as make a product quick, and no more than stay in a core's cache. Threads
// take a piece each.
#pragma once

#include <plexus/core/context.hpp>
#include <plexus/core/launch.hpp>
#include <plexus/core/view.hpp>
#include <plexus/kernels/convolution_shape.hpp>
#include <plexus/kernels/gemm.hpp>

#include <algorithm>
#include <vector>

namespace plexus::inline PLEXUS_ABI::lowered_convolution {

inline constexpr bool is_there = platform::on_cpu && has_vendor_blas;

// A thread's own memory, which stays. Copies of filters and sums are made by the thread that shares out the
// work and read or added to by all, the others by each for its piece.
struct workspace {
  std::vector<float> filters, sums, columns, products, image;

  static workspace& mine() {
    static thread_local workspace one;
    return one;
  }
};

inline float* room(std::vector<float>& memory, std::size_t size) {
  if (memory.size() < size) memory.resize(size);
  return memory.data();
}

// Images [first, first + count) of a batch, and of their outputs the rows [begin, end).
struct piece {
  int first, count, begin, end;
};

// One group of one image, and its columns (depth, pixels), whose rows are `ld` apart.
template <convolution_shape Of>
struct lowering {
  static constexpr extent2d output = Of.output();
  static constexpr int pixels = output.area();
  static constexpr int depth = Of.depth();
  static constexpr int image_size = Of.group_channels() * Of.image.area();

  // Whether the image is its own columns.
  static constexpr bool is_identity =
      Of.window == extent2d(1) && Of.stride == extent2d(1) && Of.padding == extent2d(0) && output == Of.image;

  // Of a piece. With fewer than 128 columns a product is slow, and better are 256; with more than 2¹⁶
  // elements they leave the cache. Bands are equally high, so that they may have half as many as fit.
  static constexpr int fitting_columns = (1 << 16) / depth;
  static constexpr int images =
      is_identity ? 1 : std::clamp(std::min(divide_up(256, pixels), fitting_columns / pixels), 1, 16);
  static constexpr int bands = divide_up(
      output.height,
      std::clamp(std::max(divide_up(128, output.width), fitting_columns / output.width), 1, output.height));
  static constexpr int rows = divide_up(output.height, bands);

  static int pieces(int samples) { return divide_up(samples, images) * bands; }
  static piece piece_of(int number, int samples) {
    const int first = number / bands * images, begin = number % bands * rows;
    return {first, std::min(images, samples - first), begin, std::min(begin + rows, output.height)};
  }
  static int columns_of(const piece& at) { return (at.end - at.begin) * output.width; }

  // Of an image's rows in the piece.
  template <class T>
  static void write_columns(const piece& at, const T* image, float* columns, int ld) {
    for_each_run(at, 0, Of.group_channels(), [&](int k, int to, int from, int begin, int end) {
      float* const row = columns + static_cast<std::ptrdiff_t>(k) * ld + to;
      for (int x = 0; x < begin; ++x) row[x] = 0;
      for (int x = begin; x < end; ++x) row[x] = static_cast<float>(image[from + x * Of.stride.width]);
      for (int x = end; x < output.width; ++x) row[x] = 0;
    });
  }

  // The opposite, for channels [first, last), which are all that `columns` and `image` have: to each pixel is
  // added all that lies in its places.
  static void add_columns(const piece& at, int first, int last, const float* columns, int ld, float* image) {
    const int skipped = first * Of.image.area();
    for_each_run(at, first, last, [&](int k, int to, int from, int begin, int end) {
      const float* const row = columns + static_cast<std::ptrdiff_t>(k - first * Of.window.area()) * ld + to;
      for (int x = begin; x < end; ++x) image[from - skipped + x * Of.stride.width] += row[x];
    });
  }

 private:
  // visit(k, to, from, begin, end) for every row of the piece's outputs under every tap k of the channels:
  // the row begins at column `to`; its pixels x in [begin, end) see the image's places from + x · stride, and
  // the others lie beyond the image's edge.
  // The columns of the window are the outermost loop: a core is slow to load what it has just stored in two
  // pieces, and so runs that overlap in part, as add_columns() has them, are far from each other.
  template <class Visit>
  static void for_each_run(const piece& at, int first_channel, int last_channel, const Visit& visit) {
    constexpr bool stays_inside = Of.stays_inside();  // then all runs have a length that the compiler knows
    for (int s = 0; s < Of.window.width; ++s) {
      const int across = s * Of.dilation.width - Of.padding.width;
      const int first = stays_inside ? 0 : clamped(divide_up(std::max(0, -across), Of.stride.width));
      const int last =
          stays_inside ? output.width : clamped(divide_up(Of.image.width - across, Of.stride.width));
      for (int channel = first_channel; channel < last_channel; ++channel) {
        for (int r = 0; r < Of.window.height; ++r) {
          const int k = (channel * Of.window.height + r) * Of.window.width + s;
          for (int y = at.begin; y < at.end; ++y) {
            const int down = y * Of.stride.height + r * Of.dilation.height - Of.padding.height;
            const bool is_inside = stays_inside || (down >= 0 && down < Of.image.height);
            const int from = (channel * Of.image.height + down) * Of.image.width + across;
            visit(k, (y - at.begin) * output.width, from, is_inside ? first : 0,
                  is_inside ? std::max(first, last) : 0);
          }
        }
      }
    }
  }
  static int clamped(int x) { return std::clamp(x, 0, output.width); }
};

// A matrix in FP32 where it lies, or a copy of it.
struct float_matrix {
  const float* data;
  int ld;
};

inline float_matrix in_float(const float* data, int, int, int ld, std::vector<float>&) { return {data, ld}; }
template <class T>
float_matrix in_float(const T* data, int rows, int cols, int ld, std::vector<float>& memory) {
  float* const copy = room(memory, static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols));
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < cols; ++j) copy[i * cols + j] = static_cast<float>(data[i * ld + j]);
  }
  return {copy, cols};
}

// The columns of a piece's images, side by side.
template <convolution_shape Of, class T>
float_matrix columns_of(const piece& at, int group, matrix_view<const T> x) {
  using lowered = lowering<Of>;
  const auto image = [&](int i) { return x.row(at.first + i) + group * lowered::image_size; };
  if constexpr (lowered::is_identity && std::is_same_v<T, float>)
    return {image(0) + at.begin * lowered::output.width, lowered::pixels};
  const int of_image = lowered::columns_of(at), ld = at.count * of_image;
  float* const columns = room(workspace::mine().columns, static_cast<std::size_t>(lowered::depth * ld));
  for (int i = 0; i < at.count; ++i) lowered::write_columns(at, image(i), columns + i * of_image, ld);
  return {columns, ld};
}

// A group's deltas (outputs, columns) of a piece's images, side by side.
template <convolution_shape Of, class T>
float_matrix deltas_of(const piece& at, int group, matrix_view<const T> delta) {
  using lowered = lowering<Of>;
  constexpr int outputs = Of.group_outputs(), pixels = lowered::pixels;
  const auto image = [&](int i) {
    return delta.row(at.first + i) + group * outputs * pixels + at.begin * lowered::output.width;
  };
  if constexpr (std::is_same_v<T, float>) {
    if (at.count == 1) return {image(0), pixels};
  }
  const int of_image = lowered::columns_of(at), ld = at.count * of_image;
  float* const all = room(workspace::mine().products, static_cast<std::size_t>(outputs * ld));
  for (int i = 0; i < at.count; ++i) {
    for (int o = 0; o < outputs; ++o) {
      for (int p = 0; p < of_image; ++p)
        all[o * ld + i * of_image + p] = static_cast<float>(image(i)[o * pixels + p]);
    }
  }
  return {all, ld};
}

// f(part) for every part in [0, parts) of a convolution of `samples` images: by several threads where that is
// worth the time that waking them takes.
template <convolution_shape Of, class Function>
void share(int parts, int samples, const Function& f) {
  const double operations = 2.0 * Of.outputs * Of.depth() * Of.output().area() * samples;
  if (operations > 4e6) {
    platform::share(static_cast<std::size_t>(parts), [&](std::size_t part) { f(static_cast<int>(part)); });
  } else {
    for (int part = 0; part < parts; ++part) f(part);
  }
}

// The arguments of these three are those of convolve(), convolve_back() and filter_gradient().

template <convolution_shape Of, class T, class Bias, class Epilogue>
void forward(cudaStream_t stream, matrix_view<const T> x, const T* w, int ld, Bias bias,
             const Epilogue& epilogue) {
  using lowered = lowering<Of>;
  constexpr int pixels = lowered::pixels, outputs = Of.group_outputs();
  const auto work = [=] {
    const float_matrix filters = in_float(w, Of.outputs, Of.depth(), ld, workspace::mine().filters);
    const auto convolve_piece = [&](const piece& at, int group) {
      const float_matrix columns = columns_of<Of>(at, group, x);
      const int of_image = lowered::columns_of(at), cols = at.count * of_image;
      float* const z = room(workspace::mine().products, static_cast<std::size_t>(outputs * cols));
      platform::multiply_here(false, false, outputs, cols, Of.depth(),
                              filters.data + group * outputs * filters.ld, filters.ld, columns.data,
                              columns.ld, 0, z, cols);
      const Epilogue finish = epilogue;  // the loop's own, so that what it stores does not change it
      for (int i = 0; i < at.count; ++i) {
        for (int o = 0; o < outputs; ++o) {
          const int output = group * outputs + o;
          const int first = output * pixels + at.begin * lowered::output.width;
          const float shift = bias[output];
          for (int p = 0; p < of_image; ++p)
            finish(at.first + i, first + p, z[o * cols + i * of_image + p] + shift);
        }
      }
    };
    share<Of>(lowered::pieces(x.rows), x.rows, [&](int part) {
      for (int group = 0; group < Of.groups; ++group) convolve_piece(lowered::piece_of(part, x.rows), group);
    });
  };
  check(platform::run_on_host(stream, work), "convolving images");
}

// The bands of an image overlap in the pixels that they come from. So here a part is a piece's images with
// all their bands, and of large images some of the channels.
template <convolution_shape Of, class T, class Epilogue>
void back(cudaStream_t stream, matrix_view<const T> delta, const T* w, int ld, const Epilogue& epilogue) {
  using lowered = lowering<Of>;
  constexpr int outputs = Of.group_outputs(), channels = Of.group_channels();
  constexpr int cuts = std::min(lowered::bands, channels), taps = Of.window.area(), size = Of.image.area();
  const auto work = [=] {
    const float_matrix filters = in_float(w, Of.outputs, Of.depth(), ld, workspace::mine().filters);
    const auto add_piece = [&](const piece& at, int group, int first, int last, float* images) {
      const float_matrix deltas = deltas_of<Of>(at, group, delta);
      const int of_image = lowered::columns_of(at), cols = at.count * of_image, depth = (last - first) * taps;
      float* const columns = room(workspace::mine().columns, static_cast<std::size_t>(depth * cols));
      platform::multiply_here(true, false, depth, cols, outputs,
                              filters.data + group * outputs * filters.ld + first * taps, filters.ld,
                              deltas.data, deltas.ld, 0, columns, cols);
      for (int i = 0; i < at.count; ++i) {
        lowered::add_columns(at, first, last, columns + i * of_image, cols,
                             images + i * (last - first) * size);
      }
    };
    share<Of>(divide_up(delta.rows, lowered::images) * cuts, delta.rows, [&](int part) {
      const int number = part / cuts * lowered::bands, cut = part % cuts;
      const int first = channels * cut / cuts, last = channels * (cut + 1) / cuts;
      const int count = lowered::piece_of(number, delta.rows).count, of_image = (last - first) * size;
      const Epilogue finish = epilogue;
      for (int group = 0; group < Of.groups; ++group) {
        float* const images = room(workspace::mine().image, static_cast<std::size_t>(count * of_image));
        std::fill_n(images, count * of_image, 0.0f);
        for (int band = 0; band < lowered::bands; ++band)
          add_piece(lowered::piece_of(number + band, delta.rows), group, first, last, images);
        const int sample = lowered::piece_of(number, delta.rows).first;
        for (int i = 0; i < count; ++i) {
          for (int q = 0; q < of_image; ++q)
            finish(sample + i, (group * channels + first) * size + q, images[i * of_image + q]);
        }
      }
    });
  };
  check(platform::run_on_host(stream, work), "taking a gradient back through a convolution");
}

// Each of a number of parts that the shape decides adds up the products of its own pieces, and these sums are
// added in their order: the same bits whatever the number of threads.
template <convolution_shape Of, class T>
void filter_gradient(cudaStream_t stream, matrix_view<const T> delta, matrix_view<const T> x, float* dw) {
  using lowered = lowering<Of>;
  constexpr int outputs = Of.group_outputs(), depth = Of.depth();
  constexpr int size = Of.outputs * depth;
  constexpr int most_parts = std::clamp((1 << 22) / size, 2, 8);  // 16 MB
  const auto work = [=] {
    const int pieces = lowered::pieces(x.rows), parts = std::min(pieces, most_parts);
    float* const sums =
        room(workspace::mine().sums, static_cast<std::size_t>(size) * static_cast<std::size_t>(parts));
    share<Of>(parts, x.rows, [&](int part) {
      float* const sum = sums + static_cast<std::ptrdiff_t>(part) * size;
      const int begin = pieces * part / parts, end = pieces * (part + 1) / parts;
      for (int p = begin; p < end; ++p) {
        const piece at = lowered::piece_of(p, x.rows);
        for (int group = 0; group < Of.groups; ++group) {
          const float_matrix deltas = deltas_of<Of>(at, group, delta);
          const float_matrix columns = columns_of<Of>(at, group, x);
          platform::multiply_here(false, true, outputs, depth, at.count * lowered::columns_of(at),
                                  deltas.data, deltas.ld, columns.data, columns.ld, p == begin ? 0 : 1,
                                  sum + group * outputs * depth, depth);
        }
      }
    });
    for (int i = 0; i < size; ++i) {
      float total = sums[i];
      for (int part = 1; part < parts; ++part) total += sums[static_cast<std::ptrdiff_t>(part) * size + i];
      dw[i] = total;
    }
  };
  check(platform::run_on_host(stream, work), "computing the gradient of filters");
}

}  // namespace plexus::inline PLEXUS_ABI::lowered_convolution
