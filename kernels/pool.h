// Max pooling: the largest value of every window of a picture, channel by channel.
// NHWC. T: float, bf16 and f16 everywhere, double on the host.
#pragma once
#include "kernels/layout.h"

namespace kernels {

// y[n,oy,ox,c] = max_{ky,kx} x[n, oy*s - pad_top + ky, ox*s - pad_left + kx, c]. Places
// outside x do not count; every window must reach into x.
template <class D, class T>
void max_pool_forward(Stream&, const PatchShape&,
                      const T* x,  // [N,H,W,C]
                      T* y);       // [N,OH,OW,C]

// dx: the gradient of each window goes to its largest value, the first by row and
// column if several are equal. Assigned, not added.
template <class D, class T>
void max_pool_backward(Stream&, const PatchShape&, const T* x, const T* y, const T* dy, T* dx);
}  // namespace kernels
