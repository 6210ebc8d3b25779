// Computes: one output per element of the inputs (f(v) = v > 0 ? v : slope * v):
//   bias + LeakyReLU  y = f(x + b), dx = dy * (y > 0 ? 1 : slope)
//   add + LeakyReLU   y = f(a + b)
//   bias + sigmoid    y = 1 / (1 + exp(-(x + b))), dx = dy * y * (1 - y)
//   add, scale, fill, cast
// Parallel: GPU: two vectors of 16 bytes per array and turn of a thread, its next turn a
//   whole grid away. Host: one contiguous piece per worker, SIMD inside
//   (kernels/vectors.h).
// Bytes: each array once; the bias stays in cache. Time is bytes / memory bandwidth: 8
//   bytes an f32 element for bias + LeakyReLU, 12 for its backward and for add.
// Source: LeakyReLU, Maas, Hannun and Ng, "Rectifier nonlinearities improve neural
//   network acoustic models", 2013. The rest is by definition.
#include "kernels/elementwise.h"

#include <cmath>

#include "kernels/simt/instantiate.h"
#include "kernels/vectors.h"

namespace kernels {
namespace {

struct Sum {
  template <class C> SIMT_DEVICE C operator()(C a, C b) const { return a + b; }
};
template <class C> SIMT_DEVICE C leaky_relu(C v, C slope) { return v > C(0) ? v : slope * v; }
template <class C> SIMT_DEVICE C sigmoid(C v) { return quotient(C(1), C(1) + std::exp(-v)); }

template <class T, bool kBias>
__global__ void bias_leaky_relu_forward_kernel(VectorRange<lanes<T>> range, Divisor columns,
                                               const T* x, const T* bias, T* y, float slope) {
  using C = compute_t<T>;
  for_row_vectors(range, columns, [=](const auto& at) SIMT_LAMBDA {
    auto v = at.load(x);
    if constexpr (kBias) v = map(Sum{}, v, at.load_row(bias));
    at.store(y, map([=](C value) { return leaky_relu(value, static_cast<C>(slope)); }, v));
  });
}

template <class T>
__global__ void leaky_relu_backward_kernel(VectorRange<lanes<T>> range, const T* y, const T* dy,
                                           T* dx, float slope) {
  using C = compute_t<T>;
  for_vectors(range, [=](const auto& at) SIMT_LAMBDA {
    at.store(dx, map([=](C out, C d) { return d * (out > C(0) ? C(1) : static_cast<C>(slope)); },
                     at.load(y), at.load(dy)));
  });
}

template <class T, bool kBias>
__global__ void bias_sigmoid_forward_kernel(VectorRange<lanes<T>> range, Divisor columns,
                                            const T* x, const T* bias, T* y) {
  using C = compute_t<T>;
  for_row_vectors(range, columns, [=](const auto& at) SIMT_LAMBDA {
    auto v = at.load(x);
    if constexpr (kBias) v = map(Sum{}, v, at.load_row(bias));
    at.store(y, map([](C value) { return sigmoid(value); }, v));
  });
}

template <class T>
__global__ void sigmoid_backward_kernel(VectorRange<lanes<T>> range, const T* y, const T* dy,
                                        T* dx) {
  using C = compute_t<T>;
  for_vectors(range, [=](const auto& at) SIMT_LAMBDA {
    at.store(dx, map([](C s, C d) { return d * s * (C(1) - s); }, at.load(y), at.load(dy)));
  });
}

template <class T>
__global__ void add_kernel(VectorRange<lanes<T>> range, const T* a, const T* b, T* out) {
  for_vectors(range, [=](const auto& at)
                         SIMT_LAMBDA { at.store(out, map(Sum{}, at.load(a), at.load(b))); });
}

template <class T>
__global__ void add_leaky_relu_kernel(VectorRange<lanes<T>> range, const T* a, const T* b, T* y,
                                      float slope) {
  using C = compute_t<T>;
  for_vectors(range, [=](const auto& at) SIMT_LAMBDA {
    at.store(y, map([=](C p, C q) { return leaky_relu(p + q, static_cast<C>(slope)); }, at.load(a),
                    at.load(b)));
  });
}

template <class T>
__global__ void scale_kernel(VectorRange<lanes<T>> range, const T* x, float factor, T* y) {
  using C = compute_t<T>;
  for_vectors(range, [=](const auto& at) SIMT_LAMBDA {
    at.store(y, map([=](C v) { return static_cast<C>(factor) * v; }, at.load(x)));
  });
}

template <class T>
__global__ void scale_by_kernel(VectorRange<lanes<T>> range, const T* x, const compute_t<T>* factor,
                                T* y) {
  using C = compute_t<T>;
  const C value = *factor;
  for_vectors(range, [=](const auto& at) SIMT_LAMBDA {
    at.store(y, map([=](C v) { return value * v; }, at.load(x)));
  });
}

template <class T> __global__ void fill_kernel(VectorRange<lanes<T>> range, T* y, float value) {
  using C = compute_t<T>;
  for_vectors(range, [=](const auto& at) SIMT_LAMBDA {
    at.store(y, at.template constant<C>(static_cast<C>(value)));
  });
}

template <class From, class To>
__global__ void cast_kernel(VectorRange<lanes<From, To>> range, const From* x, To* y) {
  for_vectors(range, [=](const auto& at) SIMT_LAMBDA {
    at.store(y, map([](auto v) { return static_cast<compute_t<To>>(v); }, at.load(x)));
  });
}

// Runs kernel K<bias?> over the rows of a matrix, or kernel N where there is no bias.
template <auto K, auto N, class T, class... A>
void launch_rows(Stream& stream, const T* x, const T* bias, T* y, std::int64_t rows,
                 std::int64_t columns, A... arguments) {
  in_parts(rows, columns, [&](std::int64_t first, std::int64_t count) {
    const std::int64_t offset = first * columns;
    stream.moves((2 * count + (bias ? 1 : 0)) * columns * sizeof(T));
    const auto range = row_vector_range<lanes<T>>(count, columns, x + offset, bias, y + offset);
    if (bias)
      launch_vectors<K>(stream, range, Divisor(columns), x + offset, bias, y + offset,
                        arguments...);
    else
      launch_vectors<N>(stream, range, Divisor(columns), x + offset, bias, y + offset,
                        arguments...);
  });
}
}  // namespace

template <class D, class T>
void bias_leaky_relu_forward(Stream& stream, const T* x, const T* bias, T* y, std::int64_t rows,
                             std::int64_t columns, float slope) {
  launch_rows<bias_leaky_relu_forward_kernel<T, true>, bias_leaky_relu_forward_kernel<T, false>>(
      stream, x, bias, y, rows, columns, slope);
}

template <class D, class T>
void leaky_relu_backward(Stream& stream, const T* y, const T* dy, T* dx, std::int64_t n,
                         float slope) {
  launch_vectors<leaky_relu_backward_kernel<T>>(
      stream.moves(3 * n * sizeof(T)), vector_range<lanes<T>>(n, y, dy, dx), y, dy, dx, slope);
}

template <class D, class T>
void bias_sigmoid_forward(Stream& stream, const T* x, const T* bias, T* y, std::int64_t rows,
                          std::int64_t columns) {
  launch_rows<bias_sigmoid_forward_kernel<T, true>, bias_sigmoid_forward_kernel<T, false>>(
      stream, x, bias, y, rows, columns);
}

template <class D, class T>
void sigmoid_backward(Stream& stream, const T* y, const T* dy, T* dx, std::int64_t n) {
  launch_vectors<sigmoid_backward_kernel<T>>(stream.moves(3 * n * sizeof(T)),
                                             vector_range<lanes<T>>(n, y, dy, dx), y, dy, dx);
}

template <class D, class T>
void add(Stream& stream, const T* a, const T* b, T* out, std::int64_t n) {
  launch_vectors<add_kernel<T>>(stream.moves(3 * n * sizeof(T)),
                                vector_range<lanes<T>>(n, a, b, out), a, b, out);
}

template <class D, class T>
void add_leaky_relu(Stream& stream, const T* a, const T* b, T* y, std::int64_t n, float slope) {
  launch_vectors<add_leaky_relu_kernel<T>>(stream.moves(3 * n * sizeof(T)),
                                           vector_range<lanes<T>>(n, a, b, y), a, b, y, slope);
}

template <class D, class T>
void scale(Stream& stream, const T* x, float factor, T* y, std::int64_t n) {
  launch_vectors<scale_kernel<T>>(stream.moves(2 * n * sizeof(T)), vector_range<lanes<T>>(n, x, y),
                                  x, factor, y);
}

template <class D, class T>
void scale_by(Stream& stream, const T* x, const compute_t<T>* factor, T* y, std::int64_t n) {
  launch_vectors<scale_by_kernel<T>>(stream.moves(2 * n * sizeof(T)),
                                     vector_range<lanes<T>>(n, x, y), x, factor, y);
}

template <class D, class T> void fill(Stream& stream, T* y, float value, std::int64_t n) {
  launch_vectors<fill_kernel<T>>(stream.moves(n * sizeof(T)), vector_range<lanes<T>>(n, y), y,
                                 value);
}

template <class D, class From, class To>
void cast(Stream& stream, const From* x, To* y, std::int64_t n) {
  launch_vectors<cast_kernel<From, To>>(stream.moves(n * (sizeof(From) + sizeof(To))),
                                        vector_range<lanes<From, To>>(n, x, y), x, y);
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
