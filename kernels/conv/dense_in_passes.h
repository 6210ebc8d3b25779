// A dense layer without an epilogue in its product: the product, then a pass over the
// bias. The host's form, and the GPU's where cuBLASLt has no plan.
#pragma once
#include "kernels/conv/dense.h"
#include "kernels/conv/gemm.h"
#include "kernels/elementwise.h"
#include "kernels/epilogue.h"

namespace kernels {

template <class D, class T>
void dense_forward_in_passes(Stream& stream, const DenseShape& s, const T* x, const T* w,
                             const T* bias, T* y) {
  gemm<D, T>(stream, Transpose::no, Transpose::yes, s.n, s.out, s.in, 1.f, x, w, 0.f, y);
  if (bias) bias_leaky_relu_forward<D, T>(stream, y, bias, y, s.n, s.out, 1.f);
}

template <class D, class T>
void dense_backward_in_passes(Stream& stream, const DenseShape& s, const T* x, const T* dy, T* dw,
                              T* dbias, PendingSums* later) {
  if (dbias)
    epilogue_backward<D, T>(stream, {}, {s.n, 1, 1, static_cast<int>(s.out)}, nullptr, dy, nullptr,
                            const_cast<T*>(dy), {&dbias, 1}, later);
  if (dw) gemm<D, T>(stream, Transpose::yes, Transpose::no, s.out, s.in, s.n, 1.f, dy, x, 0.f, dw);
}
}  // namespace kernels
