#include "losses_of_activations.hpp"

#include <filesystem>
#include <set>

using namespace combinations;

namespace {

// The last word of a type's name, without its template's arguments.
template <class T>
std::string noun_of() {
  const std::string name = name_of<T>(), whole = name.substr(0, name.find('<'));
  return whole.substr(whole.rfind(':') + 1);
}

// The headers of a folder of the library that hold one noun each.
std::set<std::string> nouns_in(const std::string& folder, const std::set<std::string>& others) {
  std::set<std::string> nouns;
  const auto headers = std::filesystem::path(PLEXUS_TESTS_DIR).parent_path() / "include" / "plexus" / folder;
  for (const auto& header : std::filesystem::directory_iterator(headers)) {
    const std::string noun = header.path().stem().string();
    if (!others.contains(noun)) nouns.insert(noun);
  }
  return nouns;
}

}  // namespace

TEST_CASE("Gradients of rectifiers under every loss", "[gradient][slow]") { check_activations<rectifiers>(); }

TEST_CASE("The gradients of every activation and of every loss are checked", "[gradient]") {
  std::set<std::string> activations, losses;
  const auto add = [&]<class Activation>(std::type_identity<Activation>) {
    activations.insert(noun_of<Activation>());
  };
  for_each_type(bounded{}, add);
  for_each_type(rectifiers{}, add);
  for_each_type(unbounded{}, add);
  activations.erase("swish");  // a user's
  CHECK(activations == nouns_in("activations", {"activation"}));

  for_each_other_loss([&]<class Loss>(const Loss&, targets) { losses.insert(noun_of<Loss>()); });
  losses.insert(noun_of<relative_squared>());
  CHECK(losses == nouns_in("losses", {"loss", "loss_pass", "loss_scaling", "step_watch", "target"}));
}
