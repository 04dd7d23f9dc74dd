// One sample at a time, through predict() and step(), and through the network's function.
#include "workload.hpp"

#include <plexus/plexus.hpp>

#include <array>

namespace px = plexus;

namespace {

using lecture_network =
    px::network<px::input<3>, px::dense<3, px::sigmoid, px::no_bias>, px::dense<2, px::sigmoid, px::no_bias>>;

lecture_network make_lecture_network() {
  lecture_network net;
  const std::vector<float> weights[] = {{1, -2, 2, 2, 1, -4, 1, -1, 0}, {-3, 1, -3, 0, 1, 2}};
  for (std::size_t i = 0; i < 2; ++i) {
    px::copy_to_device<float>(net.stream(), net.parameters()[i].values.data, weights[i]);
  }
  return net;
}

void infer_3_3_2(const std::string& name, int repetitions) {
  lecture_network net = make_lecture_network();
  std::array x{0.5f, 0.9f, -0.3f};
  workload::time_calls(name, repetitions, 200'000, [&] {
    workload::keep(x);
    auto y = net.predict(x);
    workload::keep(y);
  });
}

void train_3_3_2(const std::string& name, int repetitions) {
  lecture_network net = make_lecture_network();
  const std::array x{0.5f, 0.9f, -0.3f};
  const std::array y{0.9f, 0.1f};
  const auto step = [&] {
    net.step(std::span<const float>(x), std::span<const float>(y), px::quadratic{}, px::sgd{.rate = 0.1f});
  };
  const auto loss_of_step = [&] {
    net.reset_totals();
    step();
    return net.totals().loss;
  };
  workload::report("loss", name, loss_of_step());
  workload::time_calls(name, repetitions, 50'000, step);
  workload::report("loss", name, loss_of_step());
}

void function_infer_3_3_2(const std::string& name, int repetitions) {
  const lecture_network net = make_lecture_network();
  const auto f = net.function_by_value();
  auto x = decltype(f)::input::from({0.5f, 0.9f, -0.3f});
  workload::time_calls(name, repetitions, 5'000'000, [&] {
    workload::keep(x);
    auto y = f(x);
    workload::keep(y);
  });
}

// Forward, gradients and an update of the weights, which lie in host memory.
void function_train_3_3_2(const std::string& name, int repetitions) {
  lecture_network net = make_lecture_network();
  std::vector<float> weights = px::to_host(
      net.stream(), px::view<float>{net.parameters().front().values.data, lecture_network::layout::size});
  const auto f = lecture_network::function_of(weights.data());
  using function = decltype(f);
  auto x = function::input::from({0.5f, 0.9f, -0.3f});
  const auto y = function::output::from({0.9f, 0.1f});
  float loss = 0;
  const auto slope = [&](const auto& a) {
    const auto d = function::output::from({a[0] - y[0], a[1] - y[1]});
    loss = (d[0] * d[0] + d[1] * d[1]) / 2;
    return d;
  };
  const auto step = [&] {
    workload::keep(x);
    f.gradient(x, slope, [&](std::size_t i, float gradient) { weights[i] -= 0.1f * gradient; });
    workload::keep(loss);
  };
  step();
  workload::report("loss", name, loss);
  workload::time_calls(name, repetitions, 5'000'000, step);
  workload::report("loss", name, loss);
}

void infer_784_300_10(const std::string& name, int repetitions) {
  px::network<px::input<784>, px::dense<300, px::relu>, px::dense<10>> net{px::seed{1}};
  std::array<float, 784> x;
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = px::random_stream{1, 2}.uniform(i);
  workload::time_calls(name, repetitions, 5'000, [&] {
    workload::keep(x);
    auto y = net.predict(x);
    workload::keep(y);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = workload::parse(argc, argv, workload::singles);
  const auto run = [&](const std::string& name, auto function) {
    if (arguments.wants(name)) function(name, arguments.repetitions);
  };
  run(workload::infer_3_3_2, infer_3_3_2);
  run(workload::train_3_3_2, train_3_3_2);
  run(workload::function_infer_3_3_2, function_infer_3_3_2);
  run(workload::function_train_3_3_2, function_train_3_3_2);
  run(workload::infer_784_300_10, infer_784_300_10);
}
