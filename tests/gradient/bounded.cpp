#include "losses_of_activations.hpp"

TEST_CASE("Gradients of bounded activations under every loss", "[gradient][slow]") {
  combinations::check_activations<combinations::bounded>();
}
