// A trained network embedded in a program that only infers. It includes <plexus/inference.hpp>, and no loss,
// optimiser or kernel of training is compiled into it, which a test asserts by the program's symbols.
//
// fashion_mnist.safetensors has the weights: 12 epochs of inference_only_train.
//
//   inference_only [weights.safetensors]
#include "network.hpp"

#include <plexus/inference.hpp>
#include <plexus/io/safetensors.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <span>
#include <vector>

namespace px = plexus;

namespace {

using network = inference_only::network;

std::size_t class_of(std::span<const float> outputs) {
  return static_cast<std::size_t>(std::ranges::max_element(outputs) - outputs.begin());
}

// As a batch, and as a single image, which is what a program gets that waits for its camera.
std::vector<float> predict_all(network& net, const px::dataset& images) {
  return net.predict(images.inputs, images.size());
}

std::vector<float> predict_singly(network& net, const px::dataset& images, int count) {
  std::vector<float> all;
  for (int i = 0; i < count; ++i) {
    const auto pixels = std::span(images.inputs)
                            .subspan(static_cast<std::size_t>(i) * network::input_size, network::input_size);
    const auto outputs = net.predict(pixels);
    all.insert(all.end(), outputs.begin(), outputs.end());
  }
  return all;
}

// Microseconds that predict() takes for each sample, once it has its memory; its outputs go to `outputs`.
template <class Predict>
double microseconds(int samples, const Predict& predict, std::vector<float>& outputs) {
  using clock = std::chrono::steady_clock;
  predict();
  const clock::time_point begin = clock::now();
  outputs = predict();
  return std::chrono::duration<double, std::micro>(clock::now() - begin).count() / samples;
}

double accuracy(const std::vector<float>& outputs, const px::dataset& images) {
  int right = 0;
  for (std::size_t i = 0; i < images.labels.size(); ++i) {
    const auto of_image = std::span(outputs).subspan(i * network::output_size, network::output_size);
    right += class_of(of_image) == static_cast<std::size_t>(images.labels[i]);
  }
  return static_cast<double>(right) / images.size();
}

bool run(const char* weights) {
  const px::dataset images = inference_only::load_images(fashion_mnist::usual_folder, "t10k");
  network net;
  px::load(net, weights);

  constexpr int single = 1000;
  std::vector<float> outputs, of_single;
  const double in_batches = microseconds(
      images.size(), [&] { return predict_all(net, images); }, outputs);
  const double one_by_one = microseconds(
      single, [&] { return predict_singly(net, images, single); }, of_single);

  std::printf("the first image: %s\n",
              fashion_mnist::classes[class_of(std::span(outputs).first(network::output_size))]);
  std::printf("time per image: %.1f µs in batches, %.1f µs one by one\n", in_batches, one_by_one);
  std::printf("accuracy on %d images: %.2f%%\n", images.size(), 100 * accuracy(outputs, images));
  for (std::size_t i = 0; i < of_single.size(); ++i) {
    if (std::abs(of_single[i] - outputs[i]) < 1e-3f) continue;
    std::fprintf(stderr, "inference_only: image %zu gives other outputs by itself than in a batch\n",
                 i / network::output_size);
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) try {
  return run(argc > 1 ? argv[1] : "examples/inference_only/fashion_mnist.safetensors") ? 0 : 1;
} catch (const px::error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
