// Sums of each channel of a batch of images.
#pragma once

#include <plexus/core/group.hpp>
#include <plexus/core/view.hpp>

namespace plexus::inline PLEXUS_ABI::kernels {

// out(c) = Σ of all pixels of channel c of all samples: BP3, the gradient of a convolution's bias.
template <class T>
struct channel_sums {
  matrix_view<const T> x;  // (n, channels · size)
  int size;
  float* out;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int channel) const {
    float total = 0;
    for (int sample = 0; sample < x.rows; ++sample) {
      const T* const pixels = x.row(sample) + channel * size;
      total += part_of_sum<float>(group, size, [pixels](int i) { return static_cast<float>(pixels[i]); });
    }
    total = group.sum(total);
    if (group.rank() == 0) out[channel] = total;
  }
};

}  // namespace plexus::inline PLEXUS_ABI::kernels
