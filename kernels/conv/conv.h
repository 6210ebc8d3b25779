// The convolution seam, for the three passes of ConvShape. Implemented by
// conv/cudnn/conv.cpp on the GPU and conv/host/choose.cpp on the host.
//   y[n,oy,ox,o] = f(bias[o] + sum_{ky,kx,i} w[o,ky,kx,i] *
//                                            x[n, oy*s - pad + ky, ox*s - pad + kx, i])
#pragma once
#include <cmath>

#include "kernels/conv/shape.h"
#include "kernels/core/stream.h"

namespace kernels {

enum class Activation : std::uint8_t { none, leaky_relu, sigmoid };
struct ConvEpilogue {
  Activation activation = Activation::none;
  float slope = 0.1f;  // of leaky_relu
};
template <class C> C activate(C v, const ConvEpilogue& epilogue) {
  switch (epilogue.activation) {
    case Activation::leaky_relu: return v > C(0) ? v : C(epilogue.slope) * v;
    case Activation::sigmoid: return C(1) / (C(1) + std::exp(-v));
    case Activation::none: break;
  }
  return v;
}

template <class D, class T>
void conv_forward(Stream&, const ConvShape&,
                  const T* x,     // [N,H,W,I]
                  const T* w,     // [O,K,K,I]
                  const T* bias,  // [O], or null
                  T* y,           // [N,OH,OW,O], assigned
                  const ConvEpilogue&);
template <class D, class T>
void conv_backward_data(Stream&, const ConvShape&,
                        const T* dy,  // [N,OH,OW,O]
                        const T* w,   // [O,K,K,I]
                        T* dx);       // [N,H,W,I], assigned
template <class D, class T>
void conv_backward_filter(Stream&, const ConvShape&,
                          const T* x,   // [N,H,W,I]
                          const T* dy,  // [N,OH,OW,O]
                          T* dw);       // [O,K,K,I], assigned
}  // namespace kernels
