#include "kernels/conv/cudnn/blas.h"

#include <fmt/format.h>

#include "kernels/core/error.h"
#include "kernels/core/memory.h"

namespace kernels::blas {

void* workspace() {
  static auto* const buffer =
      new Buffer(Device::cuda, workspace_bytes);  // never freed, as the handles
  return buffer->data();
}

void require_gpu() {
  const CudaReport gpu = probe_cuda();
  if (!gpu.available) throw Error(ErrorKind::device, "no GPU to run cuBLAS on: " + gpu.reason);
}

void check(cublasStatus_t status, const char* text, const std::string& what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(status == CUBLAS_STATUS_ALLOC_FAILED ? ErrorKind::memory : ErrorKind::failure,
              fmt::format("{} failed: {}", what, text));
}
}  // namespace kernels::blas
