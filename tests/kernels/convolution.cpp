// Convolution against its definition in double: the formula's four loops, no matrix and no patch.
#include "product.hpp"

#include <plexus/kernels/convolution.hpp>
#include <plexus/kernels/direct_convolution.hpp>
#include <plexus/kernels/tensor_convolution.hpp>
#include <plexus/linalg/convolve.hpp>

namespace {

using namespace plexus::kernel_test;
using namespace plexus::cuda_names;
using plexus::convolution_shape;
using plexus::extent2d;
namespace kernels = plexus::kernels;

// visit(sample, output, its pixel, weight, channel, its pixel) for every multiplication of a convolution.
template <class Visit>
void for_each_multiplication(const convolution_shape& of, int samples, const Visit& visit) {
  const extent2d output = of.output();
  for (int n = 0; n < samples; ++n) {
    for (int o = 0; o < of.outputs; ++o) {
      for (int y = 0; y < output.height; ++y) {
        for (int x = 0; x < output.width; ++x) {
          for (int c = 0; c < of.group_channels(); ++c) {
            for (int r = 0; r < of.window.height; ++r) {
              for (int s = 0; s < of.window.width; ++s) {
                const int down = y * of.stride.height - of.padding.height + r * of.dilation.height;
                const int across = x * of.stride.width - of.padding.width + s * of.dilation.width;
                if (down < 0 || down >= of.image.height || across < 0 || across >= of.image.width) continue;
                visit(n, o, y * output.width + x, (c * of.window.height + r) * of.window.width + s,
                      o / of.group_outputs() * of.group_channels() + c, down * of.image.width + across);
              }
            }
          }
        }
      }
    }
  }
}

// A convolution of random images and filters, its deltas, and its three products in double. Multiplied says
// what a number is multiplied as.
template <class T, class Multiplied = unrounded>
struct problem {
  convolution_shape of;
  int samples;
  device_matrix_of<T> x, w, delta;
  std::vector<double> z, dx, dw;

  problem(generator& random, const convolution_shape& shape, int count)
      : of(shape),
        samples(count),
        x(device_matrix_of<T>::random(random, count, of.channels * of.image.area(),
                                      random_placement(random))),
        w(device_matrix_of<T>::random(random, of.outputs, of.depth(), random_placement(random))),
        delta(device_matrix_of<T>::random(random, count, of.outputs * of.output().area(),
                                          random_placement(random))),
        z(elements(count, outputs())),
        dx(elements(count, inputs())),
        dw(elements(of.outputs, of.depth())) {
    const int out = of.output().area(), in = of.image.area();
    for_each_multiplication(of, samples, [&](int n, int o, int pixel, int weight, int c, int place) {
      const double one_w = number(w(o, weight)), one_x = number(x(n, c * in + place)),
                   one_delta = number(delta(n, o * out + pixel));
      z[index(n, outputs(), o * out + pixel)] += one_w * one_x;
      dx[index(n, inputs(), c * in + place)] += one_w * one_delta;
      dw[index(o, of.depth(), weight)] += one_delta * one_x;
    });
  }

  int inputs() const { return of.channels * of.image.area(); }
  int outputs() const { return of.outputs * of.output().area(); }

  static double number(T value) { return Multiplied{}(value); }
  static std::size_t elements(int rows, int cols) {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols);
  }
  static std::size_t index(int row, int cols, int col) {
    return elements(row, cols) + static_cast<std::size_t>(col);
  }
};

void require_matrix(const plexus::context& on, device_matrix& result, double tolerance,
                    const std::vector<double>& expected) {
  require_result(on, result, tolerance, [&](int i, int j) {
    return expected[static_cast<std::size_t>(i) * static_cast<std::size_t>(result.cols()) +
                    static_cast<std::size_t>(j)];
  });
}

// The kernels under test.
template <class Tile>
struct on_cuda_cores {
  template <class T>
  using problem = ::problem<T>;
  template <class T>
  static double tolerance(int depth) {
    return tolerance_of_sums(depth);
  }
  static void launch(const auto&... arguments) { kernels::launch_convolution<Tile>(arguments...); }
};
template <class Tile>
struct on_tensor_cores {
  template <class T>
  using problem = ::problem<T, as_by_tensor_cores>;
  template <class T>
  static double tolerance(int depth) {
    return tolerance_on_tensor_cores<T>(depth);
  }
  static void launch(const auto&... arguments) { kernels::launch_tensor_convolution<Tile>(arguments...); }
};

