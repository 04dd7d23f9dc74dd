// Kullback and Leibler's divergence of the softmax of the outputs (logits) from a target distribution:
// C = 1/n Σₓ Σⱼ yⱼ (ln yⱼ − ln pⱼ), p = softmax(a), 0 ln 0 = 0. PyTorch's KLDivLoss(reduction = "batchmean")
// of log_softmax(a).
#pragma once

#include <plexus/losses/softmax_cross_entropy.hpp>

namespace plexus::inline PLEXUS_ABI {

struct kl_divergence {
  // The cross-entropy less the target's own entropy, in which there is no a.
  template <class Group, class Target, class Gradient>
  PLEXUS_FN float operator()(Group group, const float* a, Target y, int width, Gradient gradient) const {
    float entropy = 0;
    for (int j = group.rank(); j < width; j += group.size()) {
      const float probability = y(j);
      if (probability != 0) entropy -= probability * logf(probability);
    }
    return softmax_cross_entropy{}(group, a, y, width, gradient) - group.sum(entropy);
  }
};

}  // namespace plexus::inline PLEXUS_ABI
