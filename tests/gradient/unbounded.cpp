#include "losses_of_activations.hpp"

TEST_CASE("Gradients of unbounded activations under every loss", "[gradient][slow]") {
  combinations::check_activations<combinations::unbounded>();
}
