// Slide 16, "Mixed precision": storage and multiplication in FP16, accumulation and master weights in FP32.
#include "slide.hpp"

#include <plexus/plexus.hpp>

namespace px = plexus;

namespace {

using element = px::fp16::element;

float rounded(float value) { return static_cast<float>(static_cast<element>(value)); }

// Σ 1·1 over `count` terms, with a sum that is rounded to FP16 after every term.
float sum_in_fp16(int count) {
  float sum = 0;
  for (int i = 0; i < count; ++i) sum = rounded(sum + 1);
  return sum;
}

// The same sum by plexus: the product of a row of ones in FP16 with another.
float sum_by_product(int count) {
  px::context on;
  const std::vector<element> ones(static_cast<std::size_t>(count), static_cast<element>(1.0f));
  const auto row = px::to_device(on.stream(), ones);
  const px::buffer<float> sum(1);
  const auto operand = px::matrix<const element>(row.data(), 1, count);
  px::gemm<px::layout::nt>(on, operand, operand, px::store{px::matrix(sum.data(), 1, 1)});
  return px::to_host(on.stream(), sum.view())[0];
}

// w·1 is to become 15/16, beginning at w = 1 with a rate of 2⁻¹⁰: the first steps are 2⁻¹⁴.
constexpr float target = 0.9375f, rate = 0x1p-10f;

}  // namespace

int main() {
  lecture::slide slide("Slide 16: Mixed precision");
  slide.say("Storage: FP16 has a sign, 5 bits of exponent and 10 of mantissa.");
  slide.columns("FP16");
  slide.exact("0.1", 0.0999755859375, static_cast<double>(rounded(0.1f)));
  slide.exact("1 + 2^-11", 1, static_cast<double>(rounded(1 + 0x1p-11f)));
  slide.statement("65520", "inf", std::isinf(rounded(65520)) ? "inf" : "finite");

  slide.say("Accumulation: 4096 products 1*1. A sum in FP16 stands still at 2048, where 1 is half a place.");
  slide.columns("true");
  slide.exact("FP16 products, FP16 sum, by hand", 2048, static_cast<double>(sum_in_fp16(4096)));
  slide.exact("FP16 products, FP32 sum, by plexus", 4096, static_cast<double>(sum_by_product(4096)));

  slide.say("Master weights: steps of 2^-14 are lost on an FP16 weight of 1, and add up in FP32.");
  slide.columns("by hand");
  px::network<px::mixed<px::fp16>, px::input<1>, px::dense<1, px::identity, px::no_bias>> net;
  const auto weight = net.parameters()[0].values;
  px::copy_to_device<float>(net.stream(), weight.data, std::array{1.0f});
  const std::array<float, 1> x{1}, y{target};
  float master = 1, alone = 1;
  for (int step = 1; step <= 256; ++step) {
    net.step(std::span<const float>(x), std::span<const float>(y), px::quadratic{}, px::sgd{.rate = rate});
    master -= rate * (rounded(master) - target);
    alone = rounded(alone - rate * (alone - target));
    if (step == 1 || step == 16 || step == 256) {
      const std::string after = " after step " + std::to_string(step);
      slide.exact("master weight" + after, static_cast<double>(master),
                  static_cast<double>(px::to_host(net.stream(), weight)[0]));
      slide.exact("what products read" + after, static_cast<double>(rounded(master)),
                  static_cast<double>(net.predict(x)[0]));
    }
  }
  slide.exact("an FP16 weight without a master", 1, static_cast<double>(alone));
  return slide.result();
}
