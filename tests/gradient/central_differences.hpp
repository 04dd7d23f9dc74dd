// The gradients of a network, all of them, against central differences of its loss.
#pragma once

#include <plexus/inspect/check_gradients.hpp>
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/worst.hpp"

namespace central_differences {

// Where nothing has a kink.
template <class Network, class Loss>
void check_gradients(const plexus::dataset& data, const Loss& loss, plexus::gemm_policy policy) {
  Network net{plexus::seed{21}, policy};
  const plexus::inspect::gradient_options all{.values = 0};
  const plexus::inspect::gradient_check found =
      data.labels.empty() ? plexus::inspect::check_gradients(net, loss, data.inputs, data.targets, all)
                          : plexus::inspect::check_gradients(net, loss, data.inputs, data.labels, all);
  INFO(to_string(found));
  CHECK(found.passed(1e-3));
  std::size_t kinks = 0;
  for (const auto& tensor : found.tensors) kinks += tensor.kinks;
  CHECK(kinks == 0);
}

}  // namespace central_differences
