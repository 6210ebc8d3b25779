// Depthwise convolution: every channel has a small filter of its own. A 1x1 convolution
// after it makes a separable convolution, which costs 1/C' + 1/K^2 of a full one (C'
// output channels, K*K taps).
#pragma once
#include "kernels/layout.h"

namespace kernels {

// y[n,oy,ox,c] = sum_{ky,kx} x[n, oy*s - pad_top + ky, ox*s - pad_left + kx, c] *
// w[ky,kx,c], with zeros outside x.
template <class D, class T>
void depthwise_forward(Stream&, const PatchShape&,
                       const T* x,  // [N,H,W,C]
                       const T* w,  // [KH,KW,C]
                       T* y);       // [N,OH,OW,C]
// The gradients, assigned and not added.
template <class D, class T>
void depthwise_backward_data(Stream&, const PatchShape&, const T* dy, const T* w, T* dx);
template <class D, class T>
void depthwise_backward_filter(Stream&, const PatchShape&, const T* x, const T* dy, T* dw);
}  // namespace kernels