// The three products; the longest sums once more in slices.
template <class Kernels, class T>
void require_products(const plexus::context& on, generator& random, const convolution_shape& of,
                      int samples) {
  const typename Kernels::template problem<T> p(random, of, samples);
  const int out = of.output().area(), in = of.image.area();
  INFO(p.samples << " of " << of.channels << " x " << of.image.height << " x " << of.image.width << " to "
                 << of.outputs << ", window " << of.window.height << " x " << of.window.width << ", stride "
                 << of.stride.height << " " << of.stride.width << ", padding " << of.padding.height << " "
                 << of.padding.width << ", dilation " << of.dilation.height << " " << of.dilation.width
                 << ", groups " << of.groups);
  const plexus::matrix_view<const T> x = p.x.view(), w = p.w.view(), delta = p.delta.view();
  const auto tolerance = [](int depth) { return Kernels::template tolerance<T>(depth); };
  {
    INFO("forward");
    device_matrix z(p.samples, p.outputs(), random_placement(random));
    Kernels::launch(on.stream(), kernels::filter_rows<T>(w.data, w.ld, of),
                    kernels::taps_by_pixels(kernels::patches_of(x, of)), of.groups,
                    kernels::image_epilogue<plexus::store, plexus::no_bias_term>({z.view()}, {}, out));
    require_matrix(on, z, tolerance(of.depth()), p.z);
  }
  {
    INFO("gradient of the images");
    const auto require_dx = [&](const auto& deltas) {
      device_matrix dx(p.samples, p.inputs(), random_placement(random));
      Kernels::launch(on.stream(), kernels::filters_of_channels<T>(w.data, w.ld, of),
                      kernels::taps_by_pixels(deltas), of.groups,
                      kernels::image_epilogue<plexus::store, plexus::no_bias_term>({dx.view()}, {}, in));
      require_matrix(on, dx, tolerance(of.group_outputs() * of.window.area()), p.dx);
    };
    require_dx(kernels::strided_delta_reader<T>(delta, of));
    if (of.stride == extent2d(1)) require_dx(kernels::received_deltas(delta, of));
  }
  {
    INFO("gradient of the filters");
    const kernels::delta_rows<T> deltas(delta, of);
    const auto patches = kernels::pixels_by_taps(kernels::patches_of(x, of));
    device_matrix dw(of.outputs, of.depth(), random_placement(random));
    Kernels::launch(on.stream(), deltas, patches, of.groups, plexus::store{dw.view()});
    require_matrix(on, dw, tolerance(p.samples * out), p.dw);

    INFO("in slices");
    constexpr int slices = 3;
    device_matrix parts(slices * of.outputs, of.depth(), {}),
        sums(of.outputs, of.depth(), random_placement(random));
    Kernels::launch(on.stream(), deltas, patches, of.groups, plexus::store{parts.view()}, slices);
    kernels::sum_slices(on.stream(), parts.view().data, slices, of.outputs, of.depth(),
                        plexus::store{sums.view()});
    require_matrix(on, sums, tolerance(p.samples * out), p.dw);
  }
}

// Windows that reach over the image's edges on all sides, larger than the unpadded image now and then.
convolution_shape random_shape(generator& random) {
  convolution_shape of{{{random_int(random, 1, 11), random_int(random, 1, 11)},
                        {random_int(random, 1, 4), random_int(random, 1, 4)}}};
  if (random_int(random, 0, 1) == 0) of.stride = {random_int(random, 1, 3), random_int(random, 1, 3)};
  of.dilation = {random_int(random, 1, 2), random_int(random, 1, 2)};
  of.padding = {random_int(random, 0, 3), random_int(random, 0, 3)};
  of.padding_after = {random_int(random, 0, 3), random_int(random, 0, 3)};
  of.groups = random_int(random, 1, 3);
  of.channels = of.groups * random_int(random, 1, 4);
  of.outputs = of.groups * random_int(random, 1, random_int(random, 0, 4) == 0 ? 40 : 5);
  return of.fits() ? of : random_shape(random);
}

// Each with the next of the kernels.
template <class T, class... Kernels>
void require_random_problems(int count, unsigned seed) {
  generator random(seed);
  const plexus::context on(plexus::gemm_policy::native);
  for (int i = 0; i < count; i += sizeof...(Kernels)) {
    (require_products<Kernels, T>(on, random, random_shape(random), random_int(random, 1, 4)), ...);
  }
}
template <class T>
constexpr auto require_on_cuda_cores =
    require_random_problems<T, on_cuda_cores<kernels::small_gemm_tile>,
                            on_cuda_cores<kernels::flat_gemm_tile>, on_cuda_cores<kernels::tall_gemm_tile>,
                            on_cuda_cores<kernels::medium_gemm_tile>>;
