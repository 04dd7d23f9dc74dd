// Dropout: each value is kept with probability 1 − p and then divided by it, or becomes zero.
#pragma once

#include <plexus/core/for_each.hpp>
#include <plexus/core/random.hpp>
#include <plexus/core/view.hpp>

namespace plexus::inline PLEXUS_ABI::kernels {

// to(row, col, x · scale) or to(row, col, 0). One call of the generator gives four words: word k is that of
// place p + k·strip, so that neighbours in a row take neighbouring calls. Which values are kept is a function
// of the random numbers and their place alone: backward finds the same ones without their being stored.
template <class T, class Epilogue>
struct drop_out {
  matrix_view<const T> x;
  random_step random;
  std::uint32_t least_kept;  // words below drop their value
  float scale;
  Epilogue to;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const random_stream numbers = random.stream();
    const int strip = divide_up(x.cols, 4);
    const std::uint64_t first = static_cast<std::uint64_t>(row) * static_cast<std::uint64_t>(strip);
    for (int place = group.rank(); place < strip; place += group.size()) {
      const philox_words words = numbers.words(first + static_cast<std::uint64_t>(place));
      PLEXUS_UNROLL
      for (int k = 0; k < 4; ++k) {
        const int col = place + k * strip;
        if (col >= x.cols) continue;
        const float value = static_cast<float>(x(row, col)) * scale;
        to(row, col, words.word[k] >= least_kept ? value : 0);
      }
    }
  }
};

}  // namespace plexus::inline PLEXUS_ABI::kernels
