// Sums over all that a batch has of each channel: its samples and their pixels. What is added up are terms: a
// trivially copyable object with operator()(sample, place, channel), `place` being the pixel's in the sample.
#pragma once

#include <plexus/kernels/reduction.hpp>

namespace plexus::inline PLEXUS_ABI {
namespace kernels {

// epilogue(0, c, Σ terms) of channels of `Pixels` pixels. Where these are fewer than a block's threads,
// several samples are added up at once. One thread takes sample after sample, and adds up their sums in
// double: there may be many.
template <int Pixels, class Terms, class Epilogue>
struct channel_sums {
  Terms terms;
  int samples;
  Epilogue epilogue;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int channel) const {
    const float total = static_cast<float>(group.sum(part(group, channel)));
    if (group.rank() == 0) epilogue(0, channel, total);
  }

 private:
  PLEXUS_FN double part(single_thread_group group, int channel) const {
    const Terms of = terms;
    const int first = channel * Pixels;
    double total = 0;
    for (int sample = 0; sample < samples; ++sample) {
      total += part_of_sum<float>(group, Pixels, [=](int i) { return of(sample, first + i, channel); });
    }
    return total;
  }

  template <class Group>
  PLEXUS_FN float part(Group group, int channel) const {
    constexpr int lanes = power_of_two_from(Pixels, Group::size());
    const int first = channel * Pixels;
    float total = 0;
    for (int sample = group.rank() / lanes; sample < samples; sample += group.size() / lanes) {
      for (int i = group.rank() % lanes; i < Pixels; i += lanes) total += terms(sample, first + i, channel);
    }
    return total;
  }

  // The least that is not below `least`, or `most`.
  PLEXUS_FN static constexpr int power_of_two_from(int least, int most) {
    int power = 1;
    while (power < least && power < most) power *= 2;
    return power;
  }
};

// Where a channel is one value, it is a column.
template <class Terms>
struct column_terms {
  Terms terms;
  int rows, cols;
  PLEXUS_FN float operator()(int row, int col) const { return terms(row, col, col); }
};

// The elements of a batch (n, channels · pixels).
template <class T>
struct pixel_terms {
  matrix_view<const T> x;
  PLEXUS_FN float operator()(int sample, int place, int) const {
    return static_cast<float>(x(sample, place));
  }
};

}  // namespace kernels

// epilogue(0, c, Σ terms of channel c) for every channel of `samples` samples.
template <int Channels, int Pixels, class Terms, class Epilogue>
void sum_channels(context& on, int samples, const Terms& terms, const Epilogue& epilogue) {
  if constexpr (Pixels == 1) {
    sum_columns(on, kernels::column_terms<Terms>{terms, samples, Channels}, epilogue);
  } else {
    for_each_long_row(on.stream(), Channels,
                      kernels::channel_sums<Pixels, Terms, Epilogue>{terms, samples, epilogue});
  }
}

}  // namespace plexus::inline PLEXUS_ABI
