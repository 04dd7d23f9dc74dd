// Slide 14, "Deep visualization": images made by optimisation to excite one chosen unit most. Trains LeNet on
// Fashion-MNIST and makes an image for each class, which the network then names, and one for each channel of
// its second convolution.
//
//   lecture_14_deep_visualization [folder for the pictures]
#include "slide.hpp"
#include "trained_lenet.hpp"

#include <plexus/inspect/activation_maximization.hpp>
#include <plexus/inspect/image_grid.hpp>

#include <algorithm>
#include <numeric>
#include <string>

namespace px = plexus;

namespace {

// Blurred and with a dark background, as clothes are.
const px::inspect::maximization how{
    .prior = {.decay = 0.03f, .blur = 1.5f, .blur_every = 4, .clip_norm = 30}, .lowest = 0, .highest = 1};

std::string class_of(lecture::lenet& net, const std::vector<float>& image) {
  const auto outputs = net.predict(image);
  const auto largest = std::max_element(outputs.begin(), outputs.end()) - outputs.begin();
  return fashion_mnist::classes[static_cast<std::size_t>(largest)];
}

void append(std::vector<float>& all, const std::vector<float>& image) {
  all.insert(all.end(), image.begin(), image.end());
}

void show(std::vector<float> all, int columns, const std::filesystem::path& path) {
  lecture::show(px::inspect::draw_grid({1, px::extent2d(28), std::move(all)},
                                       px::inspect::shading::least_to_most, {.columns = columns, .scale = 4}),
                path);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    lecture::slide slide("Slide 14: Deep visualization");
    fashion_mnist::require_data(fashion_mnist::usual_folder);
    const auto folder = lecture::picture_folder(argc, argv);
    lecture::lenet net{px::seed{42}};
    lecture::train(net, fashion_mnist::load(fashion_mnist::usual_folder, "train"));

    slide.say("The network names the class of the image that excites the class's output most:");
    slide.columns("class");
    std::vector<float> of_classes, of_channels;
    for (int c = 0; c < 10; ++c) {
      const auto found = px::inspect::maximize_activation<6>(net, px::inspect::unit{c}, how);
      slide.statement("output " + std::to_string(c), fashion_mnist::classes[static_cast<std::size_t>(c)],
                      class_of(net, found[0].values));
      append(of_classes, found[0].values);
    }

    slide.say("An image excites its channel of the second convolution more than any of the 15 others does:");
    slide.columns("expected");
    for (int c = 0; c < 16; ++c)
      append(of_channels, px::inspect::maximize_activation<2>(net, px::inspect::channel{c}, how)[0].values);
    const auto channels = net.activations<2>(of_channels);  // (16 images, 16 channels, 8 × 8)
    const auto mean = [&](int image, int channel) {
      const auto begin = channels.begin() + (image * 16 + channel) * 64;
      return std::accumulate(begin, begin + 64, 0.0) / 64;
    };
    for (int c = 0; c < 16; ++c) {
      int most = 0;
      for (int image = 1; image < 16; ++image) most = mean(image, c) > mean(most, c) ? image : most;
      slide.statement("channel " + std::to_string(c), "image " + std::to_string(c),
                      "image " + std::to_string(most));
    }

    slide.say("Pictures:");
    show(of_classes, 5, folder / "classes.png");
    show(of_channels, 8, folder / "channels.png");
    return slide.result();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
