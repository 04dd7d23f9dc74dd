// The single-sample workloads of ../single.cpp by hand: loops over constant sizes, which the compiler
// unrolls, and cblas_sgemv where a matrix is large.
#include "../workload.hpp"

#include <cblas.h>

#include <array>
#include <cmath>
#include <random>

extern "C" void openblas_set_num_threads(int);

namespace {

template <int In, int Out>
struct layer {
  float w[Out][In];
  float a[Out];
  float delta[Out];

  void forward(const float* x) {
    for (int o = 0; o < Out; ++o) {
      float z = 0;
      for (int i = 0; i < In; ++i) z += w[o][i] * x[i];
      a[o] = 1 / (1 + std::exp(-z));
    }
  }
  // δ of the layer below, before its own σ'.
  void backward(float* dx) const {
    for (int i = 0; i < In; ++i) {
      dx[i] = 0;
      for (int o = 0; o < Out; ++o) dx[i] += w[o][i] * delta[o];
    }
  }
  void times_derivative() {
    for (int o = 0; o < Out; ++o) delta[o] *= a[o] * (1 - a[o]);
  }
  void update(const float* x, float rate) {
    for (int o = 0; o < Out; ++o) {
      for (int i = 0; i < In; ++i) w[o][i] -= rate * delta[o] * x[i];
    }
  }
};

// The network of the lecture's inference slide.
struct lecture_network {
  layer<3, 3> hidden{{{1, -2, 2}, {2, 1, -4}, {1, -1, 0}}, {}, {}};
  layer<3, 2> output{{{-3, 1, -3}, {0, 1, 2}}, {}, {}};

  void predict(const float* x) {
    hidden.forward(x);
    output.forward(hidden.a);
  }
  float step(const float* x, const float* y, float rate) {
    predict(x);
    float loss = 0;
    for (int o = 0; o < 2; ++o) {
      output.delta[o] = output.a[o] - y[o];
      loss += output.delta[o] * output.delta[o] / 2;
    }
    output.times_derivative();
    output.backward(hidden.delta);
    hidden.times_derivative();
    output.update(hidden.a, rate);
    hidden.update(x, rate);
    return loss;
  }
};

void infer_3_3_2(const std::string& name, int repetitions) {
  lecture_network net;
  std::array x{0.5f, 0.9f, -0.3f};
  workload::time_calls(name, repetitions, 5'000'000, [&] {
    workload::keep(x);
    net.predict(x.data());
    workload::keep(net);
  });
}

void train_3_3_2(const std::string& name, int repetitions) {
  lecture_network net;
  std::array x{0.5f, 0.9f, -0.3f};
  std::array y{0.9f, 0.1f};
  float loss = net.step(x.data(), y.data(), 0.1f);
  workload::report("loss", name, loss);
  workload::time_calls(name, repetitions, 5'000'000, [&] {
    workload::keep(x);
    loss = net.step(x.data(), y.data(), 0.1f);
    workload::keep(loss);
  });
  workload::report("loss", name, loss);
}

void infer_784_300_10(const std::string& name, int repetitions) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-0.05f, 0.05f);
  std::vector<float> x(784), w0(300 * 784), b0(300), a0(300), w1(10 * 300), b1(10), a1(10);
  for (auto* values : {&x, &w0, &b0, &w1, &b1}) {
    for (float& value : *values) value = uniform(random);
  }
  workload::time_calls(name, repetitions, 20'000, [&] {
    workload::keep(x);
    a0 = b0;
    cblas_sgemv(CblasRowMajor, CblasNoTrans, 300, 784, 1, w0.data(), 784, x.data(), 1, 1, a0.data(), 1);
    for (float& a : a0) a = std::max(a, 0.0f);
    a1 = b1;
    cblas_sgemv(CblasRowMajor, CblasNoTrans, 10, 300, 1, w1.data(), 300, a0.data(), 1, 1, a1.data(), 1);
    workload::keep(*a1.data());
  });
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = workload::parse(argc, argv, workload::singles);
  openblas_set_num_threads(1);
  const auto run = [&](const std::string& name, auto function) {
    if (arguments.wants(name)) function(name, arguments.repetitions);
  };
  run(workload::infer_3_3_2, infer_3_3_2);
  run(workload::train_3_3_2, train_3_3_2);
  run(workload::function_infer_3_3_2, infer_3_3_2);
  run(workload::function_train_3_3_2, train_3_3_2);
  run(workload::infer_784_300_10, infer_784_300_10);
}
