#include <plexus/io/checkpoints.hpp>
#include <plexus/plexus.hpp>

#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/files.hpp"

namespace px = plexus;

namespace {

using network = px::network<px::input<5>, px::dense<7, px::tanh>, px::dense<3>>;

const px::dataset data = support::largest_feature(50, 5, 3);

px::history train(network& net, const px::fit_options& options) {
  return px::fit(net, data, px::softmax_cross_entropy{}, px::adam{}, options);
}

}  // namespace

TEST_CASE("Checkpoints are written every so many epochs of the network's life", "[io]") {
  const support::temporary_folder folder;
  network net{px::seed{1}}, from_file{px::seed{2}}, twin{px::seed{1}};
  train(net, {.epochs = 1, .batch = 10});
  train(net, {.epochs = 6, .batch = 10, .on_epoch = px::checkpoints(net, folder / "checkpoint", 3)});
  px::load_checkpoint(from_file, folder / "checkpoint");
  CHECK(from_file.training_state().epoch == 6);
  train(twin, {.epochs = 6, .batch = 10});
  CHECK(support::parameter_values(from_file) == support::parameter_values(twin));
}
