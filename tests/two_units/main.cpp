// Both units train the same network: on the same device bit for bit, on two devices but for rounding.
#include <cmath>
#include <cstdio>
#include <vector>

std::vector<float> first_unit();
std::vector<float> second_unit();

int main() {
  const std::vector<float> a = first_unit(), b = second_unit();
  if (a.size() != 4 || b.size() != 4) return 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::printf("%.7f %.7f\n", static_cast<double>(a[i]), static_cast<double>(b[i]));
    if (!(std::abs(a[i] - b[i]) < 1e-5f)) return 1;
  }
  return 0;
}
