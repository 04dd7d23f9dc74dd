// What it costs to train from mapped files, or from host memory, rather than from the device's memory: epochs
// of each in turn, so that whatever else the machine does meets all alike.
#include "networks.hpp"
#include "training.hpp"

#include <plexus/data/dataset_source.hpp>
#include <plexus/data/mapped_idx.hpp>

#include <cstddef>
#include <filesystem>
#include <span>
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

// Two epochs; the one before them warms up.
template <class Network, class Data>
void train(const workload::training& work, const std::string& from, Network& net, const Data& data) {
  const px::history history = px::fit(net, data, px::softmax_cross_entropy{}, px::sgd{.rate = work.rate},
                                      {.epochs = 3, .batch = work.batch});
  for (std::size_t epoch = 1; epoch < 3; ++epoch) {
    workload::report("seconds", work.name + "-" + from, history.epochs[epoch].seconds);
  }
  workload::report("loss", work.name + "-" + from, history.epochs.back().loss);  // the same from all
}

template <class Network>
void compare(const workload::training& work, const workload::arguments& arguments, const px::dataset& data,
             const px::batch_source& mapped) {
  if (!arguments.wants(work.name)) return;
  Network from_device{px::seed{1}}, from_host{px::seed{1}}, from_file{px::seed{1}};
  const px::dataset_source on_host(data);
  for (int i = 0; i < arguments.repetitions; ++i) {
    train(work, "device", from_device, data);
    train(work, "host", from_host, on_host);
    train(work, "mapped", from_file, mapped);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = workload::parse(argc, argv, {workload::mlp_300.name, workload::lenet.name});
  const fs::path folder = arguments.data;
  const fs::path labels = folder / "train-labels-idx1-ubyte.gz";
  const unpacked_file images(folder / "train-images-idx3-ubyte.gz");
  const px::dataset data = workload::load(arguments.data, "train");
  const px::mapped_source mapped = px::map_idx(images.path(), labels);
  compare<workload::mlp_300_network>(workload::mlp_300, arguments, data, mapped);
  compare<workload::lenet_network>(workload::lenet, arguments, data, mapped);
}
