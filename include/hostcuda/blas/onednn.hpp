// oneDNN, where a program is built with it: products in float, and what bf16_products.hpp needs as well. It
// takes its code by what the CPU says it can do, where a BLAS goes by the CPU's name: an OpenBLAS older than
// the CPU multiplies at a sixth of the speed.
//
// oneDNN is told to use one thread, as the BLAS is: the pool shares out tiles of C. Its C interface is used
// because its C++ header takes most of a second to compile.
#pragma once

#include <dlfcn.h>
#include <dnnl.h>

namespace hostcuda::detail::blas::onednn {

// While it lives, OpenMP, which oneDNN asks for threads, gives the present thread none but itself.
class one_thread_scope {
 public:
  one_thread_scope() : before_(calls().most != nullptr ? calls().most() : 0) { set(1); }
  one_thread_scope(const one_thread_scope&) = delete;
  one_thread_scope& operator=(const one_thread_scope&) = delete;
  ~one_thread_scope() { set(before_); }

  // Whether that can be done: a program may have an OpenMP that nobody can see.
  static bool works() {
    return DNNL_CPU_RUNTIME == DNNL_RUNTIME_SEQ ||
           (DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP && calls().set != nullptr && calls().most != nullptr);
  }

 private:
  // Null where oneDNN is built upon something else.
  struct openmp {
    void (*set)(int);
    int (*most)();
  };
  static const openmp& calls() {
    static const openmp found{reinterpret_cast<void (*)(int)>(::dlsym(RTLD_DEFAULT, "omp_set_num_threads")),
                              reinterpret_cast<int (*)()>(::dlsym(RTLD_DEFAULT, "omp_get_max_threads"))};
    return found;
  }
  static void set(int threads) {
    if (calls().set != nullptr && threads > 0) calls().set(threads);
  }

  int before_;
};

// Whether products in float are its own: on other CPUs it has but plain loops for them.
inline bool multiplies_float() {
#if defined(__x86_64__)
  return one_thread_scope::works();
#else
  return false;
#endif
}

// Column-major C (m, n) = alpha·op(A)·op(B) + beta·C by the present thread. False, with C as it was, where
// oneDNN declines. Its matrices are row-major, so that it is asked for Cᵀ = op(B)ᵀ·op(A)ᵀ.
inline bool sgemm(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha, const float* a,
                  int lda, const float* b, int ldb, float beta, float* c, int ldc) {
  if (!multiplies_float() || k == 0)
    return false;  // without depth it would leave C as it is, whatever beta says
  const one_thread_scope scope;
  return dnnl_sgemm(transpose_b ? 'T' : 'N', transpose_a ? 'T' : 'N', n, m, k, alpha, b, ldb, a, lda, beta, c,
                    ldc) == dnnl_success;
}

}  // namespace hostcuda::detail::blas::onednn
