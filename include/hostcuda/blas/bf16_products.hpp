// Products of bfloat16 matrices by oneDNN, on CPUs that multiply bfloat16: about twice as quick as to convert
// them and multiply in float. C = op(A)·op(B), or that added to C, which is in float.
#pragma once

#include <hostcuda/blas/onednn.hpp>
#include <hostcuda/blas/products.hpp>
#include <hostcuda/cuda_bf16.hpp>

#include <atomic>
#include <compare>
#include <cstddef>
#include <map>
#include <memory>
#include <new>
#include <string>

namespace hostcuda::detail::blas::onednn {

using product = product_of<__nv_bfloat16>;

struct failure {
  dnnl_status_t status;
};
inline void check(dnnl_status_t status) {
  if (status != dnnl_success) throw failure{status};
}

template <class T, dnnl_status_t (*Destroy)(T)>
struct destroyer {
  using pointer = T;
  void operator()(T object) const { Destroy(object); }
};
template <class T, dnnl_status_t (*Destroy)(T)>
using owned = std::unique_ptr<T, destroyer<T, Destroy>>;

using engine = owned<dnnl_engine_t, dnnl_engine_destroy>;
using stream = owned<dnnl_stream_t, dnnl_stream_destroy>;
using memory = owned<dnnl_memory_t, dnnl_memory_destroy>;
using primitive = owned<dnnl_primitive_t, dnnl_primitive_destroy>;
using primitive_descriptor = owned<dnnl_primitive_desc_t, dnnl_primitive_desc_destroy>;
using attributes = owned<dnnl_primitive_attr_t, dnnl_primitive_attr_destroy>;
using post_operations = owned<dnnl_post_ops_t, dnnl_post_ops_destroy>;

// What `create(&object, arguments...)` makes.
template <class Owned, class Create, class... Arguments>
Owned make(Create create, Arguments... arguments) {
  typename Owned::pointer object{};
  check(create(&object, arguments...));
  return Owned(object);
}

// Never destroyed: the pool's threads, and what they keep, may outlive static objects.
inline dnnl_engine_t cpu() {
  static const dnnl_engine_t made = make<engine>(dnnl_engine_create, dnnl_cpu, std::size_t{0}).release();
  return made;
}

// A matrix (rows, cols) whose elements lie `down` and `across` apart.
struct layout {
  dnnl_dims_t sizes{}, steps{};
  dnnl_data_type_t type;

  layout(dnnl_data_type_t of, int rows, int cols, int down, int across) : type(of) {
    sizes[0] = rows, sizes[1] = cols;
    steps[0] = down, steps[1] = across;
  }
};

#if DNNL_VERSION_MAJOR >= 3
using descriptor = owned<dnnl_memory_desc_t, dnnl_memory_desc_destroy>;
inline descriptor describe(const layout& x) {
  return make<descriptor>(dnnl_memory_desc_create_with_strides, 2, x.sizes, x.type, x.steps);
}
inline memory memory_of(const descriptor& x) {
  return make<memory>(dnnl_memory_create, x.get(), cpu(), nullptr);
}
inline void append_sum(const post_operations& to) {
  check(dnnl_post_ops_append_sum(to.get(), 1, 0, dnnl_data_type_undef));
}
inline primitive_descriptor describe_product(const descriptor& a, const descriptor& b, const descriptor& c,
                                             const attributes& with) {
  return make<primitive_descriptor>(dnnl_matmul_primitive_desc_create, cpu(), a.get(), b.get(), nullptr,
                                    c.get(), with.get());
}
#else
using descriptor = dnnl_memory_desc_t;
inline descriptor describe(const layout& x) {
  descriptor made;
  check(dnnl_memory_desc_init_by_strides(&made, 2, x.sizes, x.type, x.steps));
  return made;
}
inline memory memory_of(const descriptor& x) { return make<memory>(dnnl_memory_create, &x, cpu(), nullptr); }
inline void append_sum(const post_operations& to) { check(dnnl_post_ops_append_sum(to.get(), 1)); }
inline primitive_descriptor describe_product(const descriptor& a, const descriptor& b, const descriptor& c,
                                             const attributes& with) {
  dnnl_matmul_desc_t operation;
  check(dnnl_matmul_desc_init(&operation, &a, &b, nullptr, &c));
  return make<primitive_descriptor>(dnnl_primitive_desc_create, &operation, with.get(), cpu(), nullptr);
}
#endif

// All of a product but where its matrices lie.
struct kind {
  int m, n, k, lda, ldb, ldc;
  bool a_transposed, b_transposed, adds;

