// LeNet by hand: what somebody who knows the machine writes over cblas_sgemm.
//
// Each thread takes half of every batch through a network of its own, which stays in its core's cache, and
// lowers one image at a time: small products are where OpenBLAS is at its best. Both networks take the same
// step, by both gradients in the same order, so that their weights remain the same bits.
//
// Of four outputs of a convolution, pooling passes one on. The largest is therefore sought before bias and
// ReLU, which change no order, and the filters' gradients are summed over those that were kept alone.
#include "dense.hpp"

#include <array>
#include <cstring>

namespace {

using namespace reference;

using vector = float __attribute__((vector_size(32)));

vector load(const float* from) {
  vector result;
  std::memcpy(&result, from, sizeof result);
  return result;
}

// A convolution by 5x5 filters without padding, ReLU and max-pooling by 2x2; images are (channels, y, x).
template <int Channels, int Size, int Filters>
class convolution : public parameters {
  static constexpr int side = 5, taps = Channels * side * side;
  static constexpr int extent = Size - side + 1, positions = extent * extent;
  static constexpr int pooled = extent / 2, windows = pooled * pooled;

 public:
  static constexpr int inputs = Channels * Size * Size, outputs = Filters * windows;

  convolution(int batch, std::mt19937& random)
      : parameters(taps, Filters, random), kept_(static_cast<std::size_t>(batch * outputs)) {}

  // p (outputs) of x (inputs), which are the r-th of the batch.
  void forward(int r, const float* x, float* p) {
    lower(x);
    sgemm(CblasNoTrans, CblasNoTrans, Filters, positions, taps, w.row(0), taps, lowered_.row(0), positions,
          z_.row(0), positions);
    for (int f = 0; f < Filters; ++f) pool(z_.row(f), b.row(0)[f], p + f * windows, kept(r, f));
  }

  void clear_gradients() {
    std::fill(dw.values.begin(), dw.values.end(), 0.0f);
    std::fill(db.values.begin(), db.values.end(), 0.0f);
  }

  // Adds to dw and db. Reads three values beyond the end of x.
  void backward_weights(int r, const float* x, const float* dp) {
    for (int f = 0; f < Filters; ++f, dp += windows) {
      for (int c = 0; c < Channels; ++c) {
        add_correlation(x + c * Size * Size, dp, kept(r, f), dw.row(f) + c * side * side);
      }
      db.row(0)[f] += std::accumulate(dp, dp + windows, 0.0f);
    }
  }

  // The gradient with respect to x = relu(z), taken through that ReLU.
  void backward_input(int r, const float* x, const float* dp, float* dx) {
    std::fill(z_.values.begin(), z_.values.end(), 0.0f);
    for (int f = 0; f < Filters; ++f, dp += windows) {
      for (int i = 0; i < windows; ++i) {
        const int place = kept(r, f)[i];
        z_.row(f)[place / Size * extent + place % Size] = dp[i];
      }
    }
    sgemm(CblasTrans, CblasNoTrans, taps, positions, Filters, w.row(0), taps, z_.row(0), positions,
          lowered_.row(0), positions);
    raise(dx);
    for (int i = 0; i < inputs; ++i) dx[i] = x[i] > 0 ? dx[i] : 0;
  }

 private:
  // Where in a channel of x the patches begin that one filter's pooling has kept.
  int* kept(int r, int f) { return kept_.data() + r * outputs + f * windows; }

  // Calls visit(place in x, place in lowered) for each row of `extent` values. The column of the filter is
  // the outermost loop: a core is slow to load what it has just stored in two pieces, and so rows that
  // overlap in part are kept far from each other.
  template <class Visit>
  static void each_row(Visit&& visit) {
    for (int kx = 0; kx < side; ++kx) {
      for (int c = 0; c < Channels; ++c) {
        for (int ky = 0; ky < side; ++ky) {
          const int tap = (c * side + ky) * side + kx;
          for (int y = 0; y < extent; ++y)
            visit((c * Size + y + ky) * Size + kx, tap * positions + y * extent);
        }
      }
    }
  }

  void lower(const float* x) {
    float* lowered = lowered_.row(0);
    each_row([&](int from, int to) { std::memcpy(lowered + to, x + from, extent * sizeof(float)); });
  }

  void raise(float* dx) {
    static_assert(extent % 8 == 0);
    const float* lowered = lowered_.row(0);
    std::fill_n(dx, inputs, 0.0f);
    each_row([&](int to, int from) {
      for (int i = 0; i < extent; i += 8) {
        const vector sum = load(dx + to + i) + load(lowered + from + i);
        std::memcpy(dx + to + i, &sum, sizeof sum);
      }
    });
  }

  // First the larger of two rows, then that of two columns, without branches: this becomes vector code.
  static void pool(const float* z, float bias, float* __restrict p, int* __restrict kept) {
    for (int y = 0; y < pooled; ++y, z += 2 * extent, p += pooled, kept += pooled) {
      float larger[extent];
      int row[extent];
      for (int x = 0; x < extent; ++x) {
        const float upper = z[x], lower = z[extent + x];
        larger[x] = lower > upper ? lower : upper;
        row[x] = lower > upper ? Size : 0;
      }
      for (int x = 0; x < pooled; ++x) {
        const float left = larger[2 * x], right = larger[2 * x + 1];
        const float biased = (right > left ? right : left) + bias;
        kept[x] = 2 * (y * Size + x) + (right > left ? row[2 * x + 1] + 1 : row[2 * x]);
        p[x] = biased > 0 ? biased : 0;
      }
    }
  }

