// The matrix product seam. Implemented by conv/cudnn/gemm_cublas.cpp on the GPU and
// conv/host/choose.cpp on the host.
//   C = alpha * op(A) * op(B) + beta * C, op(A) [m,k], op(B) [k,n], C [m,n], row-major
// Rows lie without gaps; sums are kept in compute_t<T>. C is not read if beta is 0.
#pragma once
#include "kernels/core/stream.h"

namespace kernels {

// The host multiplies bf16 at least one and a half times as fast as float: with AMX, or
// with AVX-512 BF16 at its full rate. The rate is measured once, in about 1 ms.
bool host_prefers_bf16();

enum class Transpose : bool { no, yes };

template <class D, class T>
void gemm(Stream&, Transpose transpose_a, Transpose transpose_b,  //
          std::int64_t m, std::int64_t n, std::int64_t k,         //
          float alpha,
          const T* a,  // [m,k], or [k,m] if transposed
          const T* b,  // [k,n], or [n,k] if transposed
          float beta,
          T* c);  // [m,n]
}  // namespace kernels