template <class T>
constexpr auto require_on_tensor_cores =
    require_random_problems<T, on_tensor_cores<kernels::flat_tensor_tile>,
                            on_tensor_cores<kernels::medium_tensor_tile>,
                            on_tensor_cores<kernels::large_tensor_tile>,
                            on_tensor_cores<kernels::wmma_tile<kernels::flat_tensor_tile>>>;

// The three products without tiles, whose shape is known when they are compiled.
template <convolution_shape Of, class T = float>
void require_direct_products(generator& random, int samples) {
  INFO("image " << Of.image.height << " × " << Of.image.width << ", window " << Of.window.height << " × "
                << Of.window.width << ", " << Of.channels << " to " << Of.outputs << ", groups "
                << Of.groups);
  const plexus::context on(plexus::gemm_policy::native);
  const problem<T> p(random, Of, samples);
  const plexus::matrix_view<const T> x = p.x.view(), w = p.w.view(), delta = p.delta.view();
  const auto into = [](device_matrix& result, extent2d image) {
    return kernels::image_epilogue<plexus::store, plexus::no_bias_term>({result.view()}, {}, image.area());
  };
  {
    INFO("forward");
    device_matrix z(samples, p.outputs(), random_placement(random));
    kernels::launch_direct_convolution<kernels::walk_forward(Of)>(
        on.stream(), x, kernels::filter_rows<T>(w.data, w.ld, Of), Of.groups, into(z, Of.output()));
    require_matrix(on, z, tolerance_of_sums(Of.depth()), p.z);
  }
  if constexpr (Of.stride == extent2d(1)) {
    INFO("gradient of the images");
    device_matrix dx(samples, p.inputs(), random_placement(random));
    kernels::launch_direct_convolution<kernels::walk_back(Of)>(
        on.stream(), delta, kernels::filters_of_channels<T>(w.data, w.ld, Of), Of.groups, into(dx, Of.image));
    require_matrix(on, dx, tolerance_of_sums(Of.group_outputs() * Of.window.area()), p.dx);
  }
  for (const int slices : {1, 3}) {
    INFO("gradient of the filters, slices: " << slices);
    device_matrix parts(slices * Of.outputs, Of.depth(), {}),
        dw(Of.outputs, Of.depth(), random_placement(random));
    kernels::launch_direct_filter_gradient<Of>(on.stream(), delta, x, plexus::store{parts.view()}, slices);
    kernels::sum_slices(on.stream(), parts.view().data, slices, Of.outputs, Of.depth(),
                        plexus::store{dw.view()});
    require_matrix(on, dw, tolerance_of_sums(samples * Of.output().area()), p.dw);
  }
}

constexpr convolution_shape first_of_lenet{{28, 5}, 1, 6};
constexpr convolution_shape depthwise{{{9, 11}, 3, 1, 1, 1, 1}, 5, 5, 5};
constexpr convolution_shape depthwise_by_two{{{9, 6}, 3, 2, 1, 1, 0}, 4, 4, 4};
constexpr convolution_shape beyond_all_edges{{{3, 2}, {4, 3}, 1, 1, {3, 2}, {2, 3}}, 2, 3, 1};
constexpr convolution_shape dilated{{{12, 9}, {2, 3}, {1, 2}, {3, 2}, {1, 0}, {0, 2}}, 6, 8, 2};
constexpr convolution_shape one_row{{{1, 40}, {1, 7}, 1, 1, {0, 3}, {0, 3}}, 2, 16, 1};
constexpr convolution_shape pointwise{{{6, 8}, 1}, 40, 36, 1};
constexpr convolution_shape one_pixel_windows{{{5, 5}, 1}, 3, 2, 1};

// Forward and back by windows of one pixel.
template <class T, class Multiplied>
void require_pointwise_products(const plexus::context& on, generator& random, const problem<T, Multiplied>& p,
                                double tolerance, const auto& forward, const auto& back) {
  const int pixels = p.of.image.area();
  const auto operands = [&](const device_matrix_of<T>& images) {
    return kernels::pointwise_operands<T>{p.w.view(), images.view(), pixels};
  };
  const auto into = [&](device_matrix& result) {
    return kernels::image_epilogue<plexus::store, plexus::no_bias_term>({result.view()}, {}, pixels);
  };
  device_matrix z(p.samples, p.outputs(), random_placement(random)),
      dx(p.samples, p.inputs(), random_placement(random));
  forward(on.stream(), operands(p.x), into(z));
  require_matrix(on, z, tolerance, p.z);
  back(on.stream(), operands(p.delta), into(dx));
  require_matrix(on, dx, tolerance, p.dx);
}