  // Adds one filter's gradient in one channel. Of the eight columns of a vector five are meant.
  static void add_correlation(const float* x, const float* dp, const int* kept, float* sums) {
    vector sum[side] = {};
    for (int i = 0; i < windows; ++i) {
      const float* patch = x + kept[i];
      for (int ky = 0; ky < side; ++ky) sum[ky] += dp[i] * load(patch + ky * Size);
    }
    for (int ky = 0; ky < side; ++ky) {
      for (int kx = 0; kx < side; ++kx) sums[ky * side + kx] += sum[ky][kx];
    }
  }

  std::vector<int> kept_;  // (batch, outputs)
  matrix lowered_{taps, positions}, z_{Filters, positions};
};

// One thread's: all weights, and the gradients of its share of a batch.
class network {
 public:
  // x_ and p_ have a row more than the batch, for vectors that reach beyond the end of the last.
  network(int batch, std::mt19937& random)
      : first_(batch, random),
        second_(batch, random),
        dense_({second_.outputs, 120, 84, 10}, batch, random),
        x_(batch + 1, first_.inputs),
        p_(batch + 1, first_.outputs),
        dp_(1, first_.outputs),
        dx_(batch, second_.outputs) {}

  int batch() const { return dense_.batch(); }

  matrix& infer(const plexus::dataset& data, int begin, int size) {
    for (int r = 0; r < size; ++r) forward(r, sample(data, begin + r));
    return dense_.forward(size);
  }

  // Of `size` samples, a share of a batch of `all`; returns their summed loss.
  double forward(const plexus::dataset& data, const int* samples, int size, int all) {
    size_ = size;
    for (int r = 0; r < size_; ++r) {
      const int chosen = samples[r];
      std::copy_n(sample(data, chosen), data.features, x_.row(r));
      dense_.y[static_cast<std::size_t>(r)] = data.labels[static_cast<std::size_t>(chosen)];
      forward(r, x_.row(r));
    }
    dense_.forward(size_);
    return loss(dense_.layers.back(), dense_.y, {0, size_}, all);
  }

  void backward() {
    for (std::size_t i = dense_.layers.size(); i-- > 0;) {
      layer& l = dense_.layers[i];
      matrix& x = dense_.input(i);
      backward_weights(l, x, size_, {0, l.a.cols});
      backward_input(l, x, i > 0 ? dense_.layers[i - 1].da : dx_, size_, {0, x.cols});
    }
    first_.clear_gradients();
    second_.clear_gradients();
    for (int r = 0; r < size_; ++r) {
      second_.backward_weights(r, p_.row(r), dx_.row(r));
      second_.backward_input(r, p_.row(r), dx_.row(r), dp_.row(0));
      first_.backward_weights(r, x_.row(r), dp_.row(0));
    }
  }

  // A step by the gradients of `net`.
  void descend(network& net, float rate) {
    const auto mine = all_parameters(), other = net.all_parameters();
    for (std::size_t i = 0; i < mine.size(); ++i) mine[i]->descend(*other[i], {0, mine[i]->w.rows}, rate);
  }

 private:
  void forward(int r, const float* x) {
    first_.forward(r, x, p_.row(r));
    second_.forward(r, p_.row(r), dense_.x.row(r));
  }

  std::array<parameters*, 5> all_parameters() {
    auto& layers = dense_.layers;
    return {&first_, &second_, &layers[0], &layers[1], &layers[2]};
  }

  convolution<1, 28, 6> first_;
  convolution<6, 12, 16> second_;
  perceptron dense_;
  matrix x_, p_, dp_, dx_;
  int size_ = 0;
};

// One thread's share of an epoch; returns its share of the summed loss.
double train(std::vector<network>& nets, const plexus::dataset& data, const std::vector<int>& order,
             const workload::training& work, int thread, barrier& everyone) {
  network& mine = nets[static_cast<std::size_t>(thread)];
  const int samples = static_cast<int>(order.size());
  double summed_loss = 0;
  for (int first = 0; first < samples; first += work.batch) {
    const int size = std::min(work.batch, samples - first);
    const range rows = share(size, thread);
    summed_loss += mine.forward(data, order.data() + first + rows.begin, rows.size(), size);
    everyone.wait();  // the other has taken its last step
    mine.backward();
    everyone.wait();
    for (network& net : nets) mine.descend(net, work.rate);
  }
  return summed_loss;
}

void run(const workload::training& work, const workload::arguments& arguments) {
  std::mt19937 random(1);
  std::vector<network> nets(threads, network(work.batch / threads, random));
  if (arguments.wants(work.inference())) time_inference(work, arguments, nets);
  if (!arguments.wants(work.name)) return;
  const auto data = workload::load(arguments.data, "train");
  const auto train_share = [&](const auto& order, int thread, barrier& everyone) {
    return train(nets, data, order, work, thread, everyone);
  };
  time_training(work, arguments.repetitions, data.size(), train_share);
  report_accuracy(work, nets[0], workload::load(arguments.data, "t10k"));
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = workload::parse(argc, argv, workload::lenet_names());
  openblas_set_num_threads(1);  // the threads are ours
  run(workload::lenet, arguments);
}
