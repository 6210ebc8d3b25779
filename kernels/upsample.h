// Bilinear enlargement to twice the size, for any number of channels. NHWC. T: float,
// bf16 and f16 everywhere, double on the host.
#pragma once
#include <cstdint>

#include "kernels/core/stream.h"

namespace kernels {

// Pixel areas are scaled, not pixel centres ("half-pixel centers" in TensorFlow), and
// the edge pixel is repeated outside: along each axis y[2i] = 3/4 x[i] + 1/4 x[i-1] and
// y[2i+1] = 3/4 x[i] + 1/4 x[i+1].
template <class D, class T>
void upsample_forward(Stream&,
                      const T* x,  // [N,H,W,C]
                      T* y,        // [N,2H,2W,C]
                      std::int64_t n, int h, int w, int c);
// The gradient, assigned and not added.
template <class D, class T>
void upsample_backward(Stream&, const T* dy, T* dx, std::int64_t n, int h, int w, int c);
}  // namespace kernels
