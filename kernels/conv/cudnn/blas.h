// For cuBLAS and cuBLASLt: types, and the workspace that both use. Their calls follow
// each other on one stream, so one workspace serves all.
#pragma once
#include <cublas_v2.h>

#include <type_traits>

#include "kernels/core/device.h"
#include "kernels/core/types.h"

namespace kernels::blas {

// On the GPU. cuBLAS would allocate its own inside a graph capture. Hopper needs 32 MB.
constexpr std::size_t workspace_bytes = 32 << 20;
void* workspace();

// The first time, before cuBLAS's 600 MB are loaded: throws Error(device) without a GPU.
void require_gpu();

// Throws Error unless the status is success.
void check(cublasStatus_t, const char* status, const std::string& what);

template <class T> constexpr cudaDataType data_type = CUDA_R_32F;
template <> inline constexpr cudaDataType data_type<bf16> = CUDA_R_16BF;
template <> inline constexpr cudaDataType data_type<f16> = CUDA_R_16F;

template <class T> cublasComputeType_t compute_type() {
  return std::is_same_v<T, float> && allow_tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}
}  // namespace kernels::blas
