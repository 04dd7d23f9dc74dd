// Local response normalisation: each value is divided by a power of the squares of its neighbours in other
// channels. The work is cut into tiles of 32 pixels of a few channels, each a row of for_each_row: on a GPU a
// lane takes a pixel, so that a warp reads 32 neighbours of a channel; on a CPU a thread takes all of them,
// in loops along the channel that vectorise.
#pragma once

#include <plexus/core/for_each.hpp>
#include <plexus/core/view.hpp>

#include <cstddef>

namespace plexus::inline PLEXUS_ABI::kernels {

// The values of an image that one call of a kernel's function takes.
struct norm_tile {
  static constexpr int pixels = 32, channels = 32;
  int sample, first_channel, end_channel, first_pixel;
};

// Images of `channels` × `pixels`, and d = k + scale · Σ x² over a window of channels, y = x / d^β.
struct response_norm {
  int channels, pixels;
  float scale, beta, k;

  PLEXUS_FN int tiles_of_sample() const {
    return tiles_of_channel() * divide_up(channels, norm_tile::channels);
  }

  // Neighbouring tiles are neighbouring pixels.
  PLEXUS_FN norm_tile tile(int row) const {
    const int within = row % tiles_of_sample();
    const int first = within / tiles_of_channel() * norm_tile::channels;
    const int end = first + norm_tile::channels;
    return {row / tiles_of_sample(), first, end < channels ? end : channels,
            within % tiles_of_channel() * norm_tile::pixels};
  }

  // d^−β; with the usual exponent by roots, which take less time than powf.
  PLEXUS_FN float power(float d) const {
    if (beta == 0.75f) return 1 / (sqrtf(d) * sqrtf(sqrtf(d)));
    return powf(d, -beta);
  }

 private:
  PLEXUS_FN int tiles_of_channel() const { return divide_up(pixels, norm_tile::pixels); }
};

// A thread's share of a tile: `count` neighbouring pixels, of which it may have none.
template <class Group>
struct norm_pixels {
  static_assert(norm_tile::pixels % Group::size() == 0, "plexus: a tile's pixels are shared out evenly");
  static constexpr int most = norm_tile::pixels / Group::size();
  int first, count;

  PLEXUS_FN norm_pixels(Group group, const norm_tile& tile, int pixels)
      : first(tile.first_pixel + group.rank() * most), count(pixels - first < most ? pixels - first : most) {}

  // visit(i) for every i in [0, count). Where that is one the index is a constant, and arrays are registers.
  template <class Visit>
  PLEXUS_FN void each(const Visit& visit) const {
    if constexpr (most == 1) {
      if (count == 1) visit(0);
    } else {
      for (int i = 0; i < count; ++i) visit(i);
    }
  }
};

// d of one channel's pixels: the window is channels c − Before … c + After, as far as there are such.
template <int Before, int After, class T, class Group, int Count>
PLEXUS_FN void denominators(const response_norm& of, const T* sample, int c, const norm_pixels<Group>& at,
                            float (&d)[Count]) {
  for (float& one : d) one = 0;
  PLEXUS_UNROLL
  for (int j = -Before; j <= After; ++j) {
    if (c + j < 0 || c + j >= of.channels) continue;
    const T* const x = sample + (c + j) * of.pixels + at.first;
    at.each([&](int i) {
      const auto value = static_cast<float>(x[i]);
      d[i] += value * value;
    });
  }
  for (float& one : d) one = of.k + of.scale * one;
}

// y = x · d^−β
template <int Before, int After, class T, class Out>
struct response_norm_forward {
  response_norm of;
  matrix_view<const T> x;
  matrix_view<Out> y;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const norm_tile tile = of.tile(row);
    const norm_pixels<Group> at(group, tile, of.pixels);
    const T* const sample = x.row(tile.sample);
    for (int c = tile.first_channel; c < tile.end_channel; ++c) {
      float d[norm_pixels<Group>::most];
      denominators<Before, After>(of, sample, c, at, d);
      const int place = c * of.pixels + at.first;
      Out* const to = y.row(tile.sample) + place;
      at.each(
          [&](int i) { to[i] = static_cast<Out>(static_cast<float>(sample[place + i]) * of.power(d[i])); });
    }
  }
};

// With t_j = δ_j · x_j · d_j^(−β − 1), the window of channel j holding c:
// dx_c = δ_c · d_c^−β − 2 · scale · β · x_c · Σ_j t_j, times σ' of the layer before. A thread walks along the
// channels and keeps the terms of the last ones, so that each power is raised once a tile.
template <int Before, int After, class T, class Epilogue>
struct response_norm_backward {
  response_norm of;
  matrix_view<const T> x, delta;
  Epilogue dx;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const norm_tile tile = of.tile(row);
    const norm_pixels<Group> at(group, tile, of.pixels);
    terms<norm_pixels<Group>::most> last{};
    for (int j = tile.first_channel - After; j < tile.end_channel + Before; ++j) {
      last.shift();
      if (j >= 0 && j < of.channels) add(tile.sample, j, at, last);
      if (j >= tile.first_channel + Before) finish(tile.sample, j - Before, at, last);
    }
  }

 private:
  // Of the channels up to the one at hand, which is the last entry.
  template <int Count>
  struct terms {
    float t[Before + After + 1][Count];
    float own[Before + 1][Count];  // δ · d^−β

    PLEXUS_FN void shift() {
      push_zero(t);
      push_zero(own);
    }

   private:
    template <int Size>
    PLEXUS_FN static void push_zero(float (&values)[Size][Count]) {
      PLEXUS_UNROLL
      for (int w = 1; w < Size; ++w) {
        for (int i = 0; i < Count; ++i) values[w - 1][i] = values[w][i];
      }
      for (float& one : values[Size - 1]) one = 0;
    }
  };

  template <class Group, class Terms>
  PLEXUS_FN void add(int sample, int j, const norm_pixels<Group>& at, Terms& last) const {
    float d[norm_pixels<Group>::most];
    denominators<Before, After>(of, x.row(sample), j, at, d);
    const int place = j * of.pixels + at.first;
    const T* const from = x.row(sample) + place;
    const T* const slope = delta.row(sample) + place;
    at.each([&](int i) {
      const float own = static_cast<float>(slope[i]) * of.power(d[i]);
      last.own[Before][i] = own;
      last.t[Before + After][i] = own * static_cast<float>(from[i]) / d[i];
    });
  }

  template <class Group, class Terms>
  PLEXUS_FN void finish(int sample, int c, const norm_pixels<Group>& at, const Terms& last) const {
    const int place = c * of.pixels + at.first;
    const T* const from = x.row(sample) + place;
    at.each([&](int i) {
      float sum = 0;
      PLEXUS_UNROLL
      for (int w = 0; w <= Before + After; ++w) sum += last.t[w][i];
      dx(sample, place + i, last.own[0][i] - 2 * of.scale * of.beta * static_cast<float>(from[i]) * sum);
    });
  }
};

}  // namespace plexus::inline PLEXUS_ABI::kernels
