// Normalisation: x̂ = (x − mean) / √(variance + ε), y = γ·x̂ + β, by the moments of each channel over a batch
// (batch_norm) or of each sample over its values (layer_norm).
#pragma once

#include <plexus/core/for_each.hpp>
#include <plexus/core/view.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI::kernels {

// Moments, one of each for a channel or a sample.
struct moments {
  const float* mean;
  const float* variance;
  float epsilon;

  PLEXUS_FN float scale(int i) const { return 1 / sqrtf(variance[i] + epsilon); }
};

// ---- By channels. Terms of channel sums:

// (x − mean)²
template <class T>
struct squared_deviations {
  matrix_view<const T> x;
  const float* mean;
  PLEXUS_FN float operator()(int sample, int place, int channel) const {
    const float deviation = static_cast<float>(x(sample, place)) - mean[channel];
    return deviation * deviation;
  }
};

// δ·(x − mean), of which dγ is the sum, once divided by the standard deviation.
template <class T>
struct deviation_products {
  matrix_view<const T> delta, x;
  const float* mean;
  PLEXUS_FN float operator()(int sample, int place, int channel) const {
    return static_cast<float>(delta(sample, place)) * (static_cast<float>(x(sample, place)) - mean[channel]);
  }
};

// Their epilogues: a sum times a factor, and a sum divided by the channel's standard deviation.
struct store_scaled {
  float* out;
  float factor;
  PLEXUS_FN void operator()(int, int channel, float sum) const { out[channel] = factor * sum; }
};

struct store_divided_by_deviation {
  float* out;
  moments of;
  PLEXUS_FN void operator()(int, int channel, float sum) const { out[channel] = of.scale(channel) * sum; }
};

// A row of for_each_row() is a channel of a sample where a channel has many values, and a sample where it has
// one. at(channel) gives a function of (sample, place), which is called for every value: where there are many
// it holds what is the same for all of them.
template <int Channels, int Pixels, class Group, class At>
PLEXUS_FN void each_value(Group group, int row, const At& at) {
  if constexpr (Pixels == 1) {
    for (int c = group.rank(); c < Channels; c += group.size()) at(c)(row, c);
  } else {
    const int channel = row % Channels, sample = row / Channels, first = channel * Pixels;
    const auto function = at(channel);
    for (int i = group.rank(); i < Pixels; i += group.size()) function(sample, first + i);
  }
}
template <int Channels, int Pixels>
constexpr int rows_of_values(int samples) {
  return Pixels == 1 ? samples : samples * Channels;
}

// to(sample, place, γ·x̂ + β)
template <int Channels, int Pixels, class T, class Epilogue>
struct normalize_channels {
  matrix_view<const T> x;
  moments of;
  const float *gamma, *beta;
  Epilogue to;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    each_value<Channels, Pixels>(group, row, [this](int c) {
      return [values = x, into = to, mean = of.mean[c], factor = gamma[c] * of.scale(c), shift = beta[c]](
                 int sample, int place) {
        into(sample, place, factor * (static_cast<float>(values(sample, place)) - mean) + shift);
      };
    });
  }
};

// Through moments that are constants: dx = γ·δ / √(variance + ε).
template <int Channels, int Pixels, class T, class Epilogue>
struct normalized_backward {
  matrix_view<const T> delta;
  moments of;
  const float* gamma;
  Epilogue dx;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    each_value<Channels, Pixels>(group, row, [this](int c) {
      return [slopes = delta, into = dx, factor = gamma[c] * of.scale(c)](int sample, int place) {
        into(sample, place, factor * static_cast<float>(slopes(sample, place)));
      };
    });
  }
};

