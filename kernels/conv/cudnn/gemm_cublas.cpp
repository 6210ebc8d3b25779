// Matrix products on the GPU: cuBLAS, opened at run time. cuBLAS is column-major: a row-major matrix is its own transpose there,
// so C = A B is asked for as C' = B' A', with the operands swapped and nothing moved.
#include <cublas_v2.h>
#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "kernels/conv/gemm.h"
#include "kernels/core/library.h"
#include "kernels/core/math_mode.h"
#include "kernels/core/memory.h"

namespace kernels {
namespace {

class CuBlas {
 public:
  static CuBlas& get() {
    static auto* const blas =
        new CuBlas;  // never destroyed: at exit the driver may be gone before it
    return *blas;
  }

  void gemm(Stream& stream, bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n,
            std::int64_t k, float alpha, const void* a, const void* b, float beta, void* c,
            cudaDataType type, cublasComputeType_t compute) {
    const std::lock_guard lock(mutex_);
    check(set_stream_(handle_, static_cast<cudaStream_t>(stream.raw())),
          "cublasSetStream");  // forgets the workspace, so that comes second
    check(set_workspace_(handle_, workspace_.data(), workspace_.bytes()), "cublasSetWorkspace");
    check(gemm_(handle_, transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, n, m, k, &alpha, b, type,
                std::max<std::int64_t>(transpose_b ? k : n, 1), a, type,
                std::max<std::int64_t>(transpose_a ? m : k, 1), &beta, c, type, n, compute,
                CUBLAS_GEMM_DEFAULT),
          fmt::format("gemm {}x{}x{}", m, n, k));
  }

 private:
  CuBlas() {
    if (const CudaReport gpu = probe_cuda(); !gpu.available)
      throw Error(ErrorKind::device,
                  "no GPU to run cuBLAS on: " + gpu.reason);  // before 600 MB are loaded
    const Library library("cuBLAS", {"libcublas.so.13", "libcublas.so.12"});
    decltype(cublasCreate_v2)* create;
    decltype(cublasSetMathMode)* set_math_mode;
    library.load(create, "cublasCreate_v2");
    library.load(set_math_mode, "cublasSetMathMode");
    library.load(set_stream_, "cublasSetStream_v2");
    library.load(set_workspace_, "cublasSetWorkspace_v2");
    library.load(status_string_, "cublasGetStatusString");
    library.load(gemm_, "cublasGemmEx_64");
    check(create(&handle_), "cublasCreate");
    check(set_math_mode(
              handle_, static_cast<cublasMath_t>(CUBLAS_DEFAULT_MATH |
                                                 CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION)),
          "cublasSetMathMode");
    workspace_ = Buffer(
        Device::cuda,
        32 << 20);  // cuBLAS's own would be allocated inside a graph capture; 32 MB is what it wants on Hopper
  }
  void check(cublasStatus_t status, const std::string& what) const {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    throw Error(status == CUBLAS_STATUS_ALLOC_FAILED ? ErrorKind::memory : ErrorKind::failure,
                fmt::format("{} failed: {}", what, status_string_(status)));
  }

  cublasHandle_t handle_ = nullptr;
  std::mutex mutex_;
  Buffer workspace_;
  decltype(cublasSetStream_v2)* set_stream_ = nullptr;
  decltype(cublasSetWorkspace_v2)* set_workspace_ = nullptr;
  decltype(cublasGetStatusString)* status_string_ = nullptr;
  decltype(cublasGemmEx_64)* gemm_ = nullptr;
};

}  // namespace

template <class D, class T>
void gemm(Stream& stream, Transpose transpose_a, Transpose transpose_b, std::int64_t m,
          std::int64_t n, std::int64_t k, float alpha, const T* a, const T* b, float beta, T* c) {
  if (m == 0 || n == 0) return;
  constexpr bool is_float = std::is_same_v<T, float>;
  CuBlas::get().gemm(stream, transpose_a == Transpose::yes, transpose_b == Transpose::yes, m, n, k,
                     alpha, a, b, beta, c,
                     is_float                  ? CUDA_R_32F
                     : std::is_same_v<T, bf16> ? CUDA_R_16BF
                                               : CUDA_R_16F,
                     is_float && allow_tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F);
}

template void gemm<Cuda, float>(Stream&, Transpose, Transpose, std::int64_t, std::int64_t,
                                std::int64_t, float, const float*, const float*, float, float*);
template void gemm<Cuda, f16>(Stream&, Transpose, Transpose, std::int64_t, std::int64_t,
                              std::int64_t, float, const f16*, const f16*, float, f16*);
template void gemm<Cuda, bf16>(Stream&, Transpose, Transpose, std::int64_t, std::int64_t,
                               std::int64_t, float, const bf16*, const bf16*, float, bf16*);

}  // namespace kernels
