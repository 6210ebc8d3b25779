// Computes: one output per element of the inputs (f(v) = v > 0 ? v : slope * v):
//   bias + LeakyReLU  y = f(x + b), dx = dy * (y > 0 ? 1 : slope)
//   add + LeakyReLU   y = f(a + b)
//   bias + sigmoid    y = 1 / (1 + exp(-(x + b))), dx = dy * y * (1 - y)
//   add, scale, fill, cast
// Parallel: GPU: one thread per element, the next one a whole grid apart. Host: one
//   contiguous piece per worker, SIMD inside (kernels/ranges.h).
// Bytes: each array once; the bias stays in cache. Time is bytes / memory bandwidth: 8
//   bytes an f32 element for bias + LeakyReLU, 12 for its backward and for add.
// Source: LeakyReLU, Maas, Hannun and Ng, "Rectifier nonlinearities improve neural
//   network acoustic models", 2013. The rest is by definition.
#include "kernels/elementwise.h"

#include <cmath>

#include "kernels/ranges.h"
#include "kernels/simt/instantiate.h"

namespace kernels {
namespace {

template <class C> SIMT_DEVICE C leaky_relu(C v, C slope) { return v > C(0) ? v : slope * v; }
template <class C> SIMT_DEVICE C sigmoid(C v) { return C(1) / (C(1) + std::exp(-v)); }

template <class T, bool kBias>
__global__ void bias_leaky_relu_forward_kernel(const T* x, const T* bias, T* y, std::int64_t rows,
                                               std::int64_t columns, float slope) {
  using C = compute_t<T>;
  for_rows(rows, columns, [=](std::int64_t row, std::int64_t c) SIMT_LAMBDA {
    const std::int64_t i = row * columns + c;
    C v = load(x, i);
    if constexpr (kBias) v += load(bias, c);
    store(y, i, leaky_relu(v, static_cast<C>(slope)));
  });
}

template <class T>
__global__ void leaky_relu_backward_kernel(const T* y, const T* dy, T* dx, std::int64_t n,
                                           float slope) {
  using C = compute_t<T>;
  for_elements(n, [=](std::int64_t i) SIMT_LAMBDA {
    store(dx, i, load(dy, i) * (load(y, i) > C(0) ? C(1) : static_cast<C>(slope)));
  });
}

template <class T, bool kBias>
__global__ void bias_sigmoid_forward_kernel(const T* x, const T* bias, T* y, std::int64_t rows,
                                            std::int64_t columns) {
  using C = compute_t<T>;
  for_rows(rows, columns, [=](std::int64_t row, std::int64_t c) SIMT_LAMBDA {
    const std::int64_t i = row * columns + c;
    C v = load(x, i);
    if constexpr (kBias) v += load(bias, c);
    store(y, i, sigmoid(v));
  });
}

template <class T>
__global__ void sigmoid_backward_kernel(const T* y, const T* dy, T* dx, std::int64_t n) {
  using C = compute_t<T>;
  for_elements(n, [=](std::int64_t i) SIMT_LAMBDA {
    const C s = load(y, i);
    store(dx, i, load(dy, i) * s * (C(1) - s));
  });
}

template <class T> __global__ void add_kernel(const T* a, const T* b, T* out, std::int64_t n) {
  for_elements(n, [=](std::int64_t i) SIMT_LAMBDA { store(out, i, load(a, i) + load(b, i)); });
}

template <class T>
__global__ void add_leaky_relu_kernel(const T* a, const T* b, T* y, std::int64_t n, float slope) {
  using C = compute_t<T>;
  for_elements(n, [=](std::int64_t i) SIMT_LAMBDA {
    store(y, i, leaky_relu(load(a, i) + load(b, i), static_cast<C>(slope)));
  });
}

template <class T> __global__ void scale_kernel(const T* x, float factor, T* y, std::int64_t n) {
  for_elements(n, [=](std::int64_t i)
                      SIMT_LAMBDA { store(y, i, static_cast<compute_t<T>>(factor) * load(x, i)); });
}

template <class T>
__global__ void scale_by_kernel(const T* x, const compute_t<T>* factor, T* y, std::int64_t n) {
  const compute_t<T> value = *factor;
  for_elements(n, [=](std::int64_t i) SIMT_LAMBDA { store(y, i, value * load(x, i)); });
}

template <class T> __global__ void fill_kernel(T* y, float value, std::int64_t n) {
  const T stored = static_cast<T>(static_cast<compute_t<T>>(value));
  for_elements(n, [=](std::int64_t i) SIMT_LAMBDA { y[i] = stored; });
}

template <class From, class To> __global__ void cast_kernel(const From* x, To* y, std::int64_t n) {
  for_elements(
      n, [=](std::int64_t i) SIMT_LAMBDA { store(y, i, static_cast<compute_t<To>>(load(x, i))); });
}
}  // namespace

template <class D, class T>
void bias_leaky_relu_forward(Stream& stream, const T* x, const T* bias, T* y, std::int64_t rows,
                             std::int64_t columns, float slope) {
  if (bias)
    simt::launch_range<bias_leaky_relu_forward_kernel<T, true>>(stream, rows * columns, x, bias, y,
                                                                rows, columns, slope);
  else
    simt::launch_range<bias_leaky_relu_forward_kernel<T, false>>(stream, rows * columns, x, bias, y,
                                                                 rows, columns, slope);
}

template <class D, class T>
void leaky_relu_backward(Stream& stream, const T* y, const T* dy, T* dx, std::int64_t n,
                         float slope) {
  simt::launch_range<leaky_relu_backward_kernel<T>>(stream, n, y, dy, dx, n, slope);
}

template <class D, class T>
void bias_sigmoid_forward(Stream& stream, const T* x, const T* bias, T* y, std::int64_t rows,
                          std::int64_t columns) {
  if (bias)
    simt::launch_range<bias_sigmoid_forward_kernel<T, true>>(stream, rows * columns, x, bias, y,
                                                             rows, columns);
  else
    simt::launch_range<bias_sigmoid_forward_kernel<T, false>>(stream, rows * columns, x, bias, y,
                                                              rows, columns);
}

template <class D, class T>
void sigmoid_backward(Stream& stream, const T* y, const T* dy, T* dx, std::int64_t n) {
  simt::launch_range<sigmoid_backward_kernel<T>>(stream, n, y, dy, dx, n);
}

template <class D, class T>
void add(Stream& stream, const T* a, const T* b, T* out, std::int64_t n) {
  simt::launch_range<add_kernel<T>>(stream, n, a, b, out, n);
}

template <class D, class T>
void add_leaky_relu(Stream& stream, const T* a, const T* b, T* y, std::int64_t n, float slope) {
  simt::launch_range<add_leaky_relu_kernel<T>>(stream, n, a, b, y, n, slope);
}

template <class D, class T>
void scale(Stream& stream, const T* x, float factor, T* y, std::int64_t n) {
  simt::launch_range<scale_kernel<T>>(stream, n, x, factor, y, n);
}

template <class D, class T>
void scale_by(Stream& stream, const T* x, const compute_t<T>* factor, T* y, std::int64_t n) {
  simt::launch_range<scale_by_kernel<T>>(stream, n, x, factor, y, n);
}

template <class D, class T> void fill(Stream& stream, T* y, float value, std::int64_t n) {
  simt::launch_range<fill_kernel<T>>(stream, n, y, value, n);
}

template <class D, class From, class To>
void cast(Stream& stream, const From* x, To* y, std::int64_t n) {
  simt::launch_range<cast_kernel<From, To>>(stream, n, x, y, n);
}

SIMT_INSTANTIATE(bias_leaky_relu_forward)
SIMT_INSTANTIATE(leaky_relu_backward)
SIMT_INSTANTIATE(bias_sigmoid_forward)
SIMT_INSTANTIATE(sigmoid_backward)
SIMT_INSTANTIATE(add)
SIMT_INSTANTIATE(add_leaky_relu)
SIMT_INSTANTIATE(scale)
SIMT_INSTANTIATE(scale_by)
SIMT_INSTANTIATE(fill)

#define INSTANTIATE_CAST(From)            \
  SIMT_INSTANTIATE_FOR(cast, From, float) \
  SIMT_INSTANTIATE_FOR(cast, From, bf16)  \
  SIMT_INSTANTIATE_FOR(cast, From, f16)
INSTANTIATE_CAST(float)
INSTANTIATE_CAST(bf16)
INSTANTIATE_CAST(f16)
#if !SIMT_CUDA
INSTANTIATE_CAST(double)
SIMT_INSTANTIATE_FOR(cast, float, double)
SIMT_INSTANTIATE_FOR(cast, bf16, double)
SIMT_INSTANTIATE_FOR(cast, f16, double)
SIMT_INSTANTIATE_FOR(cast, double, double)
#endif
}  // namespace kernels
