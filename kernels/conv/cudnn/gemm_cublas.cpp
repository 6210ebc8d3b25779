// Matrix products on the GPU by cuBLAS, opened at run time. cuBLAS is column-major,
// where a row-major matrix is its own transpose: C = A B becomes C' = B' A', with
// swapped operands and no copies.
#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "kernels/conv/cudnn/blas.h"
#include "kernels/conv/gemm.h"
#include "kernels/core/library.h"

namespace kernels {
namespace {

class CuBlas {
 public:
  static CuBlas& get() {
    static auto* const blas = new CuBlas;  // never destroyed: at exit the driver may be gone first
    return *blas;
  }

  void gemm(Stream& stream, Transpose transpose_a, Transpose transpose_b, std::int64_t m,
            std::int64_t n, std::int64_t k, float alpha, const void* a, const void* b, float beta,
            void* c, cudaDataType type, cublasComputeType_t compute) {
    const bool ta = transpose_a == Transpose::yes, tb = transpose_b == Transpose::yes;
    const std::lock_guard lock(mutex_);
    // The stream first: cublasSetStream forgets the workspace.
    check(set_stream_(handle_, static_cast<cudaStream_t>(stream.raw())), "cublasSetStream");
    check(set_workspace_(handle_, workspace_, blas::workspace_bytes), "cublasSetWorkspace");
    check(gemm_(handle_, tb ? CUBLAS_OP_T : CUBLAS_OP_N, ta ? CUBLAS_OP_T : CUBLAS_OP_N, n, m, k,
                &alpha, b, type, std::max<std::int64_t>(tb ? k : n, 1), a, type,
                std::max<std::int64_t>(ta ? m : k, 1), &beta, c, type, n, compute,
                CUBLAS_GEMM_DEFAULT),
          fmt::format("gemm {}x{}x{}", m, n, k));
  }

 private:
  CuBlas() {
    check(create_(&handle_), "cublasCreate");
    constexpr int mode = CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
    check(set_math_mode_(handle_, static_cast<cublasMath_t>(mode)), "cublasSetMathMode");
  }
  void check(cublasStatus_t status, const std::string& what) const {
    blas::check(status, status_string_(status), what);
  }

  static Library open() {
    blas::require_gpu();
    return Library("cuBLAS", {"libcublas.so.13", "libcublas.so.12"});
  }

  const Library library_ = open();
  decltype(cublasCreate_v2)* create_ = library_.symbol("cublasCreate_v2");
  decltype(cublasSetMathMode)* set_math_mode_ = library_.symbol("cublasSetMathMode");
  decltype(cublasSetStream_v2)* set_stream_ = library_.symbol("cublasSetStream_v2");
  decltype(cublasSetWorkspace_v2)* set_workspace_ = library_.symbol("cublasSetWorkspace_v2");
  decltype(cublasGetStatusString)* status_string_ = library_.symbol("cublasGetStatusString");
  decltype(cublasGemmEx_64)* gemm_ = library_.symbol("cublasGemmEx_64");
  cublasHandle_t handle_ = nullptr;
  std::mutex mutex_;
  void* const workspace_ = blas::workspace();
};
}  // namespace

template <class D, class T>
void gemm(Stream& stream, Transpose transpose_a, Transpose transpose_b, std::int64_t m,
          std::int64_t n, std::int64_t k, float alpha, const T* a, const T* b, float beta, T* c) {
  if (m == 0 || n == 0) return;
  CuBlas::get().gemm(stream, transpose_a, transpose_b, m, n, k, alpha, a, b, beta, c,
                     blas::data_type<T>, blas::compute_type<T>());
}
template decltype(gemm<Cuda, float>) gemm<Cuda, float>;
template decltype(gemm<Cuda, bf16>) gemm<Cuda, bf16>;
template decltype(gemm<Cuda, f16>) gemm<Cuda, f16>;
}  // namespace kernels
