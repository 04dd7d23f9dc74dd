// The worst of many errors.
#pragma once

#include <cmath>
#include <limits>

namespace support {

// The larger one. A NaN counts as infinite: std::max would pass over it, and so over what was never written.
inline double worse(double worst, double error) {
  return std::isnan(error) ? std::numeric_limits<double>::infinity() : error > worst ? error : worst;
}

}  // namespace support
