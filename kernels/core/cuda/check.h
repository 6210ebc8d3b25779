// Turns a CUDA runtime error into an Error. Needs the CUDA toolkit.
#pragma once
#include <cuda_runtime.h>

#include <string>

#include "kernels/core/error.h"

namespace kernels::cuda {

inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  const ErrorKind kind =
      error == cudaErrorMemoryAllocation ? ErrorKind::memory : ErrorKind::failure;
  throw Error(kind, std::string(what) + " failed: " + cudaGetErrorString(error) + " (" +
                        cudaGetErrorName(error) + ")");
}
}  // namespace kernels::cuda
