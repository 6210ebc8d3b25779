// Convolution on the host by im2col and the blocked GEMM: every shape and type.
#pragma once
#include "kernels/conv/conv.h"

namespace kernels::im2col_gemm {

template <class T>
void conv_forward(const ConvShape&,
                  const T* x,     // [N,H,W,I]
                  const T* w,     // [O,K,K,I]
                  const T* bias,  // [O], or null
                  T* y,           // [N,OH,OW,O]
                  const ConvEpilogue&);
template <class T> void conv_backward_data(const ConvShape&, const T* dy, const T* w, T* dx);
template <class T> void conv_backward_filter(const ConvShape&, const T* x, const T* dy, T* dw);
}  // namespace kernels::im2col_gemm