template <class Tile>
void require_pointwise(const plexus::context& on, generator& random, const convolution_shape& of) {
  using plexus::layout;
  require_pointwise_products(
      on, random, problem<float>(random, of, 3), tolerance_of_sums(std::max(of.channels, of.outputs)),
      [](const auto&... by) { kernels::launch_pointwise_convolution<layout::nn, Tile>(by...); },
      [](const auto&... by) { kernels::launch_pointwise_convolution<layout::tn, Tile>(by...); });
}
template <class Tile, class T>
void require_pointwise_on_tensor_cores(const plexus::context& on, generator& random,
                                       const convolution_shape& of) {
  using plexus::layout;
  require_pointwise_products(
      on, random, problem<T, as_by_tensor_cores>(random, of, 2),
      tolerance_on_tensor_cores<T>(std::max(of.channels, of.outputs)),
      [](const auto&... by) { kernels::launch_pointwise_tensor_convolution<layout::nn, Tile>(by...); },
      [](const auto&... by) { kernels::launch_pointwise_tensor_convolution<layout::tn, Tile>(by...); });
}

// The three products as layers ask for them: on a CPU lowered, where a BLAS is linked.
template <convolution_shape Of, class Precision>
void require_convolve(generator& random, int samples,
                      plexus::gemm_policy policy = plexus::default_gemm_policy) {
  using T = typename Precision::storage;
  INFO("images of " << Of.image.height << " × " << Of.image.width << ", " << Of.depth() << " weights");
  plexus::context on(policy);
  const problem<T> p(random, Of, samples);
  const plexus::matrix_view<const T> x = p.x.view(), w = p.w.view(), delta = p.delta.view();
  device_matrix z(samples, p.outputs(), random_placement(random)), dw(Of.outputs, Of.depth(), {}),
      dx(samples, p.inputs(), random_placement(random));
  plexus::convolve<Of, Precision>(on, x, w.data, w.ld, plexus::no_bias_term{}, plexus::store{z.view()});
  require_matrix(on, z, tolerance_of_sums(Of.depth()), p.z);
  plexus::convolve_back<Of, Precision>(on, delta, w.data, w.ld, plexus::store{dx.view()});
  require_matrix(on, dx, tolerance_of_sums(Of.group_outputs() * Of.window.area()), p.dx);
  plexus::filter_gradient<Of, Precision>(on, delta, x, dw.view().data);
  require_matrix(on, dw, tolerance_of_sums(samples * Of.output().area()), p.dw);
}

// A CPU cuts them into pieces of several images, with some left over for the last; into bands of rows; and,
// where an image is its own columns, into bands of these.
constexpr convolution_shape many_images{{{5, 4}, {3, 2}, {1, 1}, {1, 1}, {1, 0}, {0, 1}}, 3, 4, 1};
constexpr convolution_shape five_bands{{{40, 37}, 3, 1, 1, 1, 1}, 48, 4, 2};
constexpr convolution_shape two_bands{{{41, 23}, {3, 5}, {2, 1}, {1, 2}, {1, 3}, {2, 4}}, 30, 6, 3};
constexpr convolution_shape own_columns{{{30, 30}, 1}, 300, 5, 1};

// On tensor cores the largest tile, and the images' gradient by the next smaller one.
constexpr convolution_shape wide{{{9, 7}, 2, 1, 1, 1, 0}, 40, 130, 1};

template <class Precision>
void require_convolve_in_pieces() {
  generator random(8);
  require_convolve<many_images, Precision>(random, 37);
  require_convolve<five_bands, Precision>(random, 2);
  require_convolve<two_bands, Precision>(random, 1);
  require_convolve<own_columns, Precision>(random, 2);
}

}  // namespace

TEST_CASE("convolution as layers ask for it is its definition", "[convolution][slow]") {
  require_convolve_in_pieces<plexus::fp32>();
  require_convolve_in_pieces<plexus::mixed<plexus::fp16>>();
  require_convolve_in_pieces<plexus::mixed<plexus::bf16>>();
}

TEST_CASE("convolution in 16 bits as layers ask for it is its definition", "[convolution]") {
  generator random(12);
  require_convolve<many_images, plexus::mixed<plexus::fp16>>(random, 3);
  require_convolve<wide, plexus::mixed<plexus::bf16>>(random, 1);
}

