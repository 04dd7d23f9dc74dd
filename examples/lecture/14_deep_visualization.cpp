// Slide 14, "Deep visualization": images made by optimisation to excite one chosen unit most. Trains LeNet on
// Fashion-MNIST and makes an image for each class, which the network then names, and one for a unit of each
// channel of its second convolution.
//
//   lecture_14_deep_visualization [folder for the pictures]
#include "slide.hpp"
#include "trained_lenet.hpp"

#include <plexus/inspect/activation_maximization.hpp>
#include <plexus/inspect/image_grid.hpp>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

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

// The second convolution gives 8 × 8 positions: what those of its channels near the middle are on average.
constexpr int middle = 4;
std::vector<double> middle_means(lecture::lenet& net, std::span<const float> images) {
  const auto a = net.activations<2>(images);  // (n, 16, 8 × 8)
  std::vector<double> means(16);
  for (std::size_t i = middle * 8 + middle; i < a.size(); i += 64)
    means[i / 64 % 16] += static_cast<double>(a[i]) / (static_cast<double>(a.size()) / (16 * 64));
  return means;
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
    const px::dataset images = fashion_mnist::load(fashion_mnist::usual_folder, "train");
    lecture::train(net, images);

    slide.say("The network names the class of the image that excites the class's output most:");
    slide.columns("class");
    std::vector<float> of_classes, of_channels;
    for (int c = 0; c < 10; ++c) {
      const auto found = px::inspect::maximize_activation<6>(net, px::inspect::unit{c}, how);
      slide.statement("output " + std::to_string(c), fashion_mnist::classes[static_cast<std::size_t>(c)],
                      class_of(net, found[0].values));
      append(of_classes, found[0].values);
    }

    slide.say(
        "Hidden units: the middle of each channel of the second convolution is excited at least twice as\n"
        "much by its image as by clothes, on average of 500:");
    slide.columns("expected");
    const std::vector<double> usual = middle_means(net, std::span(images.inputs).first(500 * 784));
    for (int c = 0; c < 16; ++c) {
      const auto found =
          px::inspect::maximize_activation<2>(net, px::inspect::position{c, middle, middle}, how);
      append(of_channels, found[0].values);
      const double mean = usual[static_cast<std::size_t>(c)], most = static_cast<double>(found[0].activation);
      slide.statement("channel " + std::to_string(c), "at least twice",
                      most >= 2 * mean ? "at least twice" : std::to_string(most / mean) + " times");
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
