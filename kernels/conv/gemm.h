// The matrix product seam: cuBLAS on the GPU, oneDNN on the host, a blocked loop of ours where oneDNN is absent or T is double.
//   C = alpha * op(A) * op(B) + beta * C, row-major: op(A) is [m,k], op(B) is [k,n], C is [m,n].
// Row pitches are the stored matrix's number of columns. Sums in compute_t<T>.
#pragma once
#include "kernels/core/stream.h"

namespace kernels {

enum class Transpose : bool { no, yes };

template <class D, class T>
void gemm(Stream&, Transpose transpose_a, Transpose transpose_b, std::int64_t m, std::int64_t n,
          std::int64_t k, float alpha, const T* a /*[m,k], or [k,m] if transposed*/,
          const T* b /*[k,n], or [n,k] if transposed*/, float beta, T* c /*[m,n]*/);

}  // namespace kernels
