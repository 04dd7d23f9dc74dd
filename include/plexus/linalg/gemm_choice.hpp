// Which tile, and how many slices of k, a product is computed with: a table, and what follows from it for a
// shape and a device.
#pragma once

#include <plexus/core/context.hpp>
#include <plexus/core/launch.hpp>
#include <plexus/kernels/gemm_shape.hpp>

#include <algorithm>
#include <limits>
#include <string>

namespace plexus::inline PLEXUS_ABI {

enum class gemm_tile { wide, large, medium, small, tall, flat };

struct gemm_tile_row {
  gemm_tile tile;
  const char* name;
  int block_m, block_n;     // of C, by one block
  int warps, resident;      // of a block; blocks that a multiprocessor holds at least
  float pace_64, pace_128;  // share of the peak, where a multiprocessor does 64 or 128 multiply-adds a cycle
};

// The paces are bounds and not measurements (benchmarks/profile): by the share of multiply-adds among the
// instructions, by the cycles of shared memory, of which there is one a cycle whatever the multiply-adds, and
// of the small tile by its loads from memory.
inline constexpr gemm_tile_row gemm_tiles[] = {
    {gemm_tile::wide, "128 x 256", 128, 256, 8, 1, 0.91f, 0.91f},
    {gemm_tile::large, "128 x 128", 128, 128, 8, 2, 0.89f, 0.89f},
    {gemm_tile::medium, "64 x 64", 64, 64, 4, 4, 0.82f, 0.62f},
    {gemm_tile::small, "32 x 32", 32, 32, 2, 8, 0.64f, 0.44f},
    {gemm_tile::tall, "128 x 32", 128, 32, 4, 4, 0.80f, 0.60f},
    {gemm_tile::flat, "32 x 128", 32, 128, 4, 4, 0.80f, 0.60f},
};

// On tensor cores, in multiply-adds of CUDA cores. These peaks differ more between GPUs than the tiles do: 16
// times that of CUDA cores on an A100, twice on a GeForce.
inline constexpr gemm_tile_row tensor_gemm_tiles[] = {
    {gemm_tile::large, "128 x 128", 128, 128, 4, 2, 14.4f, 4.0f},
    {gemm_tile::medium, "64 x 64", 64, 64, 4, 4, 9.6f, 3.0f},
};

// Of convolutions on tensor cores. Gathering the images' elements takes a block as long whatever its rows
// are.
inline constexpr gemm_tile_row tensor_convolution_tiles[] = {
    {gemm_tile::large, "128 x 128", 128, 128, 4, 2, 8.0f, 3.0f},
    {gemm_tile::medium, "64 x 128", 64, 128, 4, 2, 5.0f, 2.0f},
    {gemm_tile::flat, "32 x 128", 32, 128, 4, 2, 2.5f, 1.2f},
};

enum class gemm_way {
  tile,    // by the kernel of a given tile, in a given number of slices
  native,  // by whichever kernel of this library the table picks
  vendor,  // by the vendor's BLAS
  loops,   // each element by a loop
};
inline constexpr const char* gemm_way_names[] = {"tile", "native", "vendor", "loops"};

// How one product is computed.
struct gemm_choice {
  gemm_tile tile;
  int slices;
  gemm_way way = gemm_way::tile;

