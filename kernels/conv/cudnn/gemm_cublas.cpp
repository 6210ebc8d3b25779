// Matrix products on the GPU by cuBLAS, opened at run time. cuBLAS is column-major,
// where a row-major matrix is its own transpose: C = A B becomes C' = B' A', with
// swapped operands and no copies.
#include <cublas_v2.h>
#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "kernels/conv/gemm.h"
#include "kernels/core/device.h"
#include "kernels/core/library.h"
#include "kernels/core/memory.h"

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
    check(set_workspace_(handle_, workspace_.data(), workspace_.bytes()), "cublasSetWorkspace");
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
    // cuBLAS would allocate its own inside a graph capture. Hopper needs 32 MB.
    workspace_ = Buffer(Device::cuda, 32 << 20);
  }
  void check(cublasStatus_t status, const std::string& what) const {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    throw Error(status == CUBLAS_STATUS_ALLOC_FAILED ? ErrorKind::memory : ErrorKind::failure,
                fmt::format("{} failed: {}", what, status_string_(status)));
  }

  static Library open() {
    const CudaReport gpu = probe_cuda();  // before cuBLAS's 600 MB are loaded
    if (!gpu.available) throw Error(ErrorKind::device, "no GPU to run cuBLAS on: " + gpu.reason);
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
  Buffer workspace_;
};

template <class T> constexpr cudaDataType data_type = CUDA_R_32F;
template <> constexpr cudaDataType data_type<bf16> = CUDA_R_16BF;
template <> constexpr cudaDataType data_type<f16> = CUDA_R_16F;
}  // namespace

template <class D, class T>
void gemm(Stream& stream, Transpose transpose_a, Transpose transpose_b, std::int64_t m,
          std::int64_t n, std::int64_t k, float alpha, const T* a, const T* b, float beta, T* c) {
  if (m == 0 || n == 0) return;
  const bool tf32 = std::is_same_v<T, float> && allow_tf32;
  CuBlas::get().gemm(stream, transpose_a, transpose_b, m, n, k, alpha, a, b, beta, c, data_type<T>,
                     tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F);
}
template decltype(gemm<Cuda, float>) gemm<Cuda, float>;
template decltype(gemm<Cuda, bf16>) gemm<Cuda, bf16>;
template decltype(gemm<Cuda, f16>) gemm<Cuda, f16>;
}  // namespace kernels
