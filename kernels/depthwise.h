// Depthwise convolution: every channel has a small filter of its own and sees no other channel. Followed by a 1x1 convolution it
// makes a separable convolution, which costs 1/C' + 1/K^2 of a full one (C' output channels, K*K taps).
#pragma once
#include "kernels/layout.h"

namespace kernels {

// y[n,oy,ox,c] = sum_{ky,kx} x[n, oy*s - pad_top + ky, ox*s - pad_left + kx, c] * w[ky,kx,c], x being 0 outside.
template <class D, class T>
void depthwise_forward(Stream&, const PatchShape&, const T* x /*[N,H,W,C]*/,
                       const T* w /*[KH,KW,C]*/, T* y /*[N,OH,OW,C]*/);
template <class D, class T>  // dx is assigned
void depthwise_backward_data(Stream&, const PatchShape&, const T* dy /*[N,OH,OW,C]*/, const T* w,
                             T* dx /*[N,H,W,C]*/);
template <class D, class T>  // dw is assigned
void depthwise_backward_filter(Stream&, const PatchShape&, const T* x, const T* dy,
                               T* dw /*[KH,KW,C]*/);

}  // namespace kernels
