// A data set in device memory, and the batches that training draws from it there.
#pragma once

#include <plexus/core/buffer.hpp>
#include <plexus/core/for_each.hpp>
#include <plexus/data/dataset.hpp>
#include <plexus/losses/target.hpp>
#include <plexus/train/batch_memory.hpp>

#include <cstdint>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

class device_dataset {
 public:
  // Copies a valid data set to the device.
  device_dataset(cudaStream_t stream, const dataset& data)
      : shape_(shape_of(data)),
        inputs_(to_device(stream, data.inputs)),
        labels_(to_device(stream, data.labels)),
        targets_(to_device(stream, data.targets)),
        weights_(to_device(stream, data.weights)) {
    check(cudaStreamSynchronize(stream), "copying a data set to the device");
  }

  int size() const { return shape_.samples; }
  const source_shape& shape() const { return shape_; }
  matrix_view<const float> inputs() const {
    return matrix<const float>(inputs_.data(), shape_.samples, shape_.features);
  }
  target_view targets() const {
    return {labels_.data(), targets_.data(), shape_.labels ? 0 : shape_.outputs, weights_.data()};
  }

 private:
  source_shape shape_;
  buffer<float> inputs_;
  buffer<int> labels_;
  buffer<float> targets_, weights_;
};

// Row `row` of a batch is sample order[*cursor + row].
struct gather_rows {
  matrix_view<const float> inputs;
  target_view targets;
  const int* order;
  const int* cursor;
  matrix_view<float> batch_inputs;
  int* batch_labels;                 // where the targets are labels
  matrix_view<float> batch_targets;  // where they are values
  float* batch_weights;              // where there are weights

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const int sample = order[*cursor + row];
    copy(group, inputs.row(sample), batch_inputs.row(row), inputs.cols);
    if (targets.labels != nullptr) {
      if (group.rank() == 0) batch_labels[row] = targets.labels[sample];
    } else {
      copy(group, targets.value_row(sample), batch_targets.row(row), batch_targets.cols);
    }
    if (targets.weights != nullptr && group.rank() == 0) batch_weights[row] = targets.weights[sample];
  }

 private:
  template <class Group>
  PLEXUS_FN static void copy(Group group, const float* from, float* to, int width) {
    for (int j = group.rank(); j < width; j += group.size()) to[j] = from[j];
  }
};

struct advance_cursor {
  int* cursor;
  int rows;
  PLEXUS_FN void operator()(std::size_t) const { *cursor += rows; }
};

// Draws batches in a given order. The place in the order lies in device memory and moves on by itself, so
// that a recorded step draws the next batch each time it is replayed.
class batch_drawer {
 public:
  batch_drawer(const device_dataset& data, int batch)
      : data_(data), order_(static_cast<std::size_t>(data.size())), cursor_(1), batch_(data.shape(), batch) {}

  int size() const { return data_.size(); }

  // Begins with the first sample of `order`, a permutation of the data set.
  void begin(cudaStream_t stream, const std::vector<int>& order, std::uint64_t /*epoch*/) {
    copy_to_device<int>(stream, order_.data(), order);
    fill_zero(stream, cursor_.view());
    check(cudaStreamSynchronize(stream), "beginning an epoch");
  }

  // All is there.
  template <class Order>
  void expect(const Order&, std::uint64_t /*epoch*/) {}
  void next(cudaStream_t, int /*rows*/) {}

  void draw(cudaStream_t stream, int rows) {
    for_each_row(stream, rows,
                 gather_rows{data_.inputs(), data_.targets(), order_.data(), cursor_.data(), inputs(rows),
                             batch_.labels(), batch_.target_values(rows), batch_.weights()});
    for_each(stream, 1, advance_cursor{cursor_.data(), rows});
  }

  // The batch drawn last.
  matrix_view<float> inputs(int rows) const { return batch_.inputs(rows); }
  target_view targets() const { return batch_.targets(); }

 private:
  const device_dataset& data_;
  buffer<int> order_, cursor_;
  batch_memory<device_memory> batch_;
};

}  // namespace plexus::inline PLEXUS_ABI
