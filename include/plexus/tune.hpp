// tune(): measures, on the device at hand, which way each product of a network is computed quickest.
#pragma once

#include <plexus/core/initializers.hpp>
#include <plexus/core/stream.hpp>
#include <plexus/linalg/gemm_choices.hpp>
#include <plexus/losses/quadratic.hpp>
#include <plexus/network.hpp>

#include <algorithm>
#include <utility>

namespace plexus::inline PLEXUS_ABI {

namespace detail {

// Times every candidate for every product that it is shown, each product once.
class product_timing final : public gemm_measurement {
 public:
  const gemm_choices& found() const { return found_; }

  void measure(const context& on, const gemm_product& product, const gemm_runner& run) override {
    if (const gemm_choice* const known = found_.find(product)) return run(*known);
    found_.set({product, timed_candidates(on, product, run)});
  }

 private:
  // The candidates take turns, so that whatever else slows the device down meets all of them; the least of a
  // candidate's times is the one least disturbed. Who takes long, and is far behind after a first turn, drops
  // out; where the first turn took long enough it is the only one.
  std::vector<timed_choice> timed_candidates(const context& on, const gemm_product& product,
                                             const gemm_runner& run) {
    constexpr int turns = 7;
    constexpr float far_behind = 3, long_ms = 1, enough_ms = 500;
    std::vector<timed_choice> candidates;
    float all_ms = 0;
    for (const gemm_choice& choice : gemm_candidates(product)) {
      run(choice);  // a kernel's first launch loads it, and warms the device
      candidates.push_back({choice, time_of(on, choice, run, 1)});
      all_ms += candidates.back().ms;
    }
    const float most = std::max(far_behind * std::ranges::min(candidates, {}, &timed_choice::ms).ms, long_ms);
    for (int turn = 0; turn < turns && all_ms < enough_ms; ++turn) {
      for (auto& [choice, ms] : candidates) {
        if (ms <= most) ms = std::min(ms, time_of(on, choice, run, repetitions(ms)));
      }
    }
    std::ranges::stable_sort(candidates, {}, &timed_choice::ms);  // among equals the table's
    return candidates;
  }

  // So many that the clock's steps do not matter.
  static int repetitions(float ms) {
    constexpr float long_enough_ms = 0.2f;
    constexpr int most = 50;
    return ms * most < long_enough_ms ? most : std::max(1, static_cast<int>(long_enough_ms / ms));
  }

  // Milliseconds of one run.
  float time_of(const context& on, const gemm_choice& choice, const gemm_runner& run, int times) {
    begin_.record(on.stream());
    for (int i = 0; i < times; ++i) run(choice);
    end_.record(on.stream());
    return elapsed_ms(begin_, end_) / static_cast<float>(times);
  }

  event begin_, end_;
  gemm_choices found_;
};

}  // namespace detail

// Measures every product that dense layers make in a forward pass and a training step of `batch` samples, in
// each way that this program can compute it, on the device at hand. From then on the network goes by the
// quickest (gemm_policy::tuned), and by choices for other batches that it had before. Returns all of them: to
// be printed, given to other networks, or saved (io/tuning.hpp). Of the network it changes the policy and the
// gradients. A network that runs as one kernel makes no products.
template <class Network>
gemm_choices tune(Network& net, int batch) {
  require(batch > 0, "tuning a network", "the batch has no samples", "use a batch of at least one sample");
  const auto elements = [&](int width) {
    return static_cast<std::size_t>(batch) * static_cast<std::size_t>(width);
  };
  const buffer<float> inputs(elements(Network::input_size)), targets(elements(Network::output_size));
  uniform{}(net.stream(), inputs.view(), random_stream{}, {});
  fill_zero(net.stream(), targets.view());
  const auto x = matrix<const float>(inputs.data(), batch, Network::input_size);

  const batch_totals totals = net.totals();
  detail::product_timing timing;
  net.measure_products(timing, [&] {
    net.forward(x);
    net.backward(x, {.values = targets.data(), .ld = Network::output_size}, quadratic{});
  });
  net.restore_totals(totals);

  gemm_choices choices = net.choices();
  for (const tuned_product& tuned : timing.found().products()) choices.set(tuned);
  net.set_choices(choices);
  return choices;
}

}  // namespace plexus::inline PLEXUS_ABI