  explicit kind(const product& p)
      : m(p.m),
        n(p.n),
        k(p.k),
        lda(p.a.ld),
        ldb(p.b.ld),
        ldc(p.ldc),
        a_transposed(p.a.transposed),
        b_transposed(p.b.transposed),
        adds(p.beta != 0) {}
  friend auto operator<=>(const kind&, const kind&) = default;
};

// The code that oneDNN makes for a kind of product. Its matrices are row-major, so that it is asked for
// Cᵀ = op(B)ᵀ·op(A)ᵀ.
class compiled_product {
 public:
  explicit compiled_product(const kind& p) {
    const auto operand = [](int rows, int cols, int ld, bool is_transposed) {
      return layout(dnnl_bf16, rows, cols, is_transposed ? 1 : ld, is_transposed ? ld : 1);
    };
    const descriptor a = describe(operand(p.k, p.m, p.lda, p.a_transposed));
    const descriptor b = describe(operand(p.n, p.k, p.ldb, p.b_transposed));
    const descriptor c = describe(layout(dnnl_f32, p.n, p.m, p.ldc, 1));
    const attributes with = make<attributes>(dnnl_primitive_attr_create);
    if (p.adds) {
      const post_operations after = make<post_operations>(dnnl_post_ops_create);
      append_sum(after);
      check(dnnl_primitive_attr_set_post_ops(with.get(), after.get()));
    }
    primitive_ = make<primitive>(dnnl_primitive_create, describe_product(b, a, c, with).get());
    a_ = memory_of(a), b_ = memory_of(b), c_ = memory_of(c);
  }

  void run(dnnl_stream_t on, const product& p) const {
    check(dnnl_memory_set_data_handle(a_.get(), const_cast<__nv_bfloat16*>(p.a.data)));
    check(dnnl_memory_set_data_handle(b_.get(), const_cast<__nv_bfloat16*>(p.b.data)));
    check(dnnl_memory_set_data_handle(c_.get(), p.c));
    const dnnl_exec_arg_t arguments[] = {
        {DNNL_ARG_SRC, b_.get()}, {DNNL_ARG_WEIGHTS, a_.get()}, {DNNL_ARG_DST, c_.get()}};
    check(dnnl_primitive_execute(primitive_.get(), on, 3, arguments));
    check(dnnl_stream_wait(on));
  }

 private:
  primitive primitive_;
  memory a_, b_, c_;
};

// On the present thread, which keeps the code that it has made; a program that goes on to ever other sizes
// begins anew.
inline void multiply_alone(const product& p) {
  constexpr std::size_t most_kept = 256;
  static thread_local const stream own = make<stream>(dnnl_stream_create, cpu(), dnnl_stream_default_flags);
  static thread_local std::map<kind, compiled_product> compiled;
  const one_thread_scope scope;
  const kind wanted(p);
  if (compiled.size() >= most_kept && !compiled.contains(wanted)) compiled.clear();
  compiled.try_emplace(wanted, wanted).first->second.run(own.get(), p);
}

// Whether the CPU multiplies bfloat16, and the product is one that oneDNN has, large enough for it.
inline bool suits(const product& p) {
  static const bool has_bf16 =
      one_thread_scope::works() &&
      (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
  constexpr double least_flops = 1e5;
  return has_bf16 && p.alpha == 1 && (p.beta == 0 || p.beta == 1) && p.flops() >= least_flops;
}

inline cudaError_t multiply(const product& p) {
  std::atomic<dnnl_status_t> status{dnnl_success};
  const auto part = [&](const product& tile) noexcept {
    try {
      multiply_alone(tile);
    } catch (const failure& failed) {
      status = failed.status;
    } catch (const std::bad_alloc&) {
      status = dnnl_out_of_memory;
    }
  };
  if (worth_sharing(p)) {
    const tiling tiles(p);
    pool().share(tiles.count(), [&](std::size_t number) { part(tiles.part(p, number)); });
  } else {
    part(p);
  }
  if (status == dnnl_success) return cudaSuccess;
  return fail(status == dnnl_out_of_memory ? cudaErrorMemoryAllocation : cudaErrorUnknown,
              "cublasGemmEx: oneDNN failed to multiply bfloat16 matrices, with status " +
                  std::to_string(status) + "; build without HOSTCUDA_ONEDNN");
}

}  // namespace hostcuda::detail::blas::onednn
