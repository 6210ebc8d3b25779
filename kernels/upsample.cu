// Computes: along each axis y[2i] = 3/4 x[i] + 1/4 x[i-1], y[2i+1] = 3/4 x[i] + 1/4
//   x[i+1], the edge repeated; and dx, 4x4 terms for every input.
// Parallel: one thread per result, neighbours hold neighbouring channels; no atomics.
// Bytes: near x once and y once; the other taps come from cache.
// Source: by definition.
#include "kernels/upsample.h"

#include "kernels/place.h"
#include "kernels/ranges.h"
#include "kernels/simt/instantiate.h"

namespace kernels {
namespace {

SIMT_DEVICE int clamped(int i, int size) { return i < 0 ? 0 : i < size ? i : size - 1; }

template <class T>
__global__ void upsample_forward_kernel(const T* x, T* y, std::int64_t positions, int h, int w,
                                        int c) {
  using C = compute_t<T>;
  for_runs(positions, c, [=](std::int64_t position, std::int64_t first, int count) SIMT_LAMBDA {
    const auto [n, oy, ox] = place_of(position, 2 * h, 2 * w);
    const int rows[2] = {oy / 2, clamped(oy / 2 + (oy % 2 != 0 ? 1 : -1), h)},
              columns[2] = {ox / 2, clamped(ox / 2 + (ox % 2 != 0 ? 1 : -1), w)};
    C sum[kRun] = {};
    for (int j = 0; j < 2; ++j)
      for (int i = 0; i < 2; ++i) {
        const C weight = (j == 0 ? C(0.75) : C(0.25)) * (i == 0 ? C(0.75) : C(0.25));
        const T* const from = x + ((n * h + rows[j]) * w + columns[i]) * c + first;
        SIMT_SIMD
        for (int k = 0; k < count; ++k) sum[k] += weight * load(from, k);
      }
    for (int k = 0; k < count; ++k) store(y, position * c + first + k, sum[k]);
  });
}

template <class T>
__global__ void upsample_backward_kernel(const T* dy, T* dx, std::int64_t pixels, int h, int w,
                                         int c) {
  using C = compute_t<T>;
  for_runs(pixels, c, [=](std::int64_t pixel, std::int64_t first, int count) SIMT_LAMBDA {
    const auto [n, iy, ix] = place_of(pixel, h, w);
    C sum[kRun] = {};
    // Outputs 2i-1 to 2i+2 read input i. At the edge the clamp counts the last one
    // twice, as forward reads the edge twice.
    for (int j = -1; j < 3; ++j)
      for (int i = -1; i < 3; ++i) {
        const C weight =
            (j == 0 || j == 1 ? C(0.75) : C(0.25)) * (i == 0 || i == 1 ? C(0.75) : C(0.25));
        const int oy = clamped(2 * iy + j, 2 * h), ox = clamped(2 * ix + i, 2 * w);
        const T* const from = dy + ((n * 2 * h + oy) * 2 * w + ox) * c + first;
        SIMT_SIMD
        for (int k = 0; k < count; ++k) sum[k] += weight * load(from, k);
      }
    for (int k = 0; k < count; ++k) store(dx, pixel * c + first + k, sum[k]);
  });
}
}  // namespace

template <class D, class T>
void upsample_forward(Stream& stream, const T* x, T* y, std::int64_t n, int h, int w, int c) {
  const std::int64_t positions = n * 4 * h * w;
  stream.moves((positions + n * h * w) * c * sizeof(T));
  simt::launch_range<upsample_forward_kernel<T>>(stream, positions * c, x, y, positions, h, w, c);
}

template <class D, class T>
void upsample_backward(Stream& stream, const T* dy, T* dx, std::int64_t n, int h, int w, int c) {
  const std::int64_t pixels = n * h * w;
  stream.moves(5 * pixels * c * sizeof(T));
  simt::launch_range<upsample_backward_kernel<T>>(stream, pixels * c, dy, dx, pixels, h, w, c);
}

SIMT_INSTANTIATE(upsample_forward)
SIMT_INSTANTIATE(upsample_backward)
}  // namespace kernels
