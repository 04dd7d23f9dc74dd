// Sums of each channel of a batch of images.
#pragma once

#include <plexus/core/view.hpp>

namespace plexus::inline PLEXUS_ABI::kernels {

// out(c) = Σ of all pixels of channel c of all samples: BP3, the gradient of a convolution's bias. 16 sums at
// a time are what a CPU's vector registers add up.
template <class T>
struct channel_sums {
  matrix_view<const T> x;  // (n, channels · size)
  int size;
  float* out;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int channel) const {
    float total = 0;
    for (int sample = 0; sample < x.rows; ++sample) total += part(group, x.row(sample) + channel * size);
    total = group.sum(total);
    if (group.rank() == 0) out[channel] = total;
  }

 private:
  template <class Group>
  PLEXUS_FN float part(Group group, const T* from) const {
    constexpr int width = Group::size() == 1 ? 16 : 1;
    float sums[width] = {};
    int pixel = group.rank() * width;
    for (; pixel + width <= size; pixel += group.size() * width) {
      for (int i = 0; i < width; ++i) sums[i] += static_cast<float>(from[pixel + i]);
    }
    float total = 0;
    if constexpr (width > 1) {
      for (; pixel < size; ++pixel) total += static_cast<float>(from[pixel]);
    }
    for (int i = 0; i < width; ++i) total += sums[i];
    return total;
  }
};

}  // namespace plexus::inline PLEXUS_ABI::kernels
