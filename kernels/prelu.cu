// Computes: y = x > 0 ? x : slope[c] * x; dx = dy * (x > 0 ? 1 : slope[c]); and dy *
//   min(x, 0), the terms of the slopes' gradient.
// Parallel: one thread per element (kernels/ranges.h).
// Bytes: each array once; the slopes stay in cache.
// Source: He et al., "Delving deep into rectifiers", 2015,
//   https://arxiv.org/abs/1502.01852
#include "kernels/prelu.h"

#include "kernels/ranges.h"
#include "kernels/simt/instantiate.h"

namespace kernels {
namespace {

template <class T>
__global__ void prelu_forward_kernel(const T* x, const T* slope, T* y, std::int64_t rows,
                                     std::int64_t columns) {
  for_rows(rows, columns, [=](std::int64_t row, std::int64_t c) SIMT_LAMBDA {
    const std::int64_t i = row * columns + c;
    const compute_t<T> v = load(x, i);
    store(y, i, v > 0 ? v : load(slope, c) * v);
  });
}

template <class T>
__global__ void prelu_backward_kernel(const T* x, const T* slope, const T* dy, T* dx,
                                      std::int64_t rows, std::int64_t columns) {
  using C = compute_t<T>;
  for_rows(rows, columns, [=](std::int64_t row, std::int64_t c) SIMT_LAMBDA {
    const std::int64_t i = row * columns + c;
    store(dx, i, load(dy, i) * (load(x, i) > 0 ? C(1) : load(slope, c)));
  });
}

template <class T>
__global__ void prelu_slope_terms_kernel(const T* x, const T* dy, T* terms, std::int64_t n) {
  using C = compute_t<T>;
  for_elements(n, [=](std::int64_t i) SIMT_LAMBDA {
    const C v = load(x, i);
    store(terms, i, load(dy, i) * (v > 0 ? C(0) : v));
  });
}
}  // namespace

template <class D, class T>
void prelu_forward(Stream& stream, const T* x, const T* slope, T* y, std::int64_t rows,
                   std::int64_t columns) {
  simt::launch_range<prelu_forward_kernel<T>>(stream.moves((2 * rows + 1) * columns * sizeof(T)),
                                              rows * columns, x, slope, y, rows, columns);
}

template <class D, class T>
void prelu_backward(Stream& stream, const T* x, const T* slope, const T* dy, T* dx,
                    std::int64_t rows, std::int64_t columns) {
  simt::launch_range<prelu_backward_kernel<T>>(stream.moves((3 * rows + 1) * columns * sizeof(T)),
                                               rows * columns, x, slope, dy, dx, rows, columns);
}

template <class D, class T>
void prelu_slope_terms(Stream& stream, const T* x, const T* dy, T* terms, std::int64_t n) {
  simt::launch_range<prelu_slope_terms_kernel<T>>(stream.moves(3 * n * sizeof(T)), n, x, dy, terms,
                                                  n);
}

SIMT_INSTANTIATE(prelu_forward)
SIMT_INSTANTIATE(prelu_backward)
SIMT_INSTANTIATE(prelu_slope_terms)
}  // namespace kernels
