// Turns a CUDA runtime error into an Error. Needs the CUDA toolkit.
#pragma once
#include <cuda_runtime.h>

#include <string>

#include "kernels/core/error.h"

namespace kernels::cuda {

// A fault in a kernel. It is noticed late, and every later call of the process returns it.
bool is_sticky(cudaError_t);
// Throws Error with `what`, CUDA's text and, after a fault, the way to the kernel at
// fault.
[[noreturn]] void fail(cudaError_t, const std::string& what);
inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) fail(error, std::string(what) + " failed");
}

// In a scope of library calls that may fail: CUDA's last error, which they leave behind,
// is not taken for a later call's. A fault of the device stays.
struct ClearErrors {
  ~ClearErrors() { cudaGetLastError(); }
};
}  // namespace kernels::cuda