  friend bool operator==(const gemm_choice&, const gemm_choice&) = default;
};

inline std::string to_string(const gemm_choice& choice) {
  if (choice.way != gemm_way::tile) return gemm_way_names[static_cast<int>(choice.way)];
  const std::string tile = gemm_tiles[static_cast<int>(choice.tile)].name;
  return choice.slices == 1 ? tile : tile + " in " + std::to_string(choice.slices) + " slices of k";
}

// An estimate of the time that a product takes, in multiply-adds of one multiprocessor at its peak.
inline float gemm_cost(const gemm_tile_row& row, int slices, const gemm_shape& shape,
                       const device_traits& device) {
  constexpr float ends = 48;           // depths that a block's beginning and end take the time of
  constexpr float warps_needed = 8;    // to hide the time that instructions take
  constexpr float second_pass = 2e5f;  // a launch
  constexpr float part = 64;           // writing and reading an element of a slice, from memory
  const auto multiprocessors = static_cast<float>(device.multiprocessors);
  const long long blocks =
      static_cast<long long>(divide_up(shape.m, row.block_m)) * divide_up(shape.n, row.block_n) * slices;
  const auto rounds = static_cast<float>(divide_up<long long>(blocks, device.multiprocessors));
  const float warps = std::min(rounds, static_cast<float>(row.resident)) * static_cast<float>(row.warps);
  const bool does_64 = device.capability <= 80;
  const float pace = (does_64 ? row.pace_64 : row.pace_128) * std::min(1.0f, warps / warps_needed);
  const float depth = static_cast<float>(shape.k) / static_cast<float>(slices) + ends;
  const float product = rounds * static_cast<float>(row.block_m * row.block_n) * depth / pace;
  if (slices == 1) return product;
  return product + second_pass +
         part * static_cast<float>(slices + 1) * static_cast<float>(shape.m) * static_cast<float>(shape.n) /
             multiprocessors;
}

// Whether the rows and the columns of a tile's block are more than half in use, or are as few as they can be.
// A tile that is not worthwhile for some sizes is not for smaller ones.
template <std::size_t Rows>
constexpr bool is_worthwhile(const gemm_tile_row (&tiles)[Rows], gemm_tile tile, const gemm_shape& shape) {
  int smallest_m = std::numeric_limits<int>::max(), smallest_n = smallest_m, block_m = 0, block_n = 0;
  for (const gemm_tile_row& row : tiles) {
    smallest_m = std::min(smallest_m, row.block_m);
    smallest_n = std::min(smallest_n, row.block_n);
    if (row.tile == tile) block_m = row.block_m, block_n = row.block_n;
  }
  return (block_m == smallest_m || block_m / 2 < shape.m) && (block_n == smallest_n || block_n / 2 < shape.n);
}

// No slice of k is shorter.
inline constexpr int shortest_gemm_slice = 64;

// visit(row, slices) for every tile and number of slices that a product may be computed with, with at most
// `parts` elements of memory for slices.
template <std::size_t Rows, class Visit>
void for_each_gemm_tiling(const gemm_tile_row (&tiles)[Rows], const gemm_shape& shape, std::size_t parts,
                          const Visit& visit) {
  constexpr int most_slices = 64;
  constexpr int most_blocks_n = 65535;  // CUDA's limit, the columns being a grid's second dimension
  const std::size_t elements = static_cast<std::size_t>(shape.m) * static_cast<std::size_t>(shape.n);
  for (const gemm_tile_row& row : tiles) {
    if (!is_worthwhile(tiles, row.tile, shape) || divide_up(shape.n, row.block_n) > most_blocks_n) continue;
    for (int slices = 1; slices <= most_slices; slices *= 2) {
      if (slices > 1 &&
          (shape.k / slices < shortest_gemm_slice || elements > parts / static_cast<std::size_t>(slices)))
        break;
      visit(row, slices);
    }
  }
}

// The choice of the least cost, with at most `parts` elements of memory for slices.
template <std::size_t Rows>
gemm_choice choose_gemm(const gemm_tile_row (&tiles)[Rows], const gemm_shape& shape,
                        const device_traits& device, std::size_t parts) {
  gemm_choice best{gemm_tile::wide, 1};
  float least = -1;
  for_each_gemm_tiling(tiles, shape, parts, [&](const gemm_tile_row& row, int slices) {
    const float cost = gemm_cost(row, slices, shape, device);
    if (least < 0 || cost < least) {
      least = cost;
      best = {row.tile, slices};
    }
  });
  return best;
}

// The tile for one of `count` products that run at once: as if each had its share of the multiprocessors.
template <std::size_t Rows>
gemm_tile choose_batched_tile(const gemm_tile_row (&tiles)[Rows], int count, const gemm_shape& shape,
                              device_traits device) {
  device.multiprocessors = std::max(1, device.multiprocessors / count);
  return choose_gemm(tiles, shape, device, 0).tile;
}

}  // namespace plexus::inline PLEXUS_ABI
