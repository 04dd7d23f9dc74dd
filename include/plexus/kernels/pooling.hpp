// Pooling: each output is the maximum or the mean of a window of its channel. A group of threads takes a
// channel of a sample, which is a row of the work.
#pragma once

#include <plexus/core/for_each.hpp>
#include <plexus/core/view.hpp>
#include <plexus/kernels/convolution_shape.hpp>

#include <cstddef>

namespace plexus::inline PLEXUS_ABI::kernels {

// visit(tap, pixel) for every tap of output (y, x)'s window that lies in the image, row by row.
template <window_shape Of, class Visit>
PLEXUS_FN void for_each_tap(int y, int x, const Visit& visit) {
  constexpr bool stays_inside = Of.stays_inside();
  for (int r = 0; r < Of.window.height; ++r) {
    for (int s = 0; s < Of.window.width; ++s) {
      const int down = y * Of.stride.height - Of.padding.height + r;
      const int across = x * Of.stride.width - Of.padding.width + s;
      if (stays_inside || (down >= 0 && down < Of.image.height && across >= 0 && across < Of.image.width))
        visit(r * Of.window.width + s, down * Of.image.width + across);
    }
  }
}

// visit(tap, output) for every window that has pixel (y, x) as its tap: of each direction, the last window
// that begins at or before the pixel and as many before that as may still reach it.
template <window_shape Of, class Visit>
PLEXUS_FN void for_each_window(int y, int x, const Visit& visit) {
  constexpr extent2d output = Of.output(), window = Of.window, stride = Of.stride;
  constexpr extent2d reaching{divide_up(window.height, stride.height), divide_up(window.width, stride.width)};
  const int down = y + Of.padding.height, across = x + Of.padding.width;
  for (int i = 1 - reaching.height; i <= 0; ++i) {
    for (int j = 1 - reaching.width; j <= 0; ++j) {
      const int row = down / stride.height + i, col = across / stride.width + j;
      const int r = down - row * stride.height, s = across - col * stride.width;
      const bool is_window = row >= 0 && row < output.height && col >= 0 && col < output.width;
      if (is_window && r < window.height && s < window.width)
        visit(r * window.width + s, row * output.width + col);
    }
  }
}

// Where channel `row % Channels` of sample `row / Channels` begins.
template <int Channels, class T>
PLEXUS_FN T* channel_of(const matrix_view<T>& x, int row, int size) {
  return x.row(row / Channels) + row % Channels * size;
}

// visit(y, x, pixel) for all pixels, which the group shares.
template <extent2d Image, class Group, class Visit>
PLEXUS_FN void for_each_pixel(Group group, const Visit& visit) {
  if constexpr (Group::size() == 1) {
    for (int y = 0; y < Image.height; ++y) {
      for (int x = 0; x < Image.width; ++x) visit(y, x, y * Image.width + x);
    }
  } else {
    for (int pixel = group.rank(); pixel < Image.area(); pixel += group.size())
      visit(pixel / Image.width, pixel % Image.width, pixel);
  }
}

// a = the maximum of the window, and which tap it is: the first one of equal ones. NaN counts as the largest.
template <window_shape Of, int Channels, class T, class Out>
struct max_pool_forward {
  matrix_view<const T> x;
  matrix_view<Out> a;
  unsigned char* taps;  // (n, features), or null

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    constexpr extent2d output = Of.output();
    const T* const from = channel_of<Channels>(x, row, Of.image.area());
    Out* const to = channel_of<Channels>(a, row, output.area());
    unsigned char* const kept =
        taps == nullptr ? nullptr : taps + static_cast<std::size_t>(row) * output.area();
    if constexpr (Group::size() > 1) {
      for_each_pixel<output>(group, [=](int y, int col, int pixel) {
        const maximum found = maximum_of(from, y, col);
        to[pixel] = static_cast<Out>(found.value);
        if (kept != nullptr) kept[pixel] = static_cast<unsigned char>(found.tap);
      });
    } else if (kept != nullptr) {
      by_bands<true>(from, to, kept);
    } else {
      by_bands<false>(from, to, kept);
    }
  }

 private:
  struct maximum {
    float value;
    int tap;
  };

  PLEXUS_FN static maximum maximum_of(const T* from, int y, int col) {
    float largest = 0;
    int at = -1;
    for_each_tap<Of>(y, col, [&](int tap, int place) {
      const auto value = static_cast<float>(from[place]);
      const bool is_new = (at < 0) | (value > largest) | (value != value);
      largest = is_new ? value : largest;
      at = is_new ? tap : at;
    });
    return {largest, at};
  }

  // Loops that become vector code: whether taps are kept is decided outside of them, and bytes are written by
  // a loop of their own, as vectors of elements of several widths are short.
  template <bool Keeps>
  PLEXUS_FN static void by_bands(const T* from, Out* to, unsigned char* kept) {
    constexpr extent2d output = Of.output();
    constexpr int rows = 256 / output.width + 1;
    int at[rows * output.width];
    for (int first = 0; first < output.height; first += rows) {
      const int band = first + rows < output.height ? rows : output.height - first;
      const int begin = first * output.width;
      for (int y = 0; y < band; ++y) {
        for (int col = 0; col < output.width; ++col) {
          const maximum found = maximum_of(from, first + y, col);
          to[begin + y * output.width + col] = static_cast<Out>(found.value);
          at[y * output.width + col] = found.tap;
        }
      }
      if constexpr (Keeps) {
        for (int i = 0; i < band * output.width; ++i) kept[begin + i] = static_cast<unsigned char>(at[i]);
      }
    }
  }
};

