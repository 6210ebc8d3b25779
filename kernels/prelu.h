// PReLU: a LeakyReLU with a slope of its own for every channel. rows = N*H*W, columns =
// channels (NHWC). T: float, bf16 and f16 everywhere, double on the host.
#pragma once
#include "kernels/core/stream.h"

namespace kernels {

// y = x > 0 ? x : slope * x. y may be x.
template <class D, class T>
void prelu_forward(Stream&,
                   const T* x,      // [rows,columns]
                   const T* slope,  // [columns]
                   T* y,            // [rows,columns]
                   std::int64_t rows, std::int64_t columns);

// dx = dy * (x > 0 ? 1 : slope). The input is read, not the output: slopes may be
// negative. dx may be dy.
template <class D, class T>
void prelu_backward(Stream&, const T* x, const T* slope, const T* dy, T* dx, std::int64_t rows,
                    std::int64_t columns);

// terms = dy * min(x, 0), n elements: their column sums are the gradient of the slopes.
// terms may be dy.
template <class D, class T>
void prelu_slope_terms(Stream&, const T* x, const T* dy, T* terms, std::int64_t n);
}  // namespace kernels
