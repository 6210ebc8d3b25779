// The convolution seam, for the three passes of ConvShape. Implemented by
// conv/cudnn/conv.cpp on the GPU and conv/host/choose.cpp on the host.
//   y[n,oy,ox,o] = f(bias[o] + sum_{ky,kx,i} w[o,ky,kx,i] *
//                                            x[n, oy*s - pad + ky, ox*s - pad + kx, i])
#pragma once
#include "kernels/conv/shape.h"
#include "kernels/core/stream.h"

namespace kernels {

enum class Activation : std::uint8_t { none, leaky_relu, sigmoid };
struct ConvEpilogue {
  Activation activation = Activation::none;
  float slope = 0.1f;  // of leaky_relu
};

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
