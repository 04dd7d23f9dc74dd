// The one main() of the tests, where Catch2 does not bring its own.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