// Through moments of the batch itself: dx = γ / √(variance + ε) · (δ − mean(δ) − x̂·mean(δ·x̂)), where the two
// means are dβ and dγ divided by the number of values.
template <int Channels, int Pixels, class T, class Epilogue>
struct batch_normalized_backward {
  matrix_view<const T> delta, x;
  moments of;
  const float *gamma, *dgamma, *dbeta;
  float share;  // 1 / values of a channel
  Epilogue dx;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    each_value<Channels, Pixels>(group, row, [this](int c) {
      const float scale = of.scale(c);
      return
          [slopes = delta, values = x, into = dx, mean = of.mean[c], factor = gamma[c] * scale,
           mean_slope = share * dbeta[c], mean_product = share * dgamma[c] * scale](int sample, int place) {
            const float deviation = static_cast<float>(values(sample, place)) - mean;
            const float slope = static_cast<float>(slopes(sample, place));
            into(sample, place, factor * (slope - mean_slope - deviation * mean_product));
          };
    });
  }
};

// running ← running + momentum·(batch − running)
struct follow_moments {
  float *running_mean, *running_variance;
  const float *mean, *variance;
  float momentum, unbiased;  // Σ (x − mean)² / (values − 1) is the variance times this
  const int* skip;           // or null

  PLEXUS_FN void operator()(std::size_t c) const {
    if (skip != nullptr && *skip != 0) return;
    running_mean[c] += momentum * (mean[c] - running_mean[c]);
    running_variance[c] += momentum * (unbiased * variance[c] - running_variance[c]);
  }
};

// ---- By samples

// Of every sample its mean, and 1 / √(variance + ε), by which what is left is multiplied.
struct sample_moments {
  float* mean;  // or both null
  float* scale;
};

// Writes the moments, and to(sample, i, γ·x̂ + β).
template <class T, class Epilogue>
struct normalize_sample {
  matrix_view<const T> x;
  sample_moments of;
  float epsilon;
  const float *gamma, *beta;
  Epilogue to;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int sample) const {
    const T* const from = x.row(sample);
    const float share = 1 / static_cast<float>(x.cols);
    const float m = share * group.sum(part_of_sum<float>(group, x.cols,
                                                         [=](int i) { return static_cast<float>(from[i]); }));
    const float v = share * group.sum(part_of_sum<float>(group, x.cols, [=](int i) {
      const float deviation = static_cast<float>(from[i]) - m;
      return deviation * deviation;
    }));
    const float scale = 1 / sqrtf(v + epsilon);
    if (of.mean != nullptr && group.rank() == 0) {
      of.mean[sample] = m;
      of.scale[sample] = scale;
    }
    for (int i = group.rank(); i < x.cols; i += group.size())
      to(sample, i, gamma[i] * scale * (static_cast<float>(from[i]) - m) + beta[i]);
  }
};

// dx = (g − mean(g) − x̂·mean(g·x̂)) / √(variance + ε) with g = γ·δ, the means over the sample's values.
template <class T, class Epilogue>
struct normalized_sample_backward {
  matrix_view<const T> delta, x;
  sample_moments of;
  const float* gamma;
  Epilogue dx;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int sample) const {
    const T *const from = x.row(sample), *const slope = delta.row(sample);
    const float *const factor = gamma, m = of.mean[sample], scale = of.scale[sample];
    const auto g = [=](int i) { return factor[i] * static_cast<float>(slope[i]); };
    const auto normalized = [=](int i) { return scale * (static_cast<float>(from[i]) - m); };
    const float share = 1 / static_cast<float>(x.cols);
    const float mean_g = share * group.sum(part_of_sum<float>(group, x.cols, g));
    const float mean_product =
        share * group.sum(part_of_sum<float>(group, x.cols, [=](int i) { return g(i) * normalized(i); }));
    for (int i = group.rank(); i < x.cols; i += group.size())
      dx(sample, i, scale * (g(i) - mean_g - normalized(i) * mean_product));
  }
};

// δ·x̂, of which dγ is the sum over the samples.
template <class T>
struct normalized_products {
  matrix_view<const T> delta, x;
  sample_moments of;
  int rows = x.rows, cols = x.cols;
  PLEXUS_FN float operator()(int sample, int i) const {
    return static_cast<float>(delta(sample, i)) * of.scale[sample] *
           (static_cast<float>(x(sample, i)) - of.mean[sample]);
  }
};

}  // namespace plexus::inline PLEXUS_ABI::kernels
