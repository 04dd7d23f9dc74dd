// Room for a batch: its inputs, its labels or its targets, and its samples' weights.
#pragma once

#include <plexus/core/buffer.hpp>
#include <plexus/data/batch_source.hpp>
#include <plexus/losses/target.hpp>

#include <cstddef>

namespace plexus::inline PLEXUS_ABI {

template <class Memory>
class batch_memory {
 public:
  batch_memory(const source_shape& shape, int rows)
      : shape_(shape),
        inputs_(values(rows, shape.features)),
        labels_(shape.labels ? values(rows, 1) : 0),
        targets_(shape.labels ? 0 : values(rows, shape.outputs)),
        weights_(shape.weights ? values(rows, 1) : 0) {}

  matrix_view<float> inputs(int rows) const { return matrix(inputs_.data(), rows, shape_.features); }
  int* labels() const { return labels_.data(); }      // null where there are none
  float* weights() const { return weights_.data(); }  // likewise
  matrix_view<float> target_values(int rows) const { return matrix(targets_.data(), rows, shape_.outputs); }
  target_view targets() const {
    return {labels_.data(), targets_.data(), shape_.labels ? 0 : shape_.outputs, weights_.data()};
  }

  // The first `rows` samples.
  batch_view view(int rows) const {
    return {{inputs_.data(), values(rows, shape_.features)},
            {labels_.data(), shape_.labels ? values(rows, 1) : 0},
            {targets_.data(), shape_.labels ? 0 : values(rows, shape_.outputs)},
            {weights_.data(), shape_.weights ? values(rows, 1) : 0}};
  }

  // Copies the first `rows` samples of `from`, on this device or in pinned memory.
  template <class From>
  void copy(cudaStream_t stream, const batch_memory<From>& from, int rows) const {
    const batch_view to = view(rows), source = from.view(rows);
    copy_values(stream, to.inputs, source.inputs);
    copy_values(stream, to.labels, source.labels);
    copy_values(stream, to.targets, source.targets);
    copy_values(stream, to.weights, source.weights);
  }

 private:
  static std::size_t values(int rows, int width) {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(width);
  }

  template <class T>
  static void copy_values(cudaStream_t stream, std::span<T> to, std::span<T> from) {
    if (to.empty()) return;
    check(cudaMemcpyAsync(to.data(), from.data(), to.size_bytes(), cudaMemcpyDefault, stream),
          "copying a batch to the device");
  }

  source_shape shape_;
  buffer<float, Memory> inputs_;
  buffer<int, Memory> labels_;
  buffer<float, Memory> targets_, weights_;
};

}  // namespace plexus::inline PLEXUS_ABI
