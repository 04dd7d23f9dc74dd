// What every whole-workload program shares: its command line, its workloads, and the lines that scripts/bench
// reads:
//   seconds <workload> <value>     once a repetition: an epoch, or one call of a single-sample workload
//   operations <workload> <value>  of one repetition, where a share of the machine's peak is of interest
//   accuracy <workload> <value>    after training, so that nobody is quick by training nothing
#pragma once

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace workload {

// Training a network on Fashion-MNIST, and inference of all its training images.
struct training {
  std::string name;
  int batch;
  float rate;
  double all_layers, first_layer;  // multiply-adds of products and convolutions, for one sample forward

  // Of a training epoch (a multiply-add being two): forward, and the gradients of the weights and of the
  // inputs, but for the first layer's inputs. Inference takes the first of these.
  double training_operations(int samples) const { return 2.0 * samples * (3 * all_layers - first_layer); }
  double inference_operations(int samples) const { return 2.0 * samples * all_layers; }
  std::string inference() const { return name + "-infer"; }
  std::string in_bf16() const { return name + "-bf16"; }  // training in mixed precision
};

struct mlp : training {
  std::vector<int> widths;

  mlp(const std::string& n, const std::vector<int>& w, int b, float r)
      : training{n, b, r, std::inner_product(w.begin() + 1, w.end(), w.begin(), 0.0), 1.0 * w[0] * w[1]},
        widths(w) {}
};

inline const mlp mlp_300{"mlp-784-300-10", {784, 300, 10}, 64, 0.1f};
inline const mlp mlp_1024{"mlp-784-1024-1024-10", {784, 1024, 1024, 10}, 256, 0.1f};

// 1x28x28, 5x5 filters to 6x24x24, pooled to 6x12x12, 5x5 filters to 16x8x8, pooled to 256, 120, 84, 10.
inline constexpr double lenet_first = 6 * 24 * 24 * 25;
inline const training lenet{"lenet", 64, 0.1f,
                            lenet_first + 16 * 8 * 8 * 150 + 256 * 120 + 120 * 84 + 84 * 10, lenet_first};

inline std::vector<std::string> mlp_names() {
  return {mlp_300.name, mlp_1024.name, mlp_1024.in_bf16(), mlp_300.inference(), mlp_1024.inference()};
}
inline std::vector<std::string> lenet_names() { return {lenet.name, lenet.inference()}; }

inline const std::string infer_3_3_2 = "single-3-3-2-infer";
inline const std::string train_3_3_2 = "single-3-3-2-train";
inline const std::string function_infer_3_3_2 = "single-3-3-2-function-infer";
inline const std::string function_train_3_3_2 = "single-3-3-2-function-train";
inline const std::string infer_784_300_10 = "single-784-300-10-infer";
inline const std::vector<std::string> singles{infer_3_3_2, train_3_3_2, function_infer_3_3_2,
                                              function_train_3_3_2, infer_784_300_10};

struct arguments {
  std::string data = "/usr/share/datasets/fashion-mnist";
  int repetitions = 3;
  std::string policy;  // of the matrix products; empty: the library's default
  std::vector<std::string> chosen;

  bool wants(const std::string& name) const {
    return chosen.empty() || std::find(chosen.begin(), chosen.end(), name) != chosen.end();
  }
};

inline arguments parse(int argc, char** argv, const std::vector<std::string>& workloads) {
  arguments result;
  CLI::App app;
  app.add_option("--data", result.data, "folder of the four Fashion-MNIST files")->capture_default_str();
  app.add_option("--repetitions", result.repetitions)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--policy", result.policy, "who multiplies matrices")
      ->check(CLI::IsMember({"native", "vendor"}));
  app.add_option("workload", result.chosen, "which to run; all where none is named")
      ->check(CLI::IsMember(workloads));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return result;
}

class stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(clock::now() - begin_).count(); }

 private:
  using clock = std::chrono::steady_clock;
  clock::time_point begin_ = clock::now();
};

inline void report(const char* what, const std::string& name, double value) {
  std::printf("%s %s %.9g\n", what, name.c_str(), value);
  std::fflush(stdout);
}

// Makes the compiler believe that `value` is read and changed, so that no call is moved out of a timing loop.
template <class T>
void keep(T& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

// Times `calls` calls of function() for each repetition, after a warm-up.
template <class Function>
void time_calls(const std::string& name, int repetitions, int calls, Function&& function) {
  for (int i = 0; i < calls / 10 + 1; ++i) function();
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    const stopwatch watch;
    for (int i = 0; i < calls; ++i) function();
    report("seconds", name, watch.seconds() / calls);
  }
}

}  // namespace workload
