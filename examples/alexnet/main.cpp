// AlexNet (A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional neural
// networks", 2012): what it consists of, one image through it, some steps of training on that image, and
// weights that PyTorch has saved.
#include <plexus/io/safetensors.hpp>
#include <plexus/plexus.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

namespace px = plexus;

namespace {

// The paper's constants, whose alpha is not divided by the window's five channels.
using normalization = px::local_response_norm<5, px::lrn{.alpha = 5e-4f, .beta = 0.75f, .k = 2}>;

// The paper's two GPUs are the groups of 2. Its dropout is left out.
using alexnet =
    px::network<px::image<3, 227, 227>, px::conv2d<96, 11, px::relu, px::stride<4>>, normalization,
                px::max_pool<3, px::stride<2>>, px::conv2d<256, 5, px::relu, px::same, px::groups<2>>,
                normalization, px::max_pool<3, px::stride<2>>, px::conv2d<384, 3, px::relu, px::same>,
                px::conv2d<384, 3, px::relu, px::same, px::groups<2>>,
                px::conv2d<256, 3, px::relu, px::same, px::groups<2>>, px::max_pool<3, px::stride<2>>,
                px::dense<4096, px::relu>, px::dense<4096, px::relu>, px::dense<1000>>;

static_assert(alexnet::parameter_count == 60965224);

struct options {
  std::filesystem::path image, weights, expected;
  int steps = 5;
  float rate = 1e-4f;
  int label = 7;
  std::uint64_t seed = 42;
};

// ---- What it consists of

template <std::size_t L>
void print_layer() {
  using shape = typename alexnet::layer_type<L>::output_shape;
  using image = px::image_traits<shape>;
  std::size_t parameters = 0;
  for (const px::parameter_spec& spec : alexnet::layer_type<L>::parameters) parameters += spec.size();
  const std::string outputs = image::is_image ? std::to_string(image::channels) + " × " +
                                                    std::to_string(image::extent.height) + " × " +
                                                    std::to_string(image::extent.width)
                                              : std::to_string(shape::size);
  std::printf("layer %2zu: %10zu parameters, outputs %s\n", L + 1, parameters, outputs.c_str());
}

void print_layers() {
  [&]<std::size_t... L>(std::index_sequence<L...>) { (print_layer<L>(), ...); }
  (std::make_index_sequence<alexnet::layer_count>{});
  std::printf("AlexNet: %zu layers, %zu parameters; on the %s\n", alexnet::layer_count,
              alexnet::parameter_count, px::platform::on_cpu ? "CPU" : "GPU");
}

// ---- The image

std::vector<float> made_image(std::uint64_t seed) {
  std::vector<float> image(alexnet::input_size);
  const px::random_stream random{seed, 1};
  for (std::size_t i = 0; i < image.size(); ++i) image[i] = random.normal(i);
  return image;
}

std::vector<float> read_image(const std::filesystem::path& path) {
  const std::string doing = "reading the image " + px::quoted(path),
                    remedy = "give 3 × 227 × 227 floats of 32 bits, channel by channel, row by row";
  std::vector<float> image(alexnet::input_size);
  const auto size = static_cast<std::streamsize>(image.size() * sizeof(float));
  std::ifstream file(path, std::ios::binary);
  if (!file) throw px::error(doing, "it cannot be opened", remedy);
  file.read(reinterpret_cast<char*>(image.data()), size);
  if (file.gcount() != size || file.peek() != std::ifstream::traits_type::eof())
    throw px::error(doing, "it does not have " + std::to_string(size) + " bytes", remedy);
  return image;
}

// What PyTorch was given and what it gave.
struct example {
  std::vector<float> x, output;

