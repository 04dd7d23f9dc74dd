// Slide 5, "How good is our network?": the quadratic cost C(w, b) = 1/(2n) Σₓ ‖y(x) − a‖², smooth, unlike the
// number of correct answers.
#include "slide.hpp"
#include "three_three_two.hpp"

#include <algorithm>

namespace px = plexus;

namespace {

// The point at `share` of the way from one set of weights to another.
std::vector<float> between(const std::vector<float>& from, const std::vector<float>& to, float share) {
  std::vector<float> result = from;
  for (std::size_t i = 0; i < from.size(); ++i) result[i] += share * (to[i] - from[i]);
  return result;
}

}  // namespace

int main() {
  lecture::slide slide("Slide 5: How good is our network?");
  const px::dataset data = lecture::training_set(16);
  auto net = lecture::slide_network();

  slide.say("From the slide's weights straight to the ones that made the training set:");
  slide.columns("cost by hand");
  constexpr int moves = 20;
  double largest_change = 0, cost_before = 0;
  std::vector<int> all_correct;
  for (int move = 0; move <= moves; ++move) {
    const float share = static_cast<float>(move) / moves;
    const auto hidden = between(lecture::hidden_weights, lecture::teacher_hidden_weights, share);
    const auto output = between(lecture::output_weights, lecture::teacher_output_weights, share);
    lecture::set_weights(net, 0, hidden);
    lecture::set_weights(net, 1, output);

    const auto judged = px::evaluate(net, data, px::quadratic{});
    all_correct.push_back(static_cast<int>(std::lround(judged.accuracy * data.size())));
    char what[64];
    std::snprintf(what, sizeof what, "at %3d%%: %2d of 16 correct, cost", 100 * move / moves,
                  all_correct.back());
    slide.exact(what, lecture::quadratic_cost(lecture::by_hand(hidden, output), data), judged.loss);
    if (move > 0) largest_change = std::max(largest_change, std::abs(judged.loss - cost_before));
    cost_before = judged.loss;
  }

  slide.say("Which of the two says where to go?");
  slide.columns();
  const bool correct_says_nothing = all_correct[0] == all_correct[1] && all_correct[1] == all_correct[2];
  slide.statement("cost: no step of it is above 0.03", "yes", largest_change < 0.03 ? "yes" : "no");
  slide.statement("cost of the weights that are right", "0.00", cost_before < 1e-6 ? "0.00" : "more");
  slide.statement("correct answers: first three steps", "the same",
                  correct_says_nothing ? "the same" : "change");
  slide.statement("correct answers in the end", "16", std::to_string(all_correct.back()));
  return slide.result();
}