TEST_CASE("convolution as layers ask this library's kernels for it is its definition", "[convolution]") {
  generator random(15);
  constexpr auto native = plexus::gemm_policy::native;
  require_convolve<first_of_lenet, plexus::fp32>(random, 1, native);
  require_convolve<depthwise, plexus::fp32>(random, 2, native);
  require_convolve<depthwise_by_two, plexus::mixed<plexus::fp16>>(random, 2, native);
  require_convolve<pointwise, plexus::fp32>(random, 2, native);
  require_convolve<pointwise, plexus::mixed<plexus::bf16>>(random, 2, native);
}

TEST_CASE("no images have filters' gradients of zero", "[convolution]") {
  plexus::context on;
  device_matrix dw(4, 18, {});
  plexus::filter_gradient<many_images>(on, plexus::matrix_view<const float>{nullptr, 0, 64, 64},
                                       plexus::matrix_view<const float>{nullptr, 0, 60, 60}, dw.view().data);
  require_matrix(on, dw, 0, std::vector<double>(4 * 18));
}

TEST_CASE("convolution of any shape is its definition", "[convolution]") {
  require_on_cuda_cores<float>(8, 1);
  require_on_tensor_cores<__half>(4, 2);
  require_on_tensor_cores<__nv_bfloat16>(4, 8);
  require_on_tensor_cores<float>(4, 9);
}

TEST_CASE("convolution of many shapes is its definition", "[convolution][slow]") {
  require_on_cuda_cores<float>(200, 3);
  require_on_tensor_cores<__half>(40, 4);
  require_on_tensor_cores<__nv_bfloat16>(40, 5);
  require_on_tensor_cores<float>(40, 10);
}

TEST_CASE("convolution on the large tiles is its definition", "[convolution][slow]") {
  generator random(6);
  const plexus::context on(plexus::gemm_policy::native);
  const convolution_shape of{{{13, 9}, 3, 1, 1, 1, 1}, 15, 140, 1};
  require_products<on_cuda_cores<kernels::large_gemm_tile>, float>(on, random, of, 3);
  require_products<on_cuda_cores<kernels::wide_gemm_tile>, float>(on, random, of, 3);
  require_products<on_tensor_cores<kernels::large_tensor_tile>, __half>(on, random, of, 3);
  require_products<on_tensor_cores<kernels::medium_tensor_tile>, __nv_bfloat16>(on, random, of, 3);
  require_products<on_tensor_cores<kernels::wmma_tile<kernels::large_tensor_tile>>, float>(on, random, of, 3);
}

TEST_CASE("convolution without tiles is its definition", "[convolution]") {
  generator random(13);
  require_direct_products<first_of_lenet>(random, 1);
  require_direct_products<depthwise>(random, 3);
  require_direct_products<depthwise, __half>(random, 2);
  require_direct_products<depthwise_by_two>(random, 3);
  require_direct_products<beyond_all_edges>(random, 30);
  require_direct_products<dilated>(random, 2);
  require_direct_products<dilated, __nv_bfloat16>(random, 1);
  require_direct_products<one_row>(random, 2);
  require_direct_products<one_pixel_windows>(random, 2);
}

TEST_CASE("convolution by windows of one pixel is its definition", "[convolution]") {
  generator random(14);
  const plexus::context on(plexus::gemm_policy::native);
  const convolution_shape odd{{{7, 9}, 1}, 33, 70, 1}, even{{{8, 6}, 1}, 40, 24, 1};
  require_pointwise<kernels::small_gemm_tile>(on, random, odd);
  require_pointwise<kernels::medium_gemm_tile>(on, random, even);
  require_pointwise_on_tensor_cores<kernels::small_tensor_tile, __half>(on, random, odd);
  require_pointwise_on_tensor_cores<kernels::large_tensor_tile, __nv_bfloat16>(on, random, even);
  require_pointwise_on_tensor_cores<kernels::small_tensor_tile, float>(on, random, odd);
}

TEST_CASE("a divisor divides as / does", "[convolution]") {
  generator random(7);
  const auto check = [](int d, int n) {
    const plexus::divisor by(d);
    REQUIRE(by(n) == n / d);
    REQUIRE(by.remainder(n, by(n)) == n % d);
  };
  constexpr int most = std::numeric_limits<int>::max();
  for (int i = 0; i < 20000; ++i) {
    const int d = std::max(1, static_cast<int>(random() >> (1 + random() % 31))),
              n = static_cast<int>(random() >> (1 + random() % 31));
    check(d, n);
    check(d, most);
    check(d, most / d * d - 1);
    check(d, most / d * d);
  }
}
