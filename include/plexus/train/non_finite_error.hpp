// What fit() throws where a step that is not finite stops it.
#pragma once

#include <plexus/core/error.hpp>
#include <plexus/train/history.hpp>

#include <string>
#include <utility>

namespace plexus::inline PLEXUS_ABI {

class non_finite_error : public error {
 public:
  non_finite_error(const std::string& wrong, non_finite_report met, history so_far)
      : error("training a network", wrong, "use a smaller rate, or scale the inputs"),
        report(std::move(met)),
        past(std::move(so_far)) {}

  non_finite_report report;  // without a step and samples where it was found at an epoch's end
  history past;              // the epochs before it, and all steps that were made
};

}  // namespace plexus::inline PLEXUS_ABI
