// Convolution on the host through oneDNN, for float and bf16. Each function returns
// false if oneDNN does not offer the operation on this CPU.
#pragma once
#include "kernels/conv/conv.h"

namespace kernels::onednn {

bool native_bf16();  // the CPU multiplies bf16 itself; an emulation is slower than float
bool has_amx();      // by its matrix unit, which is many times as fast

template <class T>
bool conv_forward(const ConvShape&,
                  const T* x,     // [N,H,W,I]
                  const T* w,     // [O,K,K,I]
                  const T* bias,  // [O], or null
                  T* y,           // [N,OH,OW,O]
                  const ConvEpilogue&);
template <class T> bool conv_backward_data(const ConvShape&, const T* dy, const T* w, T* dx);
template <class T> bool conv_backward_filter(const ConvShape&, const T* x, const T* dy, T* dw);
}  // namespace kernels::onednn
