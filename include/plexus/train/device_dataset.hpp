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
      : size_(data.size()),
        features_(data.features),
        outputs_(data.outputs),
        inputs_(to_device(stream, data.inputs)),
        labels_(to_device(stream, data.labels)),
        targets_(to_device(stream, data.targets)) {
    check(cudaStreamSynchronize(stream), "copying a data set to the device");
  }

  int size() const { return size_; }
  source_shape shape() const { return {size_, features_, outputs_, labels_.size() != 0}; }
  matrix_view<const float> inputs() const { return matrix<const float>(inputs_.data(), size_, features_); }
  target_view targets() const {
    return labels_.size() != 0 ? target_view{labels_.data(), nullptr, 0}
                               : target_view{nullptr, targets_.data(), outputs_};
  }

 private:
  int size_, features_, outputs_;
  buffer<float> inputs_;
  buffer<int> labels_;
  buffer<float> targets_;
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

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    const int sample = order[*cursor + row];
    copy(group, inputs.row(sample), batch_inputs.row(row), inputs.cols);
    if (targets.labels != nullptr) {
      if (group.rank() == 0) batch_labels[row] = targets.labels[sample];
    } else {
      copy(group, targets.value_row(sample), batch_targets.row(row), batch_targets.cols);
    }
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

  void next(cudaStream_t, int /*rows*/) {}  // all is there

  void draw(cudaStream_t stream, int rows) {
    for_each_row(stream, rows,
                 gather_rows{data_.inputs(), data_.targets(), order_.data(), cursor_.data(), inputs(rows),
                             batch_.labels(), batch_.target_values(rows)});
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
