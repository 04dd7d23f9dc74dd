// Slide 13, "What ConvNets learn": pictures of the filters of a network's convolutions, "nice and smooth"
// when training converged. Trains LeNet on Fashion-MNIST and leaves pictures from before and after.
//
//   lecture_13_what_convnets_learn [folder for the pictures]
#include "slide.hpp"
#include "trained_lenet.hpp"

#include <plexus/inspect/filters.hpp>

#include <string>

namespace px = plexus;

namespace {

// How alike neighbours in a filter are: the mean product of two neighbouring weights over the mean square,
// each less the filter's mean. About 0 where weights are random, towards 1 where filters are smooth.
double smoothness(const px::inspect::images& filters) {
  const int height = filters.extent.height, width = filters.extent.width, size = filters.extent.area();
  double products = 0, squares = 0;
  int pairs = 0, count = 0;
  for (std::size_t begin = 0; begin < filters.values.size(); begin += static_cast<std::size_t>(size)) {
    const float* const w = filters.values.data() + begin;
    double mean = 0;
    for (int i = 0; i < size; ++i) mean += static_cast<double>(w[i]) / size;
    const auto at = [&](int y, int x) { return static_cast<double>(w[y * width + x]) - mean; };
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        squares += at(y, x) * at(y, x);
        ++count;
        if (y + 1 < height) products += at(y, x) * at(y + 1, x), ++pairs;
        if (x + 1 < width) products += at(y, x) * at(y, x + 1), ++pairs;
      }
    }
  }
  return products / pairs / (squares / count);
}

struct smoothness_of_both {
  double first, second;
};
smoothness_of_both measure(const lecture::lenet& net) {
  return {smoothness(px::inspect::filter_weights(net.layer<0>())),
          smoothness(px::inspect::filter_weights(net.layer<2>()))};
}

void show_pictures(lecture::lenet& net, std::span<const float> image, const std::filesystem::path& folder,
                   const std::string& when) {
  lecture::show(px::inspect::filters(net.layer<0>(), {.scale = 16}), folder / ("filters_1_" + when + ".png"));
  lecture::show(px::inspect::filters(net.layer<2>()), folder / ("filters_2_" + when + ".png"));
  lecture::show(px::inspect::feature_maps<0>(net, image, {.scale = 4}),
                folder / ("feature_maps_" + when + ".png"));
}

std::string compare(double value, double bound) {
  char text[64];
  std::snprintf(text, sizeof text, "%.2f %s %.2f", value, value > bound ? ">" : "<", bound);
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    lecture::slide slide("Slide 13: What ConvNets learn");
    fashion_mnist::require_data(fashion_mnist::usual_folder);
    const auto folder = lecture::picture_folder(argc, argv);
    const px::dataset images = fashion_mnist::load(fashion_mnist::usual_folder, "train");
    lecture::lenet net{px::seed{42}};

    slide.say(
        "Filters of both convolutions (a row for each filter of the second, a tile for each channel that it\n"
        "sees), and what the first one makes of an ankle boot, before training and after it:");
    const auto boot = std::span(images.inputs).first(lecture::lenet::input_size);
    const smoothness_of_both before = measure(net);
    show_pictures(net, boot, folder, "before");
    lecture::train(net, images);
    const smoothness_of_both after = measure(net);
    show_pictures(net, boot, folder, "after");

    slide.say("How smooth they are: the correlation of neighbouring weights");
    slide.columns("expected");
    const auto rises = [&](const std::string& what, double from, double to, double at_least) {
      slide.statement(what + ", before", "about 0", std::abs(from) < 0.1 ? "about 0" : compare(from, 0.1));
      const std::string expected = "> " + std::to_string(at_least).substr(0, 4);
      slide.statement(what + ", after", expected, to > at_least ? expected : compare(to, at_least));
      std::printf("  %.3f -> %.3f\n", from, to);
    };
    rises("first convolution", before.first, after.first, 0.2);
    rises("second convolution", before.second, after.second, 0.1);
    return slide.result();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
