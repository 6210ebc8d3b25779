// The dense layer on the GPU by cuBLASLt, opened at run time: the bias is added, and its
// gradient summed, inside the matrix product. Where cuBLASLt has no such kernel for a
// type or shape, cuBLAS multiplies and a kernel of ours does the bias.
//
// cuBLASLt is column-major, where a row-major matrix is its own transpose:
//   forward   y' [out,n] = (w')' x', the bias along the rows of y'
//   backward  dw' [in,out] = x' (dy')', dbias = sums of the right factor over n (BGRADB)
#include <cublasLt.h>
#include <fmt/format.h>

#include <map>
#include <mutex>
#include <optional>
#include <tuple>

#include "kernels/conv/cudnn/blas.h"
#include "kernels/conv/dense_in_passes.h"
#include "kernels/core/error.h"
#include "kernels/core/library.h"

namespace kernels {
namespace {

// D [m,n] = op(A) op(B), column-major, with a bias vector.
struct Product {
  cublasLtEpilogue_t epilogue;
  cublasOperation_t op_a, op_b;
  std::int64_t m, n, k;
  cudaDataType type;
  cublasComputeType_t compute;
  int alignment;  // bytes, of every operand

  auto key() const { return std::tuple(epilogue, op_a, op_b, m, n, k, type, compute, alignment); }
  bool operator<(const Product& other) const { return key() < other.key(); }
  std::string str() const { return fmt::format("cuBLASLt product {}x{}x{}", m, n, k); }
};
struct ProductOperands {
  const void *a, *b;
  void *d, *bias;  // a bias gradient is written
};

class CuBlasLt {
 public:
  static CuBlasLt& get() {
    static auto* const blas = new CuBlasLt;  // never destroyed: the driver may be gone first
    return *blas;
  }

  // False if cuBLASLt has no kernel for it. A product met first is planned, which takes
  // milliseconds and no memory on the device.
  bool run(Stream& stream, const Product& product, const ProductOperands& o) {
    const std::lock_guard lock(mutex_);
    auto found = plans_.find(product);
    if (found == plans_.end()) found = plans_.emplace(product, plan(product, o)).first;
    const std::optional<Plan>& plan = found->second;
    if (!plan) return false;
    set(plan->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, o.bias);
    const float alpha = 1.f, beta = 0.f;
    check(matmul_(handle_, plan->operation, &alpha, o.a, plan->a, o.b, plan->b, &beta, o.d, plan->d,
                  o.d, plan->d, &plan->algorithm, workspace_, blas::workspace_bytes,
                  static_cast<cudaStream_t>(stream.raw())),
          product.str());
    return true;
  }

 private:
  struct Plan {  // kept for the life of the process
    cublasLtMatmulDesc_t operation = nullptr;
    cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;
    cublasLtMatmulAlgo_t algorithm{};
  };

  CuBlasLt() { check(create_(&handle_), "cublasLtCreate"); }

