// A loss by itself: its value and its gradient for a batch of outputs, by each kind of group.
#pragma once

#include "support/by_warps.hpp"

#include <plexus/core/buffer.hpp>
#include <plexus/core/stream.hpp>
#include <plexus/losses/loss_pass.hpp>

#include <vector>

namespace support {

enum class sharing { as_the_pass_does, by_a_warp, by_a_block };

struct loss_and_gradient {
  double loss = 0;
  std::vector<float> gradient{};  // (n, width)
};

struct store_gradient {
  plexus::matrix_view<float> gradients;
  int row;
  PLEXUS_FN void operator()(int j, float gradient) const { gradients(row, j) = gradient; }
};

template <class Loss>
struct loss_rows {
  Loss loss;
  plexus::matrix_view<const float> a;
  plexus::target_view y;
  float* losses;
  plexus::matrix_view<float> gradients;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const float value = loss_of_sample(loss, group, a.row(row), plexus::target_row{y, row}, a.cols,
                                       store_gradient{gradients, row});
    if (group.rank() == 0) losses[row] = value;
  }
};

// Over the n samples `a` (n, width); exactly one of `values` (n, width) and `labels` (n) is not empty. What
// is never written stays NaN.
template <sharing Sharing = sharing::as_the_pass_does, class Loss>
loss_and_gradient differentiate(const Loss& loss, const std::vector<float>& a, int width,
                                const std::vector<float>& values, const std::vector<int>& labels = {}) {
  const plexus::stream on;
  const int n = static_cast<int>(a.size()) / width;
  const plexus::buffer<float> outputs = plexus::to_device(on.get(), a),
                              targets = plexus::to_device(on.get(), values);
  const plexus::buffer<int> classes = plexus::to_device(on.get(), labels);
  const plexus::buffer<float> losses =
      plexus::to_device(on.get(), std::vector<float>(static_cast<std::size_t>(n), NAN));
  const plexus::buffer<float> gradients = plexus::to_device(on.get(), std::vector<float>(a.size(), NAN));
  const plexus::target_view y = labels.empty() ? plexus::target_view{nullptr, targets.data(), width}
                                               : plexus::target_view{classes.data(), nullptr, 0};
  const loss_rows<Loss> rows{loss, plexus::matrix<const float>(outputs.data(), n, width), y, losses.data(),
                             plexus::matrix(gradients.data(), n, width)};
  if constexpr (Sharing == sharing::as_the_pass_does) {
    plexus::for_each_row(on.get(), n, rows);
  } else if constexpr (Sharing == sharing::by_a_warp) {
    by_warps(on.get(), n, rows);
  } else {
    plexus::for_each_row_by_block(on.get(), n, rows);
  }

  const float divisor = plexus::divisor_of<Loss>(static_cast<float>(n));
  loss_and_gradient result{0, plexus::to_host(on.get(), gradients.view())};
  for (const float value : plexus::to_host(on.get(), losses.view()))
    result.loss += static_cast<double>(value / divisor);
  for (float& gradient : result.gradient) gradient /= divisor;
  return result;
}

}  // namespace support
