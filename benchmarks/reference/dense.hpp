// What the networks written by hand share: two threads, dense layers over cblas_sgemm, and an epoch's report.
// Buffers are allocated once.
#pragma once

#include "../fashion_mnist.hpp"
#include "../workload.hpp"

#include <cblas.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

extern "C" void openblas_set_num_threads(int);

namespace reference {

constexpr int threads = 2;

struct range {
  int begin, end;
  int size() const { return end - begin; }
};

inline range share(int size, int thread) { return {size * thread / threads, size * (thread + 1) / threads}; }

// Runs function(thread) on both threads.
template <class Function>
void on_both(Function&& function) {
  std::thread second(function, 1);
  function(0);
  second.join();
}

// Spins for some 20 µs, the usual wait, and then sleeps: where another program has the other core, spinning
// on would only take it longer.
class barrier {
 public:
  void wait() {
    const int generation = generation_.load();
    if (arrived_.fetch_add(1) + 1 == threads) {
      arrived_.store(0);
      generation_.fetch_add(1);
      generation_.notify_all();
      return;
    }
    for (int tries = 0; generation_.load() == generation; ++tries) {
      if (tries > 10000) generation_.wait(generation);
    }
  }

 private:
  std::atomic<int> arrived_{0}, generation_{0};
};

struct matrix {
  int rows = 0, cols = 0;
  std::vector<float> values{};

  matrix(int r, int c)
      : rows(r), cols(c), values(static_cast<std::size_t>(r) * static_cast<std::size_t>(c)) {}
  float* row(int r) { return values.data() + std::ptrdiff_t{r} * cols; }
};

inline void sgemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const float* a, int lda,
                  const float* b, int ldb, float* c, int ldc) {
  cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1, a, lda, b, ldb, 0, c, ldc);
}

struct parameters {
  matrix w, b, dw, db;  // w (out, in), b (1, out)

  parameters(int in, int out, std::mt19937& random) : w(out, in), b(1, out), dw(w), db(b) {
    const float bound = 1 / std::sqrt(static_cast<float>(in));
    std::uniform_real_distribution<float> uniform(-bound, bound);
    for (float& value : w.values) value = uniform(random);
    for (float& value : b.values) value = uniform(random);
  }

  // A step of some units by the gradients of `other`, or by these.
  void descend(const parameters& other, range units, float rate) {
    for (int i = units.begin * w.cols; i < units.end * w.cols; ++i) w.values[i] -= rate * other.dw.values[i];
    for (int u = units.begin; u < units.end; ++u) b.values[u] -= rate * other.db.values[u];
  }
};

struct layer : parameters {
  matrix a, da;  // a (batch, out)

  layer(int in, int out, int batch, std::mt19937& random)
      : parameters(in, out, random), a(batch, out), da(a) {}
};

// a = x·wᵀ + b, and ReLU if asked, for some rows and some units.
inline void forward(layer& l, matrix& x, range rows, range units, bool relu) {
  sgemm(CblasNoTrans, CblasTrans, rows.size(), units.size(), x.cols, x.row(rows.begin), x.cols,
        l.w.row(units.begin), x.cols, l.a.row(rows.begin) + units.begin, l.a.cols);
  const float* b = l.b.row(0);
  for (int r = rows.begin; r < rows.end; ++r) {
    float* a = l.a.row(r);
    for (int u = units.begin; u < units.end; ++u) a[u] += b[u];
    if (!relu) continue;
    for (int u = units.begin; u < units.end; ++u) a[u] = std::max(a[u], 0.0f);
  }
}

// da = (softmax(a) − onehot(y)) / samples by log-sum-exp; returns the summed loss of the rows.
inline double loss(layer& l, const std::vector<int>& y, range rows, int samples) {
  const int classes = l.a.cols;
  const float scale = 1 / static_cast<float>(samples);
  double sum = 0;
  for (int r = rows.begin; r < rows.end; ++r) {
    const float* a = l.a.row(r);
    float* da = l.da.row(r);
    const float largest = *std::max_element(a, a + classes);
    float total = 0;
    for (int c = 0; c < classes; ++c) total += da[c] = std::exp(a[c] - largest);
    for (int c = 0; c < classes; ++c) da[c] *= scale / total;
    const int label = y[static_cast<std::size_t>(r)];
    da[label] -= scale;
    sum += largest + std::log(total) - a[label];
  }
  return sum;
}

