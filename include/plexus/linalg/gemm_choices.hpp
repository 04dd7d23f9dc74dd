// Which way a product is computed: by the policy, or by the choice that tune() has measured for it.
#pragma once

#include <plexus/core/context.hpp>
#include <plexus/core/precision.hpp>
#include <plexus/linalg/gemm_choice.hpp>
#include <plexus/linalg/vendor.hpp>

#include <algorithm>
#include <compare>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

// What the operands of a product are multiplied as.
enum class element_type { fp32, tf32, fp16, bf16 };

// By the enumerators' values.
inline constexpr const char* layout_names[] = {"nt", "nn", "tn"};
inline constexpr const char* element_type_names[] = {"fp32", "tf32", "fp16", "bf16"};

// A product as far as the choice of its way is concerned.
struct gemm_product {
  layout order;
  element_type type;
  gemm_shape shape;

  friend bool operator==(const gemm_product&, const gemm_product&) = default;  // nvcc does not imply it
  friend auto operator<=>(const gemm_product&, const gemm_product&) = default;
};

// "nt fp32 64 × 300 × 784": m × n × k.
inline std::string to_string(const gemm_product& product) {
  const auto [m, n, k] = product.shape;
  return std::string(layout_names[static_cast<int>(product.order)]) + " " +
         element_type_names[static_cast<int>(product.type)] + " " + std::to_string(m) + " × " +
         std::to_string(n) + " × " + std::to_string(k);
}

// Of more multiplications a loop for each element is no candidate.
inline constexpr double most_by_loops = 1 << 15;
constexpr bool may_be_by_loops(const gemm_shape& known) {
  const gemm_shape least{at_least(known.m), at_least(known.n), at_least(known.k)};
  return least.multiplications() <= most_by_loops;
}

// The ways in which this program can compute a product, that of the table first. On a CPU one kernel is
// compiled for all tiles, and beside a BLAS only small products are worth its trying.
inline std::vector<gemm_choice> gemm_candidates(const gemm_product& product) {
  constexpr double most_by_fibers = 1 << 22;
  const double multiplications = product.shape.multiplications();
  std::vector<gemm_choice> all;
  const auto add_tiles = [&](const auto& tiles) {
    for_each_gemm_tiling(tiles, product.shape, context::parts_size,
                         [&](const gemm_tile_row& row, int slices) {
                           all.push_back({row.tile, slices});
                         });
  };
  if (!platform::on_cpu || !has_vendor_blas || multiplications <= most_by_fibers)
    all.push_back({{}, 1, gemm_way::native});
  if (!platform::on_cpu && product.type == element_type::fp32) add_tiles(gemm_tiles);
  if (!platform::on_cpu && product.type != element_type::fp32) add_tiles(tensor_gemm_tiles);
  if (has_vendor_blas) all.push_back({{}, 1, gemm_way::vendor});
  if (multiplications <= most_by_loops) all.push_back({{}, 1, gemm_way::loops});
  return all;
}

inline bool can_compute(const gemm_product& product, const gemm_choice& choice) {
  const std::vector<gemm_choice> all = gemm_candidates(product);
  return std::find(all.begin(), all.end(), choice) != all.end();
}

struct timed_choice {
  gemm_choice choice;
  float ms;
};

// What tune() found out about a product: the time of each candidate, the quickest first, which is the choice.
// (Of the others, a file does not tell.)
struct tuned_product {
  gemm_product product;
  std::vector<timed_choice> candidates;
};

// "nt fp32 64 × 300 × 784: vendor 120.00 µs (native 457.00, loops 2100.00)"
inline std::string to_string(const tuned_product& tuned) {
  std::string text = to_string(tuned.product) + ": ";
  for (std::size_t i = 0; const auto& [choice, ms] : tuned.candidates) {
    const std::string microseconds = std::to_string(1000 * ms);  // with six decimals
    text += (i == 0   ? ""
             : i == 1 ? " ("
                      : ", ") +
            to_string(choice) + " " + microseconds.substr(0, microseconds.size() - 4) + (i == 0 ? " µs" : "");
    ++i;
  }
  return tuned.candidates.size() > 1 ? text + ")" : text;
}

// The choices for a number of products.
class gemm_choices {
 public:
  // In the order of the products.
  const std::vector<tuned_product>& products() const { return products_; }

  // Null where the product is not among them.
  const gemm_choice* find(const gemm_product& product) const {
    const auto at = place_of(product);
    return at == products_.end() || at->product != product ? nullptr : &at->candidates.front().choice;
  }

