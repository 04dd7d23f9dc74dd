// The multilayer perceptrons of ../mlp.cpp by hand: what somebody who knows the machine writes over
// cblas_sgemm.
//
// Two threads share every step by columns: each owns half of the units of every layer, and so half of the
// rows of its weights, which stay in that core's cache from the forward product to the update. (OpenBLAS's
// own two threads took about 15% longer at 784-300-10.) Buffers are allocated once; nothing but the rows of a
// batch is copied.
#include "../workload.hpp"

#include <plexus/data/idx.hpp>

#include <cblas.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <random>
#include <thread>

extern "C" void openblas_set_num_threads(int);

namespace {

constexpr int threads = 2;

plexus::dataset load(const std::string& folder, const std::string& set) {
  return plexus::load_idx(folder + "/" + set + "-images-idx3-ubyte.gz",
                          folder + "/" + set + "-labels-idx1-ubyte.gz");
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

struct range {
  int begin, end;
  int size() const { return end - begin; }
};

range share(int size, int thread) { return {size * thread / threads, size * (thread + 1) / threads}; }

void sgemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const float* a, int lda,
           const float* b, int ldb, float* c, int ldc) {
  cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1, a, lda, b, ldb, 0, c, ldc);
}

struct layer {
  matrix w, b, dw, db, a, da;  // w (out, in), b (1, out), a (batch, out)

  layer(int in, int out, int batch) : w(out, in), b(1, out), dw(w), db(b), a(batch, out), da(a) {}
};

