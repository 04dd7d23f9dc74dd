// What this machine can do at most: multiply-adds in FP32 from registers, all threads together.
#include "workload.hpp"

#include <plexus/core/buffer.hpp>
#include <plexus/core/launch.hpp>
#include <plexus/core/stream.hpp>

namespace px = plexus;

namespace {

constexpr int rounds = 100'000;
constexpr unsigned blocks = px::platform::on_cpu ? 64 : 4096;
constexpr unsigned block_size = px::platform::on_cpu ? 1 : 256;

// `Chains` multiply-adds that do not wait for each other.
template <int Chains>
__global__ void multiply_adds(float* result, float factor, float summand) {
  using namespace px::cuda_names;
  const unsigned thread = blockIdx.x * blockDim.x + threadIdx.x;
  float values[Chains];
  PLEXUS_UNROLL
  for (int c = 0; c < Chains; ++c) values[c] = static_cast<float>(c) + static_cast<float>(thread);
  for (int round = 0; round < rounds; ++round) {
    PLEXUS_UNROLL
    for (int c = 0; c < Chains; ++c) values[c] = values[c] * factor + summand;
  }
  float sum = 0;
  PLEXUS_UNROLL
  for (int c = 0; c < Chains; ++c) sum += values[c];
  result[thread] = sum;
}

template <int Chains>
void measure(px::stream& stream) {
  px::buffer<float> result(std::size_t{blocks} * block_size);
  px::event begin, end;
  begin.record(stream.get());
  px::launch("launching the multiply-adds", stream.get(), {{blocks, 1, 1}, {block_size, 1, 1}},
             multiply_adds<Chains>, result.data(), 0.999f, 0.001f);
  end.record(stream.get());
  const double operations = 2.0 * Chains * rounds * blocks * block_size;
  workload::report("rate", "peak", operations / (px::elapsed_ms(begin, end) / 1000));
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = workload::parse(argc, argv, {"peak"});
  px::stream stream;
  for (int repetition = 0; repetition < arguments.repetitions; ++repetition) {
    if constexpr (px::platform::on_cpu) {  // twelve vector registers of 4, 8 or 16 floats
      measure<48>(stream);
      measure<96>(stream);
      measure<192>(stream);
    } else {
      measure<16>(stream);
    }
  }
}