// a = the mean of the window, of which what is beyond the image's edge counts as zeros.
template <window_shape Of, int Channels, class T, class Out>
struct average_pool_forward {
  matrix_view<const T> x;
  matrix_view<Out> a;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const T* const from = channel_of<Channels>(x, row, Of.image.area());
    Out* const to = channel_of<Channels>(a, row, Of.output().area());
    for_each_pixel<Of.output()>(group, [&](int y, int col, int pixel) {
      float sum = 0;
      for_each_tap<Of>(y, col, [&](int, int place) { sum += static_cast<float>(from[place]); });
      to[pixel] = static_cast<Out>(sum / static_cast<float>(Of.window.area()));
    });
  }
};

// What the pixels of a window have of its delta, by the numbers of their taps: one has all …
template <int Channels, int Size, class T>
struct maximum_share {
  matrix_view<const T> delta;
  const unsigned char* taps;

  struct channel {
    const T* delta;
    const unsigned char* kept;

    PLEXUS_FN float operator()(int tap, int window) const {
      return kept[window] == tap ? static_cast<float>(delta[window]) : 0.0f;
    }
    // visit(tap, share) for all shares that are not 0.
    template <class Visit>
    PLEXUS_FN void each(int window, const Visit& visit) const {
      visit(kept[window], static_cast<float>(delta[window]));
    }
  };
  PLEXUS_FN channel of_channel(int row) const {
    return {channel_of<Channels>(delta, row, Size), taps + static_cast<std::size_t>(row) * Size};
  }
};

// … or each the same.
template <int Channels, int Size, int Taps, class T>
struct mean_share {
  matrix_view<const T> delta;

  struct channel {
    const T* delta;

    PLEXUS_FN float operator()(int, int window) const {
      return static_cast<float>(delta[window]) / static_cast<float>(Taps);
    }
    template <class Visit>
    PLEXUS_FN void each(int window, const Visit& visit) const {
      for (int tap = 0; tap < Taps; ++tap) visit(tap, (*this)(tap, window));
    }
  };
  PLEXUS_FN channel of_channel(int row) const { return {channel_of<Channels>(delta, row, Size)}; }
};

// dx = Σ of a pixel's shares of the windows that it lies in, times σ' of the layer before.
template <window_shape Of, int Channels, class Share, class Epilogue>
struct pool_backward {
  Share share;
  Epilogue dx;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const auto of_window = share.of_channel(row);
    const Epilogue finish = dx;  // the loop's own, so that what it stores does not change it
    const int sample = row / Channels, first = row % Channels * Of.image.area();
    const auto store = [=](int pixel, float sum) { finish(sample, first + pixel, sum); };
    // What a row of windows covers lies on the stack.
    constexpr bool is_small = Of.window.height * Of.image.width <= 1 << 14;
    if constexpr (Group::size() == 1 && Of.is_tiling() && is_small) {
      by_windows(of_window, store);
    } else {
      for_each_pixel<Of.image>(group, [&](int y, int x, int pixel) {
        float sum = 0;
        for_each_window<Of>(y, x, [&](int tap, int place) { sum += of_window(tap, place); });
        store(pixel, sum);
      });
    }
  }

 private:
  // Where no windows overlap, a row of them at a time: what a pixel has comes from one alone.
  template <class OfWindow, class Store>
  PLEXUS_FN static void by_windows(const OfWindow& of_window, const Store& store) {
    constexpr extent2d output = Of.output(), window = Of.window, image = Of.image;
    constexpr int band = window.height * image.width;
    for (int y = 0; y < output.height; ++y) {
      float sums[band] = {};
      for (int x = 0; x < output.width; ++x) {
        of_window.each(y * output.width + x, [&](int tap, float value) {
          sums[tap / window.width * image.width + x * window.width + tap % window.width] = value;
        });
      }
      for (int i = 0; i < band; ++i) store(y * band + i, sums[i]);
    }
    for (int pixel = output.height * band; pixel < image.area(); ++pixel) store(pixel, 0);
  }
};

// The mean of a whole channel …
template <int Channels, int Size, class T, class Out>
struct channel_means {
  matrix_view<const T> x;
  matrix_view<Out> a;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const T* const from = channel_of<Channels>(x, row, Size);
    float sum = 0;
    for (int pixel = group.rank(); pixel < Size; pixel += group.size())
      sum += static_cast<float>(from[pixel]);
    sum = group.sum(sum);
    if (group.rank() == 0)
      a(row / Channels, row % Channels) = static_cast<Out>(sum / static_cast<float>(Size));
  }
};

// … and its gradient.
template <int Channels, int Size, class T, class Epilogue>
struct channel_mean_gradients {
  matrix_view<const T> delta;
  Epilogue dx;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const int sample = row / Channels, channel = row % Channels;
    const float share = static_cast<float>(delta(sample, channel)) / static_cast<float>(Size);
    for (int pixel = group.rank(); pixel < Size; pixel += group.size())
      dx(sample, channel * Size + pixel, share);
  }
};

}  // namespace plexus::inline PLEXUS_ABI::kernels