// a = x·wᵀ + b, and ReLU if asked, for some rows and some units.
void forward(layer& l, matrix& x, range rows, range units, bool relu) {
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
double loss(layer& l, const std::vector<int>& y, range rows, int samples) {
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
void backward_input(layer& l, matrix& x, matrix& dx, int samples, range inputs) {
  sgemm(CblasNoTrans, CblasNoTrans, samples, inputs.size(), l.a.cols, l.da.row(0), l.a.cols,
        l.w.row(0) + inputs.begin, x.cols, dx.row(0) + inputs.begin, x.cols);
  for (int r = 0; r < samples; ++r) {
    const float* kept = x.row(r);
    float* d = dx.row(r);
    for (int i = inputs.begin; i < inputs.end; ++i) d[i] = kept[i] > 0 ? d[i] : 0;
  }
}

// dw = daᵀ·x, db = column sums of da, and the step of some units' weights.
void update(layer& l, matrix& x, int samples, range units, float rate) {
  float *w = l.w.row(units.begin), *dw = l.dw.row(units.begin), *b = l.b.row(0), *db = l.db.row(0);
  sgemm(CblasTrans, CblasNoTrans, units.size(), x.cols, samples, l.da.row(0) + units.begin, l.a.cols,
        x.row(0), x.cols, dw, x.cols);
  std::fill(db + units.begin, db + units.end, 0.0f);
  for (int r = 0; r < samples; ++r) {
    for (int u = units.begin; u < units.end; ++u) db[u] += l.da.row(r)[u];
  }
  for (int i = 0; i < units.size() * x.cols; ++i) w[i] -= rate * dw[i];
  for (int u = units.begin; u < units.end; ++u) b[u] -= rate * db[u];
}

struct network {
  matrix x;
  std::vector<int> y;
  std::vector<layer> layers;

  network(const std::vector<int>& widths, int batch)
      : x(batch, widths[0]), y(static_cast<std::size_t>(batch)) {
    std::mt19937 random(1);
    for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
      layer& l = layers.emplace_back(widths[i], widths[i + 1], batch);
      const float bound = 1 / std::sqrt(static_cast<float>(widths[i]));
      std::uniform_real_distribution<float> uniform(-bound, bound);
      for (float& w : l.w.values) w = uniform(random);
      for (float& b : l.b.values) b = uniform(random);
    }
  }
  matrix& input(std::size_t i) { return i == 0 ? x : layers[i - 1].a; }
};

// One thread's share of an epoch; returns its share of the summed loss.
double train(network& net, const plexus::dataset& data, const std::vector<int>& order,
             const workload::mlp& work, int thread, barrier& everyone) {
  const std::size_t last = net.layers.size() - 1;
  const int samples = static_cast<int>(order.size());
  double summed_loss = 0;
  for (int first = 0; first < samples; first += work.batch) {
    const int size = std::min(work.batch, samples - first);
    const range rows = share(size, thread);
    for (int r = rows.begin; r < rows.end; ++r) {
      const int sample = order[static_cast<std::size_t>(first + r)];
      std::copy_n(data.inputs.data() + std::ptrdiff_t{sample} * data.features, data.features, net.x.row(r));
      net.y[static_cast<std::size_t>(r)] = data.labels[static_cast<std::size_t>(sample)];
    }
    everyone.wait();
    for (std::size_t i = 0; i < last; ++i) {
      layer& l = net.layers[i];
      forward(l, net.input(i), {0, size}, share(l.a.cols, thread), true);
      everyone.wait();
    }
    layer& output = net.layers[last];
    forward(output, net.input(last), rows, {0, output.a.cols}, false);
    summed_loss += loss(output, net.y, rows, size);
    everyone.wait();
    for (std::size_t i = last + 1; i-- > 0;) {
      layer& l = net.layers[i];
      if (i > 0) {
        backward_input(l, net.input(i), net.layers[i - 1].da, size, share(l.w.cols, thread));
        everyone.wait();  // all have read the weights before anybody changes them
      }
      update(l, net.input(i), size, share(l.a.cols, thread), work.rate);
    }
    everyone.wait();
  }
  return summed_loss;
}

// The outputs of a batch of samples, on one thread.
void infer(network& net, const plexus::dataset& data, int first, int size) {
  std::copy_n(data.inputs.data() + std::ptrdiff_t{first} * data.features, size * data.features, net.x.row(0));
  for (std::size_t i = 0; i < net.layers.size(); ++i) {
    layer& l = net.layers[i];
    forward(l, net.input(i), {0, size}, {0, l.a.cols}, i + 1 < net.layers.size());
  }
}

double accuracy(network& net, const plexus::dataset& data) {
  int right = 0;
  for (int first = 0; first < data.size(); first += net.x.rows) {
    const int size = std::min(net.x.rows, data.size() - first);
    infer(net, data, first, size);
    matrix& a = net.layers.back().a;
    for (int r = 0; r < size; ++r) {
      const auto guess = std::max_element(a.row(r), a.row(r) + a.cols) - a.row(r);
      right += guess == data.labels[static_cast<std::size_t>(first + r)];
    }
  }
  return static_cast<double>(right) / data.size();
}

void run(const workload::mlp& work, const std::string& folder, int repetitions) {
  const auto data = load(folder, "train");
  const auto test = load(folder, "t10k");
  network net(work.widths, work.batch);
  std::vector<int> order(data.labels.size());
  std::iota(order.begin(), order.end(), 0);
  std::mt19937 random(2);
  double summed_loss[threads] = {};
  for (int repetition = 0; repetition <= repetitions; ++repetition) {
    const workload::stopwatch watch;
    std::shuffle(order.begin(), order.end(), random);
    barrier everyone;
    std::thread second([&] { summed_loss[1] = train(net, data, order, work, 1, everyone); });
    summed_loss[0] = train(net, data, order, work, 0, everyone);
    second.join();
    if (repetition > 0) workload::report("seconds", work.name, watch.seconds());  // the first one warms up
  }
  workload::report("loss", work.name, (summed_loss[0] + summed_loss[1]) / data.size());
  workload::report("accuracy", work.name, accuracy(net, test));
}

// One thread's share of the samples, through a network of its own.
void infer(network& net, const plexus::dataset& data, range samples, std::vector<float>& outputs) {
  for (int first = samples.begin; first < samples.end; first += net.x.rows) {
    const int size = std::min(net.x.rows, samples.end - first);
    infer(net, data, first, size);
    const matrix& a = net.layers.back().a;
    std::copy_n(a.values.data(), size * a.cols, outputs.data() + std::ptrdiff_t{first} * a.cols);
  }
}

void time_inference(const workload::mlp& work, const workload::arguments& arguments) {
  const auto data = load(arguments.data, "train");
  network mine(work.widths, work.batch), others(work.widths, work.batch);
  std::vector<float> outputs(static_cast<std::size_t>(data.size()) *
                             static_cast<std::size_t>(work.widths.back()));
  workload::time_calls(work.inference(), arguments.repetitions, 1, [&] {
    std::thread second([&] { infer(others, data, share(data.size(), 1), outputs); });
    infer(mine, data, share(data.size(), 0), outputs);
    second.join();
    workload::keep(outputs);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = workload::parse(argc, argv, workload::mlp_names());
  openblas_set_num_threads(1);  // the threads are ours
  for (const auto& work : {workload::mlp_300, workload::mlp_1024}) {
    if (arguments.wants(work.name)) run(work, arguments.data, arguments.repetitions);
    if (arguments.wants(work.inference())) time_inference(work, arguments);
  }
}