  void check(cublasStatus_t status, const std::string& what) const {
    blas::check(status, status_string_(status), what);
  }
  template <class V>
  void set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t which, const V& value) const {
    check(set_operation_(desc, which, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
  }
  template <class V>
  void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t which,
           const V& value) const {
    check(set_preference_(preference, which, &value, sizeof value),
          "cublasLtMatmulPreferenceSetAttribute");
  }
  cublasLtMatrixLayout_t layout(cudaDataType type, std::int64_t rows, std::int64_t columns) const {
    cublasLtMatrixLayout_t made = nullptr;
    check(create_layout_(&made, type, static_cast<std::uint64_t>(rows),
                         static_cast<std::uint64_t>(columns), rows),
          "cublasLtMatrixLayoutCreate");
    return made;
  }

  // Sums split over k are added in float, in a fixed order.
  cublasLtMatmulPreference_t preference(int alignment) const {
    cublasLtMatmulPreference_t made = nullptr;
    check(create_preference_(&made), "cublasLtMatmulPreferenceCreate");
    set(made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, blas::workspace_bytes);
    set(made, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
        std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    for (const auto which :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      set(made, which, static_cast<std::uint32_t>(alignment));
    return made;
  }

  std::optional<Plan> plan(const Product& p, const ProductOperands& o) const {
    Plan made;
    check(create_operation_(&made.operation, p.compute, CUDA_R_32F), "cublasLtMatmulDescCreate");
    set(made.operation, CUBLASLT_MATMUL_DESC_TRANSA, p.op_a);
    set(made.operation, CUBLASLT_MATMUL_DESC_TRANSB, p.op_b);
    set(made.operation, CUBLASLT_MATMUL_DESC_EPILOGUE, p.epilogue);
    set(made.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, o.bias);
    const bool ta = p.op_a == CUBLAS_OP_T, tb = p.op_b == CUBLAS_OP_T;
    made.a = layout(p.type, ta ? p.k : p.m, ta ? p.m : p.k);
    made.b = layout(p.type, tb ? p.n : p.k, tb ? p.k : p.n);
    made.d = layout(p.type, p.m, p.n);
    const cublasLtMatmulPreference_t wish = preference(p.alignment);
    cublasLtMatmulHeuristicResult_t best{};
    int count = 0;
    const cublasStatus_t status =
        heuristic_(handle_, made.operation, made.a, made.b, made.d, made.d, wish, 1, &best, &count);
    destroy_preference_(wish);
    if (status == CUBLAS_STATUS_SUCCESS && count > 0 && best.state == CUBLAS_STATUS_SUCCESS) {
      made.algorithm = best.algo;
      return made;
    }
    destroy_operation_(made.operation);
    for (const cublasLtMatrixLayout_t unused : {made.a, made.b, made.d}) destroy_layout_(unused);
    return std::nullopt;
  }

  static Library open() {
    blas::require_gpu();
    return Library("cuBLASLt", {"libcublasLt.so.13", "libcublasLt.so.12"});
  }

  const Library library_ = open();
  decltype(cublasLtCreate)* create_ = library_.symbol("cublasLtCreate");
  decltype(cublasLtGetStatusString)* status_string_ = library_.symbol("cublasLtGetStatusString");
  decltype(cublasLtMatmul)* matmul_ = library_.symbol("cublasLtMatmul");
  decltype(cublasLtMatmulAlgoGetHeuristic)* heuristic_ =
      library_.symbol("cublasLtMatmulAlgoGetHeuristic");
  decltype(cublasLtMatmulDescCreate)* create_operation_ =
      library_.symbol("cublasLtMatmulDescCreate");
  decltype(cublasLtMatmulDescDestroy)* destroy_operation_ =
      library_.symbol("cublasLtMatmulDescDestroy");
  decltype(cublasLtMatmulDescSetAttribute)* set_operation_ =
      library_.symbol("cublasLtMatmulDescSetAttribute");
  decltype(cublasLtMatrixLayoutCreate)* create_layout_ =
      library_.symbol("cublasLtMatrixLayoutCreate");
  decltype(cublasLtMatrixLayoutDestroy)* destroy_layout_ =
      library_.symbol("cublasLtMatrixLayoutDestroy");
  decltype(cublasLtMatmulPreferenceCreate)* create_preference_ =
      library_.symbol("cublasLtMatmulPreferenceCreate");
  decltype(cublasLtMatmulPreferenceDestroy)* destroy_preference_ =
      library_.symbol("cublasLtMatmulPreferenceDestroy");
  decltype(cublasLtMatmulPreferenceSetAttribute)* set_preference_ =
      library_.symbol("cublasLtMatmulPreferenceSetAttribute");
  cublasLtHandle_t handle_ = nullptr;
  std::mutex mutex_;
  void* const workspace_ = blas::workspace();
  std::map<Product, std::optional<Plan>> plans_;
};

// The largest power of two, up to 256, that divides every address.
int alignment_of(const ProductOperands& o) {
  std::uintptr_t bits = 256;
  for (const void* operand : {o.a, o.b, static_cast<const void*>(o.d)})
    bits |= reinterpret_cast<std::uintptr_t>(operand);
  return static_cast<int>(bits & (~bits + 1));
}
}  // namespace

template <class D, class T>
void dense_forward(Stream& stream, const DenseShape& s, const T* x, const T* w, const T* bias,
                   T* y) {
  if (s.n == 0 || s.out == 0) return;
  if (bias && s.in > 0) {
    const ProductOperands operands{w, x, y, const_cast<T*>(bias)};
    if (CuBlasLt::get().run(stream,
                            {CUBLASLT_EPILOGUE_BIAS, CUBLAS_OP_T, CUBLAS_OP_N, s.out, s.n, s.in,
                             blas::data_type<T>, blas::compute_type<T>(), alignment_of(operands)},
                            operands))
      return;
  }
  dense_forward_in_passes<D, T>(stream, s, x, w, bias, y);
}

template <class D, class T>
void dense_backward_weights(Stream& stream, const DenseShape& s, const T* x, const T* dy, T* dw,
                            T* dbias, PendingSums* later) {
  if (dw && dbias && s.n > 0 && s.in > 0 && s.out > 0) {
    const ProductOperands operands{x, dy, dw, dbias};
    if (CuBlasLt::get().run(stream,
                            {CUBLASLT_EPILOGUE_BGRADB, CUBLAS_OP_N, CUBLAS_OP_T, s.in, s.out, s.n,
                             blas::data_type<T>, blas::compute_type<T>(), alignment_of(operands)},
                            operands))
      return;
  }
  dense_backward_in_passes<D, T>(stream, s, x, dy, dw, dbias, later);
}

#define INSTANTIATE(T)                                              \
  template decltype(dense_forward<Cuda, T>) dense_forward<Cuda, T>; \
  template decltype(dense_backward_weights<Cuda, T>) dense_backward_weights<Cuda, T>;
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)
#undef INSTANTIATE
}  // namespace kernels
