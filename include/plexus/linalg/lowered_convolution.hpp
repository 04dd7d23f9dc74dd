// Convolution on a CPU: patches are written out as the columns of a matrix ("lowered", im2col: K.
// Chellapilla, S. Puri, P. Simard, "High performance convolutional neural networks for document processing",
// 2006) and multiplied by the BLAS. A piece of a batch is so few images that its columns stay in a core's
// cache, and threads take a piece each.
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

// A thread's own memory, which stays.
struct workspace {
  std::vector<float> columns, products, image;

  static workspace& mine() {
    static thread_local workspace one;
    return one;
  }
};

inline float* room(std::vector<float>& memory, std::size_t size) {
  if (memory.size() < size) memory.resize(size);
  return memory.data();
}

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

  // Images of a piece: with fewer than 256 columns a product is slow, and with more than 2¹⁶ elements the
  // columns leave the cache.
  static constexpr int images =
      is_identity ? 1 : std::clamp(std::min(divide_up(256, pixels), (1 << 16) / (depth * pixels)), 1, 16);

  template <class T>
  static void write_columns(const T* image, float* columns, int ld) {
    for_each_run([&](int k, int to, int from, int begin, int end) {
      float* const row = columns + static_cast<std::ptrdiff_t>(k) * ld + to;
      for (int x = 0; x < begin; ++x) row[x] = 0;
      for (int x = begin; x < end; ++x) row[x] = static_cast<float>(image[from + x * Of.stride.width]);
      for (int x = end; x < output.width; ++x) row[x] = 0;
    });
  }

  // The opposite: each pixel the sum of all that lies in its places.
  static void add_columns(const float* columns, int ld, float* image) {
    std::fill_n(image, image_size, 0.0f);
    for_each_run([&](int k, int to, int from, int begin, int end) {
      const float* const row = columns + static_cast<std::ptrdiff_t>(k) * ld + to;
      for (int x = begin; x < end; ++x) image[from + x * Of.stride.width] += row[x];
    });
  }

 private:
  // visit(k, to, from, begin, end) for every row of outputs under every tap k: the row begins at pixel `to`
  // of the outputs; its pixels x in [begin, end) see the image's places from + x · stride, and the others lie
  // beyond the image's edge.
  template <class Visit>
  static void for_each_run(const Visit& visit) {
    int k = 0;
    for (int channel = 0; channel < Of.group_channels(); ++channel) {
      for (int r = 0; r < Of.window.height; ++r) {
        for (int s = 0; s < Of.window.width; ++s, ++k) {
          const int across = s * Of.dilation.width - Of.padding.width;
          const int first = clamped(divide_up(std::max(0, -across), Of.stride.width));
          const int last = clamped(divide_up(Of.image.width - across, Of.stride.width));
          for (int y = 0; y < output.height; ++y) {
            const int down = y * Of.stride.height + r * Of.dilation.height - Of.padding.height;
            const bool is_inside = down >= 0 && down < Of.image.height;
            const int from = (channel * Of.image.height + down) * Of.image.width + across;
            visit(k, y * output.width, from, is_inside ? first : 0, is_inside ? std::max(first, last) : 0);
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

// Images [first, first + count) of a batch.
struct piece {
  int first, count;
};
template <convolution_shape Of>
piece piece_of(int number, int samples) {
  const int first = number * lowering<Of>::images;
  return {first, std::min(lowering<Of>::images, samples - first)};
}

// The columns of a piece's images, side by side.
template <convolution_shape Of, class T>
float_matrix columns_of(const piece& at, int group, matrix_view<const T> x) {
  using lowered = lowering<Of>;
  const auto image = [&](int i) { return x.row(at.first + i) + group * lowered::image_size; };
  if constexpr (lowered::is_identity && std::is_same_v<T, float>) return {image(0), lowered::pixels};
  const int ld = at.count * lowered::pixels;
  float* const columns = room(workspace::mine().columns, static_cast<std::size_t>(lowered::depth * ld));
  for (int i = 0; i < at.count; ++i) lowered::write_columns(image(i), columns + i * lowered::pixels, ld);
  return {columns, ld};
}

// A group's deltas (outputs, pixels) of a piece's images, side by side.
template <convolution_shape Of, class T>
float_matrix deltas_of(const piece& at, int group, matrix_view<const T> delta) {
  constexpr int outputs = Of.group_outputs(), pixels = lowering<Of>::pixels;
  const auto image = [&](int i) { return delta.row(at.first + i) + group * outputs * pixels; };
  if constexpr (std::is_same_v<T, float>) {
    if (at.count == 1) return {image(0), pixels};
  }
  const int ld = at.count * pixels;
  float* const all = room(workspace::mine().products, static_cast<std::size_t>(outputs * ld));
  for (int i = 0; i < at.count; ++i) {
    for (int o = 0; o < outputs; ++o) {
      for (int p = 0; p < pixels; ++p)
        all[o * ld + i * pixels + p] = static_cast<float>(image(i)[o * pixels + p]);
    }
  }
  return {all, ld};
}

// The arguments of these three are those of convolve(), convolve_back() and filter_gradient().

template <convolution_shape Of, class T, class Bias, class Epilogue>
void forward(cudaStream_t stream, matrix_view<const T> x, const T* w, int ld, Bias bias,
             const Epilogue& epilogue) {
  constexpr int pixels = lowering<Of>::pixels, outputs = Of.group_outputs();
  const auto work = [=] {
    std::vector<float> copy;
    const float_matrix filters = in_float(w, Of.outputs, Of.depth(), ld, copy);
    const auto convolve_piece = [&](const piece& at, int group) {
      const float_matrix columns = columns_of<Of>(at, group, x);
      const int cols = at.count * pixels;
      float* const z = room(workspace::mine().products, static_cast<std::size_t>(outputs * cols));
      platform::multiply_here(false, false, outputs, cols, Of.depth(),
                              filters.data + group * outputs * filters.ld, filters.ld, columns.data,
                              columns.ld, 0, z, cols);
      const Epilogue finish = epilogue;  // the loop's own, so that what it stores does not change it
      for (int i = 0; i < at.count; ++i) {
        for (int o = 0; o < outputs; ++o) {
          const int output = group * outputs + o;
          const float shift = bias[output];
          for (int p = 0; p < pixels; ++p)
            finish(at.first + i, output * pixels + p, z[o * cols + i * pixels + p] + shift);
        }
      }
    };
    platform::share(static_cast<std::size_t>(divide_up(x.rows, lowering<Of>::images)), [&](std::size_t part) {
      for (int group = 0; group < Of.groups; ++group)
        convolve_piece(piece_of<Of>(static_cast<int>(part), x.rows), group);
    });
  };
  check(platform::run_on_host(stream, work), "convolving images");
}

template <convolution_shape Of, class T, class Epilogue>
void back(cudaStream_t stream, matrix_view<const T> delta, const T* w, int ld, const Epilogue& epilogue) {
  using lowered = lowering<Of>;
  constexpr int pixels = lowered::pixels, outputs = Of.group_outputs();
  const auto work = [=] {
    std::vector<float> copy;
    const float_matrix filters = in_float(w, Of.outputs, Of.depth(), ld, copy);
    const auto convolve_piece = [&](const piece& at, int group) {
      const float_matrix deltas = deltas_of<Of>(at, group, delta);
      const int cols = at.count * pixels;
      float* const columns = room(workspace::mine().columns, static_cast<std::size_t>(lowered::depth * cols));
      platform::multiply_here(true, false, lowered::depth, cols, outputs,
                              filters.data + group * outputs * filters.ld, filters.ld, deltas.data, deltas.ld,
                              0, columns, cols);
      float* const image = room(workspace::mine().image, static_cast<std::size_t>(lowered::image_size));
      const Epilogue finish = epilogue;
      for (int i = 0; i < at.count; ++i) {
        lowered::add_columns(columns + i * pixels, cols, image);
        for (int q = 0; q < lowered::image_size; ++q)
          finish(at.first + i, group * lowered::image_size + q, image[q]);
      }
    };
    platform::share(static_cast<std::size_t>(divide_up(delta.rows, lowered::images)), [&](std::size_t part) {
      for (int group = 0; group < Of.groups; ++group)
        convolve_piece(piece_of<Of>(static_cast<int>(part), delta.rows), group);
    });
  };
  check(platform::run_on_host(stream, work), "taking a gradient back through a convolution");
}

// Each of a fixed number of parts adds up the products of its own pieces, and these sums are added in their
// order: the same bits whatever the number of threads.
template <convolution_shape Of, class T>
void filter_gradient(cudaStream_t stream, matrix_view<const T> delta, matrix_view<const T> x, float* dw) {
  constexpr int most_parts = 8, outputs = Of.group_outputs(), depth = Of.depth();
  constexpr std::size_t size = static_cast<std::size_t>(Of.outputs) * static_cast<std::size_t>(depth);
  const auto work = [=] {
    const int pieces = divide_up(x.rows, lowering<Of>::images);
    const int parts = std::min(pieces, most_parts);
    static thread_local std::vector<float> memory;
    float* const sums = room(memory, size * static_cast<std::size_t>(parts));
    platform::share(static_cast<std::size_t>(parts), [&](std::size_t part) {
      const auto number = static_cast<int>(part);
      float* const sum = sums + part * size;
      const int begin = pieces * number / parts, end = pieces * (number + 1) / parts;
      for (int p = begin; p < end; ++p) {
        const piece at = piece_of<Of>(p, x.rows);
        for (int group = 0; group < Of.groups; ++group) {
          const float_matrix deltas = deltas_of<Of>(at, group, delta);
          const float_matrix columns = columns_of<Of>(at, group, x);
          platform::multiply_here(false, true, outputs, depth, at.count * lowering<Of>::pixels, deltas.data,
                                  deltas.ld, columns.data, columns.ld, p == begin ? 0 : 1,
                                  sum + group * outputs * depth, depth);
        }
      }
    });
    for (std::size_t i = 0; i < size; ++i) {
      float total = sums[i];
      for (int part = 1; part < parts; ++part) total += sums[static_cast<std::size_t>(part) * size + i];
      dw[i] = total;
    }
  };
  check(platform::run_on_host(stream, work), "computing the gradient of filters");
}

}  // namespace plexus::inline PLEXUS_ABI::lowered_convolution
