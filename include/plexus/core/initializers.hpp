// What weights begin as. Each initialiser knows the layer's fan-in and fan-out.
#pragma once

#include <plexus/core/random.hpp>
#include <plexus/core/view.hpp>

#include <cmath>

namespace plexus::inline PLEXUS_ABI {

struct fan {
  int in = 1;   // inputs of one unit
  int out = 1;  // units that one input reaches
};

struct fill_constant {
  float* values;
  float value;
  PLEXUS_FN void operator()(std::size_t i) const { values[i] = value; }
};

struct fill_uniform {
  float* values;
  random_stream random;
  float low, high;
  PLEXUS_FN void operator()(std::size_t i) const { values[i] = low + (high - low) * random.uniform(i); }
};

struct fill_normal {
  float* values;
  random_stream random;
  float mean, deviation;
  PLEXUS_FN void operator()(std::size_t i) const { values[i] = mean + deviation * random.normal(i); }
};

// All the same.
struct constant {
  float value = 0;
  void operator()(cudaStream_t stream, view<float> w, random_stream = {}, fan = {}) const {
    for_each(stream, w.size, fill_constant{w.data, value});
  }
};

// Uniform in (low, high).
struct uniform {
  float low = -1, high = 1;
  void operator()(cudaStream_t stream, view<float> w, random_stream random, fan) const {
    for_each(stream, w.size, fill_uniform{w.data, random, low, high});
  }
};

// Normal.
struct normal {
  float mean = 0, deviation = 1;
  void operator()(cudaStream_t stream, view<float> w, random_stream random, fan) const {
    for_each(stream, w.size, fill_normal{w.data, random, mean, deviation});
  }
};

// X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010,
// eq. 16: uniform in ±√(6 / (fan_in + fan_out)).
struct glorot_uniform {
  void operator()(cudaStream_t stream, view<float> w, random_stream random, fan size) const {
    const float limit = std::sqrt(6.0f / static_cast<float>(size.in + size.out));
    uniform{-limit, limit}(stream, w, random, size);
  }
};

// The same variance, 2 / (fan_in + fan_out), by a normal distribution.
struct glorot_normal {
  void operator()(cudaStream_t stream, view<float> w, random_stream random, fan size) const {
    normal{0, std::sqrt(2.0f / static_cast<float>(size.in + size.out))}(stream, w, random, size);
  }
};

// Y. LeCun et al., "Efficient BackProp", 1998, section 4.6: variance 1 / fan_in.
struct lecun_normal {
  void operator()(cudaStream_t stream, view<float> w, random_stream random, fan size) const {
    normal{0, 1 / std::sqrt(static_cast<float>(size.in))}(stream, w, random, size);
  }
};

// K. He et al., "Delving deep into rectifiers", 2015, eq. 10: variance 2 / fan_in, for rectifiers.
struct he_normal {
  void operator()(cudaStream_t stream, view<float> w, random_stream random, fan size) const {
    normal{0, std::sqrt(2.0f / static_cast<float>(size.in))}(stream, w, random, size);
  }
};

// The same variance, uniform in ±√(6 / fan_in).
struct he_uniform {
  void operator()(cudaStream_t stream, view<float> w, random_stream random, fan size) const {
    const float limit = std::sqrt(6.0f / static_cast<float>(size.in));
    uniform{-limit, limit}(stream, w, random, size);
  }
};

}  // namespace plexus::inline PLEXUS_ABI
