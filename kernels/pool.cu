// Max pooling and its gradient.
// Computes: y[p,c]  = max_k x[p@k, c]
//           dx[q,c] = sum_p dy[p,c] over the windows p whose first maximum lies at q
// Parallel: one thread per result and a loop over the taps. Backward looks from each
//   input at the windows around it, so there are no atomics; windows that do not overlap
//   give it one each. Neighbouring threads hold neighbouring channels.
// Bytes: forward reads x and writes y once. Backward reads x, y and dy, and writes dx;
//   an input that is the maximum reads the taps before it again, from cache.
// Source: by definition.
#include "kernels/pool.h"

#include <cmath>

#include "kernels/place.h"
#include "kernels/ranges.h"
#include "kernels/simt/instantiate.h"

namespace kernels {
namespace {

template <class T>
__global__ void max_pool_forward_kernel(PatchShape s, const T* x, T* y, std::int64_t positions) {
  using C = compute_t<T>;
  for_runs(positions, s.c, [=](std::int64_t position, std::int64_t first, int count) SIMT_LAMBDA {
    const auto [n, oy, ox] = place_of(position, s.out_h, s.out_w);
    const int top = oy * s.stride - s.pad_top, left = ox * s.stride - s.pad_left;
    C largest[kRun];
    for (int k = 0; k < count; ++k) largest[k] = static_cast<C>(-HUGE_VAL);
    for (int ky = 0; ky < s.kernel_h; ++ky) {
      const int iy = top + ky;
      if (iy < 0 || iy >= s.h) continue;
      for (int kx = 0; kx < s.kernel_w; ++kx) {
        const int ix = left + kx;
        if (ix < 0 || ix >= s.w) continue;
        const T* const from = x + ((n * s.h + iy) * s.w + ix) * s.c + first;
        SIMT_SIMD
        for (int k = 0; k < count; ++k) {
          const C v = load(from, k);
          largest[k] = v > largest[k] ? v : largest[k];
        }
      }
    }
    for (int k = 0; k < count; ++k) store(y, position * s.c + first + k, largest[k]);
  });
}

// Is there no `value` in the window at (top, left) before its tap (ky, kx)? `picture`
// points at the channel in the picture's first pixel.
template <class T>
SIMT_DEVICE bool none_before(const PatchShape& s, const T* picture, int top, int left, int ky,
                             int kx, compute_t<T> value) {
  for (int tap = 0; tap < ky * s.kernel_w + kx; ++tap) {
    const int iy = top + tap / s.kernel_w, ix = left + tap % s.kernel_w;
    if (iy >= 0 && iy < s.h && ix >= 0 && ix < s.w &&
        load(picture, (static_cast<std::int64_t>(iy) * s.w + ix) * s.c) == value)
      return false;
  }
  return true;
}

template <class T>
__global__ void max_pool_backward_kernel(PatchShape s, const T* x, const T* y, const T* dy, T* dx,
                                         std::int64_t pixels) {
  for_rows(pixels, s.c, [=](std::int64_t pixel, std::int64_t c) SIMT_LAMBDA {
    const auto [n, iy, ix] = place_of(pixel, s.h, s.w);
    const T* const picture = x + n * s.h * s.w * s.c + c;
    const compute_t<T> value = load(x, pixel * s.c + c);
    compute_t<T> sum = 0;
    for (int ky = 0; ky < s.kernel_h; ++ky) {
      // The window that has iy at this tap, if any.
      const int y_reach = iy + s.pad_top - ky, oy = y_reach / s.stride;
      if (y_reach < 0 || oy * s.stride != y_reach || oy >= s.out_h) continue;
      for (int kx = 0; kx < s.kernel_w; ++kx) {
        const int x_reach = ix + s.pad_left - kx, ox = x_reach / s.stride;
        if (x_reach < 0 || ox * s.stride != x_reach || ox >= s.out_w) continue;
        const std::int64_t window = ((n * s.out_h + oy) * s.out_w + ox) * s.c + c;
        if (load(y, window) == value && none_before(s, picture, iy - ky, ix - kx, ky, kx, value))
          sum += load(dy, window);
      }
    }
    store(dx, pixel * s.c + c, sum);
  });
}
}  // namespace

template <class D, class T>
void max_pool_forward(Stream& stream, const PatchShape& s, const T* x, T* y) {
  const std::int64_t positions = s.n * s.out_h * s.out_w;
  stream.moves((s.n * s.h * s.w + positions) * s.c * sizeof(T));
  simt::launch_range<max_pool_forward_kernel<T>>(stream, positions * s.c, s, x, y, positions);
}

template <class D, class T>
void max_pool_backward(Stream& stream, const PatchShape& s, const T* x, const T* y, const T* dy,
                       T* dx) {
  const std::int64_t pixels = s.n * s.h * s.w;
  stream.moves(2 * (pixels + s.n * s.out_h * s.out_w) * s.c * sizeof(T));
  simt::launch_range<max_pool_backward_kernel<T>>(stream, pixels * s.c, s, x, y, dy, dx, pixels);
}

SIMT_INSTANTIATE(max_pool_forward)
SIMT_INSTANTIATE(max_pool_backward)
}  // namespace kernels