  // Takes the place of what was found out about the same product before. The first candidate, the choice,
  // must be one that this program can compute the product with.
  void set(tuned_product tuned) {
    if (tuned.candidates.empty() || !can_compute(tuned.product, tuned.candidates.front().choice)) {
      throw error("choosing how the product " + to_string(tuned.product) + " is computed",
                  tuned.candidates.empty()
                      ? "no way is given"
                      : to_string(tuned.candidates.front().choice) + " is no way of this program",
                  "give one of gemm_candidates()");
    }
    const auto at = products_.begin() + (place_of(tuned.product) - products_.begin());
    if (at != products_.end() && at->product == tuned.product) {
      *at = std::move(tuned);
    } else {
      products_.insert(at, std::move(tuned));
    }
  }

 private:
  std::vector<tuned_product>::const_iterator place_of(const gemm_product& product) const {
    return std::lower_bound(
        products_.begin(), products_.end(), product,
        [](const tuned_product& tuned, const gemm_product& other) { return tuned.product < other; });
  }

  std::vector<tuned_product> products_;  // sorted
};

// A line for each product.
inline std::string to_string(const gemm_choices& choices) {
  std::string text;
  for (const tuned_product& tuned : choices.products()) text += to_string(tuned) + "\n";
  return text;
}

// The context's policy becomes gemm_policy::tuned, with these choices.
inline void use_choices(context& context, gemm_choices choices) {
  const auto by_vendor = [](const tuned_product& tuned) {
    return tuned.candidates.front().choice.way == gemm_way::vendor;
  };
  if (std::any_of(choices.products().begin(), choices.products().end(), by_vendor)) vendor::prepare(context);
  context.set_choices(std::make_shared<const gemm_choices>(std::move(choices)));
  context.set_policy(gemm_policy::tuned);
}

// Computes a product in any of its ways, as often as it is asked to. Refers to the function that it is made
// of.
class gemm_runner {
 public:
  template <class Run>
  explicit gemm_runner(const Run& run)
      : run_(&run), call_([](const void* object, const gemm_choice& choice) {
          (*static_cast<const Run*>(object))(choice);
        }) {}
  void operator()(const gemm_choice& choice) const { call_(run_, choice); }

 private:
  const void* run_;
  void (*call_)(const void*, const gemm_choice&);
};

// Is shown every product of a context where it is computed, with its own operands and epilogue, and has it
// computed.
class gemm_measurement {
 public:
  virtual void measure(const context& on, const gemm_product& product, const gemm_runner& run) = 0;

 protected:
  ~gemm_measurement() = default;
};

// While it lives, the context's products are measured.
class measuring_scope {
 public:
  measuring_scope(context& on, gemm_measurement& measurement) : context_(on) {
    context_.set_measurement(&measurement);
  }
  measuring_scope(const measuring_scope&) = delete;
  measuring_scope& operator=(const measuring_scope&) = delete;
  ~measuring_scope() { context_.set_measurement(nullptr); }

 private:
  context& context_;
};

// Up to this many multiplications a loop is done before a BLAS has begun, or the threads of a tile.
inline double direct_multiplications(gemm_policy policy) {
  return policy == gemm_policy::vendor ? 128 : 2048;
}

// An outer product is a kernel of its own, under any policy.
inline bool is_outer_product(const gemm_product& product) {
  return product.type == element_type::fp32 && product.order != layout::nt && product.shape.k == 1;
}

// The way of a product by the context's policy. Allocates nothing.
inline gemm_choice choice_for(const context& context, const gemm_product& product) {
  gemm_policy policy = context.policy();
  if (policy == gemm_policy::tuned) {
    const gemm_choice* const tuned = context.choices() ? context.choices()->find(product) : nullptr;
    if (tuned != nullptr) return *tuned;
    policy = default_gemm_policy;
  }
  if (product.shape.multiplications() <= direct_multiplications(policy)) return {{}, 1, gemm_way::loops};
  const bool by_vendor = policy == gemm_policy::vendor && !is_outer_product(product);
  return {{}, 1, by_vendor ? gemm_way::vendor : gemm_way::native};
}

// run(choice), by the way that is chosen for the product; by one after the other while somebody measures.
template <class Run>
void run_by_choice(const context& context, const gemm_product& product, const Run& run) {
  const gemm_runner runner(run);  // in both cases, so that it is compiled once
  if (context.measurement() != nullptr) {
    context.measurement()->measure(context, product, runner);
  } else {
    runner(choice_for(context, product));
  }
}

}  // namespace plexus::inline PLEXUS_ABI
