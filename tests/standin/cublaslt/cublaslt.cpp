// A stand-in for libcublasLt: products with their epilogue are recorded with the extents
// of their matrices. Its heuristics name one algorithm, which needs part of the offered
// workspace.
#include <cublasLt.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "tests/standin/record.h"

namespace {

// Behind every handle: its attributes, and what it was created with.
struct Settings {
  cudaDataType type = CUDA_R_32F;  // of a layout; of an operation, its scalars'
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  std::int64_t rows = 0, columns = 0, stride = 0;
  std::map<int, std::uint64_t> values;

  template <class V> V get(int attribute, V otherwise) const {
    const auto found = values.find(attribute);
    if (found != values.end()) std::memcpy(&otherwise, &found->second, sizeof otherwise);
    return otherwise;
  }
};
template <class Handle> Settings& behind(Handle handle) {
  return *reinterpret_cast<Settings*>(handle);
}
template <class Handle> const Settings& read(Handle handle) {
  return *reinterpret_cast<const Settings*>(handle);
}
template <class Handle> cublasStatus_t make(Handle* handle, Settings settings = {}) {
  *handle = reinterpret_cast<Handle>(new Settings(std::move(settings)));
  return CUBLAS_STATUS_SUCCESS;
}
template <class Handle> cublasStatus_t destroy(Handle handle) {
  return delete reinterpret_cast<Settings*>(handle), CUBLAS_STATUS_SUCCESS;
}
template <class Handle>
cublasStatus_t set(Handle handle, int attribute, const void* value, std::size_t bytes) {
  if (bytes > sizeof(std::uint64_t)) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&behind(handle).values[attribute], value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

std::size_t size_of(cudaDataType type) { return type == CUDA_R_32F ? 4 : 2; }
const char* name(cudaDataType type) {
  return type == CUDA_R_32F ? "f32" : type == CUDA_R_16BF ? "bf16" : "f16";
}
standin::Operand matrix(const char* name, const void* data, const Settings& layout) {
  const std::int64_t values = (layout.columns - 1) * layout.stride + layout.rows;
  return {name, data, static_cast<std::size_t>(values) * size_of(layout.type),
          size_of(layout.type)};
}

// Any number but zero shows that the caller passes on what it was told.
std::size_t workspace_of(const Settings& d) {
  return std::min<std::size_t>(static_cast<std::size_t>(d.rows * d.columns) * 4,
                               std::size_t{4} << 20);
}
}  // namespace

extern "C" {
cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) { return make(handle); }
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) { return destroy(handle); }
const char* cublasLtGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS ? "CUBLAS_STATUS_SUCCESS"
                                         : "CUBLAS_STATUS_EXECUTION_FAILED";
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  Settings settings;
  settings.compute = compute;
  settings.type = scale;
  return make(desc, std::move(settings));
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) { return destroy(desc); }
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t bytes) {
  return set(desc, attribute, value, bytes);
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          std::uint64_t rows, std::uint64_t columns,
                                          std::int64_t stride) {
  Settings settings;
  settings.type = type;
  settings.rows = static_cast<std::int64_t>(rows);
  settings.columns = static_cast<std::int64_t>(columns);
  settings.stride = stride;
  return make(layout, std::move(settings));
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  return destroy(layout);
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, std::size_t bytes) {
  return set(layout, attribute, value, bytes);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  return make(preference);
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  return destroy(preference);
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  return set(preference, attribute, value, bytes);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int most,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* count) {
  const std::size_t needed = workspace_of(read(d));
  const auto offered =
      read(preference).get<std::uint64_t>(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, 0);
  *count = most > 0 && needed <= offered ? 1 : 0;
  if (*count == 0) return CUBLAS_STATUS_NOT_SUPPORTED;
  results[0] = {};
  results[0].workspaceSize = needed;
  results[0].state = CUBLAS_STATUS_SUCCESS;
  return CUBLAS_STATUS_SUCCESS;
}

// A bias gradient is written by two of the epilogues, a bias is read by the others.
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t operation, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t*,
                              void* workspace, std::size_t workspace_bytes, cudaStream_t stream) {
  const Settings& o = read(operation);
  const Settings &la = read(a_layout), &lb = read(b_layout), &ld = read(d_layout);
  const bool ta = o.get<std::int32_t>(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_N) != CUBLAS_OP_N,
             tb = o.get<std::int32_t>(CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N) != CUBLAS_OP_N;
  const std::int64_t k = ta ? la.rows : la.columns;
  if (ld.rows != (ta ? la.columns : la.rows) || ld.columns != (tb ? lb.rows : lb.columns) ||
      k != (tb ? lb.columns : lb.rows))
    return CUBLAS_STATUS_INVALID_VALUE;
  const auto epilogue =
      o.get<std::uint32_t>(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_DEFAULT);
  const float factor = *static_cast<const float*>(beta);
  standin::Event event{.call = "cublasLtMatmul", .work = true};
  event.text =
      fmt::format("{}{} {}x{}x{} {}, {} * A B + {} * C, epilogue {}, compute {}", ta ? 'T' : 'N',
                  tb ? 'T' : 'N', ld.rows, ld.columns, k, name(ld.type),
                  *static_cast<const float*>(alpha), factor, epilogue, static_cast<int>(o.compute));
  event.operands = {matrix("A", a, la), matrix("B", b, lb), matrix("D", d, ld)};
  if (factor != 0) event.operands.push_back(matrix("C", c, read(c_layout)));
  if (epilogue != CUBLASLT_EPILOGUE_DEFAULT) {
    const std::int64_t values = epilogue == CUBLASLT_EPILOGUE_BGRADB ? ld.columns : ld.rows;
    event.operands.push_back(
        {"bias", o.get<const void*>(CUBLASLT_MATMUL_DESC_BIAS_POINTER, nullptr),
         static_cast<std::size_t>(values) * size_of(ld.type), size_of(ld.type)});
  }
  event.workspace_needed = workspace_of(ld);
  event.operands.push_back({"workspace", workspace, workspace_bytes, 256});
  return standin::submit(stream, std::move(event), {}, 8) == 0 ? CUBLAS_STATUS_SUCCESS
                                                               : CUBLAS_STATUS_EXECUTION_FAILED;
}
}
