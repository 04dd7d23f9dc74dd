// What it costs to train from a mapped file, or from host memory, rather than from the device's memory:
// epochs of each in turn, in each repetition another one first, so that whatever else the machine does meets
// all alike. The mapped file has just been written: it is read from the page cache, and no disk is measured.
//
//   seconds <workload>-<place> <value>                            twice a repetition
//   RATIO <workload>-<place> <workload>-device <one ÷ the other>  of the shortest times
//
// Fails where the losses are not the same from everywhere, bit for bit.
#include "networks.hpp"
#include "training.hpp"

#include <plexus/data/dataset_source.hpp>
#include <plexus/data/mapped_idx.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

namespace px = plexus;
namespace fs = std::filesystem;

namespace {

// The unpacked bytes of a file, in a file of their own that goes with its owner.
class unpacked_file {
 public:
  explicit unpacked_file(const fs::path& packed)
      : path_(fs::temp_directory_path() / ("plexus-" + std::to_string(::getpid()) + "-images")) {
    px::byte_source file(packed, "unpacking " + px::quoted(packed));
    px::unzipped_source bytes(file);
    px::atomic_file to(path_, "unpacking to " + px::quoted(path_));
    std::vector<std::byte> chunk(std::size_t{1} << 20);
    while (const std::size_t got = bytes.read(chunk)) to.write(std::span(chunk).first(got));
    to.commit();
  }
  unpacked_file(const unpacked_file&) = delete;
  unpacked_file& operator=(const unpacked_file&) = delete;
  ~unpacked_file() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Trains one network from one of the places that the samples lie in.
struct entrant {
  std::string name;
  std::function<px::history()> train{};
  double shortest = std::numeric_limits<double>::infinity();  // seconds of an epoch
  double loss = 0;                                            // of the last epoch

  // Two epochs; the one before them warms up.
  void run() {
    const px::history history = train();
    for (std::size_t epoch = 1; epoch < 3; ++epoch) {
      workload::report("seconds", name, history.epochs[epoch].seconds);
      shortest = std::min(shortest, history.epochs[epoch].seconds);
    }
    loss = history.epochs.back().loss;
    workload::report("loss", name, loss);
  }
};

template <class Network>
void compare(const workload::training& work, const workload::arguments& arguments, const px::dataset& data,
             const px::batch_source& mapped) {
  if (!arguments.wants(work.name)) return;
  const auto entrant_of = [&](const std::string& place, const auto& samples) {
    const auto net = std::make_shared<Network>(px::seed{1}, workload::policy_of(arguments));
    return entrant{work.name + "-" + place, [&, net] {
                     return px::fit(*net, samples, px::softmax_cross_entropy{}, px::sgd{.rate = work.rate},
                                    {.epochs = 3, .batch = work.batch});
                   }};
  };
  const px::dataset_source in_host_memory(data);
  entrant device = entrant_of("device", data), host = entrant_of("host", in_host_memory),
          file = entrant_of("mapped", mapped);
  std::vector<entrant*> turns{&device, &host, &file};
  for (int i = 0; i < arguments.repetitions; ++i) {
    for (entrant* one : turns) one->run();
    std::rotate(turns.begin(), turns.begin() + 1, turns.end());
    if (host.loss != device.loss || file.loss != device.loss) {
      throw std::runtime_error(work.name + ": the same samples have given other losses");
    }
  }
  for (const entrant* one : {&host, &file}) {
    std::printf("RATIO %s %s %.3f\n", one->name.c_str(), device.name.c_str(),
                one->shortest / device.shortest);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const auto arguments = workload::parse(argc, argv, {workload::mlp_300.name, workload::lenet.name});
  const fs::path folder = arguments.data;
  const fs::path labels = folder / "train-labels-idx1-ubyte.gz";
  const unpacked_file images(folder / "train-images-idx3-ubyte.gz");
  const px::dataset data = workload::load(arguments.data, "train");
  const px::mapped_source mapped = px::map_idx(images.path(), labels);
  compare<workload::mlp_300_network>(workload::mlp_300, arguments, data, mapped);
  compare<workload::lenet_network>(workload::lenet, arguments, data, mapped);
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
