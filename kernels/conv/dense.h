// The dense layer's seam: y = x W' + bias, and the gradients of W and bias. Implemented
// by conv/cudnn/dense_cublaslt.cpp on the GPU, where the bias is part of the matrix
// product, and conv/host/dense.cpp on the host. The gradient of x is a plain gemm.
#pragma once
#include "kernels/column_sums.h"
#include "kernels/core/stream.h"

namespace kernels {

struct DenseShape {
  std::int64_t n, in, out;
};  // rows, features of x, features of y

template <class D, class T>
void dense_forward(Stream&, const DenseShape&,
                   const T* x,     // [n,in]
                   const T* w,     // [out,in]
                   const T* bias,  // [out] or null
                   T* y);          // [n,out]

// dw = dy' x, dbias = column sums of dy. Either may be null. The second stage of the sums
// is left to finish_column_sums if `later` is given and the sums have two.
template <class D, class T>
void dense_backward_weights(Stream&, const DenseShape&,
                            const T* x,   // [n,in]
                            const T* dy,  // [n,out]
                            T* dw,        // [out,in] or null
                            T* dbias,     // [out] or null
                            PendingSums* later = nullptr);
}  // namespace kernels
