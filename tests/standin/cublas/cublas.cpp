// A stand-in for libcublas: products are recorded with the extents of their matrices.
#include <cublas_v2.h>
#include <fmt/format.h>

#include "tests/standin/record.h"

struct cublasContext {
  const void* stream = nullptr;
  void* workspace = nullptr;  // null: cuBLAS's own, which it may allocate at a product
  std::size_t workspace_bytes = 0;
  cublasMath_t mode = CUBLAS_DEFAULT_MATH;
};

namespace {

// The least that cuBLAS's documentation asks of a workspace for a stream on Hopper.
constexpr std::size_t kWorkspace = std::size_t{32} << 20;

const char* name(cudaDataType type) {
  return type == CUDA_R_32F ? "f32" : type == CUDA_R_16BF ? "bf16" : "f16";
}
std::size_t size_of(cudaDataType type) { return type == CUDA_R_32F ? 4 : 2; }

standin::Operand matrix(const char* name, const void* data, std::int64_t rows, std::int64_t columns,
                        std::int64_t stride, cudaDataType type) {
  const std::int64_t values = rows > 0 && columns > 0 ? (columns - 1) * stride + rows : 0;
  return {name, data, static_cast<std::size_t>(values) * size_of(type), size_of(type)};
}
}  // namespace

extern "C" {
cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  return *handle = new cublasContext, CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  return delete handle, CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  handle->workspace = nullptr;  // documented: the stream's own workspace again
  handle->workspace_bytes = 0;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, std::size_t bytes) {
  if (standin::faults().ignore_cublas_workspace) return CUBLAS_STATUS_SUCCESS;
  handle->workspace = workspace;
  handle->workspace_bytes = bytes;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  return handle->mode = mode, CUBLAS_STATUS_SUCCESS;
}
const char* cublasGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS ? "CUBLAS_STATUS_SUCCESS"
                                         : "CUBLAS_STATUS_EXECUTION_FAILED";
}
cublasStatus_t cublasGetProperty(libraryPropertyType type, int* value) {
  *value = type == MAJOR_VERSION   ? CUBLAS_VER_MAJOR
           : type == MINOR_VERSION ? CUBLAS_VER_MINOR
                                   : CUBLAS_VER_PATCH;
  return CUBLAS_STATUS_SUCCESS;
}

// alpha and beta are read now, as cuBLAS reads host scalars.
cublasStatus_t cublasGemmEx_64(cublasHandle_t handle, cublasOperation_t transpose_a,
                               cublasOperation_t transpose_b, int64_t m, int64_t n, int64_t k,
                               const void* alpha, const void* a, cudaDataType a_type, int64_t lda,
                               const void* b, cudaDataType b_type, int64_t ldb, const void* beta,
                               void* c, cudaDataType c_type, int64_t ldc,
                               cublasComputeType_t compute, cublasGemmAlgo_t) {
  const bool ta = transpose_a != CUBLAS_OP_N, tb = transpose_b != CUBLAS_OP_N;
  standin::Event event{.call = "cublasGemmEx", .work = true, .stream = handle->stream};
  event.text = fmt::format(
      "{}{} {}x{}x{} {}, {} * A B + {} * C, lda {}, ldb {}, ldc {}, compute {}, math mode {}",
      ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, name(a_type), *static_cast<const float*>(alpha),
      *static_cast<const float*>(beta), lda, ldb, ldc, static_cast<int>(compute),
      static_cast<int>(handle->mode));
  event.operands = {matrix("A", a, ta ? k : m, ta ? m : k, lda, a_type),
                    matrix("B", b, tb ? n : k, tb ? k : n, ldb, b_type),
                    matrix("C", c, m, n, ldc, c_type),
                    {"workspace", handle->workspace, handle->workspace_bytes, 256}};
  event.workspace_needed = kWorkspace;
  return standin::submit(handle->stream, std::move(event), {}, 8) == 0
             ? CUBLAS_STATUS_SUCCESS
             : CUBLAS_STATUS_EXECUTION_FAILED;
}
}