// The gradient with respect to some of the layer's inputs x = relu(z), taken through that ReLU.
inline void backward_input(layer& l, matrix& x, matrix& dx, int samples, range inputs) {
  sgemm(CblasNoTrans, CblasNoTrans, samples, inputs.size(), l.a.cols, l.da.row(0), l.a.cols,
        l.w.row(0) + inputs.begin, x.cols, dx.row(0) + inputs.begin, x.cols);
  for (int r = 0; r < samples; ++r) {
    const float* kept = x.row(r);
    float* d = dx.row(r);
    for (int i = inputs.begin; i < inputs.end; ++i) d[i] = kept[i] > 0 ? d[i] : 0;
  }
}

// dw = daᵀ·x and db = column sums of da, for some units.
inline void backward_weights(layer& l, matrix& x, int samples, range units) {
  sgemm(CblasTrans, CblasNoTrans, units.size(), x.cols, samples, l.da.row(0) + units.begin, l.a.cols,
        x.row(0), x.cols, l.dw.row(units.begin), x.cols);
  float* db = l.db.row(0);
  std::fill(db + units.begin, db + units.end, 0.0f);
  for (int r = 0; r < samples; ++r) {
    for (int u = units.begin; u < units.end; ++u) db[u] += l.da.row(r)[u];
  }
}

// A multilayer perceptron: ReLU after every layer but the last.
struct perceptron {
  matrix x;
  std::vector<int> y;
  std::vector<layer> layers;

  perceptron(const std::vector<int>& widths, int batch, std::mt19937& random)
      : x(batch, widths[0]), y(static_cast<std::size_t>(batch)) {
    for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
      layers.emplace_back(widths[i], widths[i + 1], batch, random);
    }
  }
  int batch() const { return x.rows; }
  matrix& input(std::size_t i) { return i == 0 ? x : layers[i - 1].a; }

  // The outputs of x, on one thread.
  matrix& forward(int samples) {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      layer& l = layers[i];
      reference::forward(l, input(i), {0, samples}, {0, l.a.cols}, i + 1 < layers.size());
    }
    return layers.back().a;
  }
};

inline const float* sample(const plexus::dataset& data, int i) {
  return data.inputs.data() + std::ptrdiff_t{i} * data.features;
}

// Epochs of train(order of the samples, thread, barrier), which both threads call and which returns its share
// of the summed loss.
template <class Train>
void time_training(const workload::training& work, int repetitions, int samples, Train&& train) {
  std::vector<int> order(static_cast<std::size_t>(samples));
  std::iota(order.begin(), order.end(), 0);
  std::mt19937 random(2);
  double summed_loss[threads] = {};
  for (int repetition = 0; repetition <= repetitions; ++repetition) {
    const workload::stopwatch watch;
    std::shuffle(order.begin(), order.end(), random);
    barrier everyone;
    on_both([&](int thread) { summed_loss[thread] = train(order, thread, everyone); });
    if (repetition > 0) workload::report("seconds", work.name, watch.seconds());  // the first one warms up
  }
  workload::report("loss", work.name, (summed_loss[0] + summed_loss[1]) / samples);
}

// Below, a Network has batch(), and infer(data, first, size), the outputs of so many samples.

template <class Network>
void report_accuracy(const workload::training& work, Network& net, const plexus::dataset& data) {
  int right = 0;
  for (int first = 0; first < data.size(); first += net.batch()) {
    const int size = std::min(net.batch(), data.size() - first);
    matrix& a = net.infer(data, first, size);
    for (int r = 0; r < size; ++r) {
      const auto guess = std::max_element(a.row(r), a.row(r) + a.cols) - a.row(r);
      right += guess == data.labels[static_cast<std::size_t>(first + r)];
    }
  }
  workload::report("accuracy", work.name, static_cast<double>(right) / data.size());
}

// Each thread takes half of the samples through a network of its own.
template <class Network>
void time_inference(const workload::training& work, const workload::arguments& arguments,
                    std::vector<Network>& nets) {
  const auto data = workload::load(arguments.data, "train");
  matrix outputs(data.size(), data.outputs);
  workload::time_calls(work.inference(), arguments.repetitions, 1, [&] {
    on_both([&](int thread) {
      Network& mine = nets[static_cast<std::size_t>(thread)];
      const range samples = share(data.size(), thread);
      for (int first = samples.begin; first < samples.end; first += mine.batch()) {
        const int size = std::min(mine.batch(), samples.end - first);
        const matrix& a = mine.infer(data, first, size);
        std::copy_n(a.values.data(), size * a.cols, outputs.row(first));
      }
    });
    workload::keep(outputs);
  });
}

}  // namespace reference
