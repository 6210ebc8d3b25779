// Elementwise kernels. T: float, bf16 and f16 everywhere, double on the host.
// rows = N*H*W, columns = channels (NHWC).
#pragma once
#include "kernels/core/stream.h"

namespace kernels {

// y = f(x + bias), f(v) = v > 0 ? v : slope * v. bias may be null; slope 1 is the
// identity. y may be x.
template <class D, class T>
void bias_leaky_relu_forward(Stream&,
                             const T* x,     // [rows,columns]
                             const T* bias,  // [columns] or null
                             T* y,           // [rows,columns]
                             std::int64_t rows, std::int64_t columns, float slope);

// dx = dy * (y > 0 ? 1 : slope). slope >= 0 (0: a plain ReLU), so y has the sign of x.
// dx may be dy.
template <class D, class T>
void leaky_relu_backward(Stream&, const T* y, const T* dy, T* dx, std::int64_t n, float slope);

// y = f(a + b), f as above: the end of a residual block. leaky_relu_backward gives the
// gradient of a and of b alike. y may be a or b.
template <class D, class T>
void add_leaky_relu(Stream&, const T* a, const T* b, T* y, std::int64_t n, float slope);

// y = 1 / (1 + exp(-(x + bias))). bias may be null. y may be x.
template <class D, class T>
void bias_sigmoid_forward(Stream&,
                          const T* x,     // [rows,columns]
                          const T* bias,  // [columns] or null
                          T* y,           // [rows,columns]
                          std::int64_t rows, std::int64_t columns);

// dx = dy * y * (1 - y). dx may be dy.
template <class D, class T>
void sigmoid_backward(Stream&, const T* y, const T* dy, T* dx, std::int64_t n);

// out = a + b. out may be a or b.
template <class D, class T> void add(Stream&, const T* a, const T* b, T* out, std::int64_t n);

// y = factor * x. y may be x.
template <class D, class T> void scale(Stream&, const T* x, float factor, T* y, std::int64_t n);

// The same by a factor on the device, [1].
template <class D, class T>
void scale_by(Stream&, const T* x, const compute_t<T>* factor, T* y, std::int64_t n);

template <class D, class T> void fill(Stream&, T* y, float value, std::int64_t n);

// f32, bf16, f16 and (host) f64, any pair.
template <class D, class From, class To> void cast(Stream&, const From* x, To* y, std::int64_t n);
}  // namespace kernels
