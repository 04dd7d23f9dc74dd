#include <plexus/io/history.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

namespace px = plexus;

TEST_CASE("A history is saved as a table, with the shortest digits that are its numbers", "[io]") {
  px::history past;
  past.epochs.push_back({.epoch = 1, .loss = 0.5, .accuracy = NAN, .seconds = 2, .samples_per_second = 1e-3});
  past.epochs.push_back({.epoch = 2,
                         .loss = 0.1,
                         .accuracy = 0.75,
                         .validation_loss = 0.25,
                         .validation_accuracy = 1,
                         .seconds = 3,
                         .samples_per_second = 20000,
                         .skipped_steps = 4,
                         .non_finite_steps = 5,
                         .rate_factor = 0.25});
  const support::temporary_folder folder;
  px::save_history(past, folder / "history.csv");
  CHECK(support::read_file(folder / "history.csv") ==
        "epoch,loss,accuracy,validation_loss,validation_accuracy,seconds,samples_per_second,skipped_steps,"
        "non_finite_steps,rate_factor\n"
        "1,0.5,,,,2,0.001,0,0,1\n"
        "2,0.1,0.75,0.25,1,3,20000,4,5,0.25\n");
}