  explicit example(const std::filesystem::path& path) {
    for (const px::stored_tensor& tensor : px::read_safetensors(path).tensors) {
      std::vector<float>* const values = tensor.name == "x"        ? &x
                                         : tensor.name == "output" ? &output
                                                                   : nullptr;
      if (values == nullptr || tensor.dtype != "F32") continue;
      values->resize(tensor.data.size() / sizeof(float));
      std::memcpy(values->data(), tensor.data.data(), tensor.data.size());
    }
    if (x.size() == alexnet::input_size && output.size() == alexnet::output_size) return;
    throw px::error("reading the example " + px::quoted(path),
                    "it has no image x and output of AlexNet's in F32",
                    "give a file made by examples/alexnet/pytorch_weights.py");
  }
};

// ---- What it does

template <class Work>
double milliseconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

// The first pass makes the memory; the second is the one that counts.
std::vector<float> infer(alexnet& net, const std::vector<float>& image) {
  std::vector<float> logits;
  const auto pass = [&] { logits = net.predict(image, 1); };
  const double first = milliseconds(pass), second = milliseconds(pass);
  std::printf("one image: %.1f ms, the first time %.1f ms\n", second, first);
  return logits;
}

void print_largest(const std::vector<float>& logits) {
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::partial_sort(order, order.begin() + 5,
                            [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  std::printf("largest outputs:");
  for (std::size_t i = 0; i < 5; ++i)
    std::printf("  class %zu %.6f", order[i], static_cast<double>(logits[order[i]]));
  std::printf("\n");
}

// Whether the outputs are the expected ones: each within 3e-5 of the larger of itself and the outputs' root
// mean square, which leaves room for the order of sums of up to 9216 products.
bool compare(const std::vector<float>& logits, const std::vector<float>& expected) {
  double squares = 0, worst = 0;
  for (const float value : expected) squares += static_cast<double>(value) * static_cast<double>(value);
  const double scale = std::sqrt(squares / static_cast<double>(expected.size()));
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double wanted = static_cast<double>(expected[i]);
    const double error =
        std::abs(static_cast<double>(logits[i]) - wanted) / std::max(std::abs(wanted), scale);
    worst = std::isnan(error) ? INFINITY : std::max(worst, error);
  }
  const bool agree = worst <= 3e-5;
  std::printf("%s PyTorch's outputs: largest relative difference %.2g\n",
              agree ? "agrees with" : "differs from", worst);
  return agree;
}

// Whether the loss on the image falls.
bool train(alexnet& net, const std::vector<float>& image, const options& chosen) {
  const std::vector<int> labels{chosen.label};
  std::vector<double> losses, times;
  for (int step = 0; step < chosen.steps; ++step) {
    net.reset_totals();
    times.push_back(milliseconds([&] {
      net.step(std::span<const float>(image), std::span<const int>(labels), px::softmax_cross_entropy{},
               px::sgd{.rate = chosen.rate});
      losses.push_back(net.totals().loss);  // waits for the device
    }));
    std::printf("step %d: %.1f ms, loss before it %.6f\n", step + 1, times.back(), losses.back());
  }
  const auto x = px::to_device(net.stream(), image);
  const auto y = px::to_device(net.stream(), labels);
  net.reset_totals();
  net.judge(px::matrix<const float>(x.data(), 1, alexnet::input_size), px::target_view{y.data(), nullptr, 0},
            px::softmax_cross_entropy{});
  losses.push_back(net.totals().loss);
  const bool fell = losses.back() < losses.front();
  std::printf("loss on this image: %.6f before, %.6f after %d steps%s\n", losses.front(), losses.back(),
              chosen.steps, fell ? "" : ": it has not fallen, choose another --rate");
  return fell;
}

bool run(const options& chosen) {
  print_layers();
  alexnet net{px::seed{chosen.seed}};
  if (!chosen.weights.empty()) {
    const double time = milliseconds([&] { px::load(net, chosen.weights); });
    std::printf("weights of %s: loaded in %.0f ms\n", chosen.weights.c_str(), time);
  }
  std::optional<example> expected;
  if (!chosen.expected.empty()) expected.emplace(chosen.expected);
  const std::vector<float> image = expected               ? expected->x
                                   : chosen.image.empty() ? made_image(chosen.seed)
                                                          : read_image(chosen.image);
  const std::vector<float> logits = infer(net, image);
  print_largest(logits);
  if (expected && !compare(logits, expected->output)) return false;
  return chosen.steps == 0 || train(net, image, chosen);
}

}  // namespace

int main(int argc, char** argv) {
  options chosen;
  CLI::App app("AlexNet: infers one image and trains on it.");
  CLI::Option* const image =
      app.add_option("--image", chosen.image,
                     "file of 3 × 227 × 227 raw floats, channel by channel; a made one unless "
                     "given");
  app.add_option("--weights", chosen.weights, "safetensors file of PyTorch's nn.Sequential");
  app.add_option("--expected", chosen.expected,
                 "safetensors file of an image x and the outputs that the weights give: compares")
      ->excludes(image);
  app.add_option("--steps", chosen.steps, "of training on the image")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  app.add_option("--rate", chosen.rate, "learning rate")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--label", chosen.label, "the image's class")
      ->check(CLI::Range(0, alexnet::output_size - 1))
      ->capture_default_str();
  app.add_option("--seed", chosen.seed, "of the first weights and of the made image")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return run(chosen) ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
