// Depthwise convolution and its two gradients. P = N*OH*OW output positions, K*K taps.
// Computes: y[p,c]  = sum_k x[p@k, c] * w[k,c]
//           dx[q,c] = sum_k dy[q@k, c] * w[k,c]   over the taps through which q is seen
//           dw[k,c] = sum_p x[p@k, c] * dy[p,c]
// Parallel: forward and data, one thread per result and a loop over the taps; no
//   atomics. The filter has only K*K*C sums: the output rows are cut into at most 64
//   pieces by the shape alone, a thread adds a tap of a channel over a piece, a second
//   kernel adds the pieces. Neighbouring threads hold neighbouring channels.
// Bytes: near x once and y once; the taps come from cache. 2*K*K flops per value.
// Source: Chollet, "Xception", 2017, https://arxiv.org/abs/1610.02357
#include "kernels/depthwise.h"

#include <type_traits>

#include "kernels/core/memory.h"
#include "kernels/place.h"
#include "kernels/ranges.h"
#include "kernels/simt/instantiate.h"

namespace kernels {
namespace {

constexpr std::int64_t kMostPieces = 64;
// Channels that are summed side by side: of 2-byte types more, because their conversion
// gains by long loops.
template <class T> constexpr int kChannels = SIMT_CUDA ? 1 : sizeof(T) == 2 ? kRun : 16;

// out[0, count) = the window's sums for `count` neighbouring channels. The window lies at
// (top, left) of the picture; pointers are to the first of the channels. A constant count
// keeps the sums in registers.
template <class T, class Count>
SIMT_DEVICE void sum_window(const PatchShape& s, const T* picture, const T* w, T* out, int top,
                            int left, Count count) {
  const int ky0 = top < 0 ? -top : 0, ky1 = s.h - top < s.kernel_h ? s.h - top : s.kernel_h,
            kx0 = left < 0 ? -left : 0, kx1 = s.w - left < s.kernel_w ? s.w - left : s.kernel_w;
  compute_t<T> sum[kChannels<T>] = {};
  for (int ky = ky0; ky < ky1; ++ky) {
    const T* from = picture + (static_cast<std::int64_t>(top + ky) * s.w + left + kx0) * s.c;
    const T* tap = w + (static_cast<std::int64_t>(ky) * s.kernel_w + kx0) * s.c;
    for (int kx = kx0; kx < kx1; ++kx, from += s.c, tap += s.c) {
      SIMT_SIMD
      for (int k = 0; k < count; ++k) sum[k] += load(from, k) * load(tap, k);
    }
  }
  SIMT_SIMD
  for (int k = 0; k < count; ++k) store(out, k, sum[k]);
}

template <class T>
__global__ void depthwise_forward_kernel(PatchShape s, const T* x, const T* w, T* y,
                                         std::int64_t positions) {
  for_runs(positions, s.c, [=](std::int64_t position, std::int64_t first, int count) SIMT_LAMBDA {
    const Place at = place_of(position, s.out_h, s.out_w);
    const int top = at.y * s.stride - s.pad_top, left = at.x * s.stride - s.pad_left;
    const T *const picture = x + at.n * s.h * s.w * s.c + first, *const weights = w + first;
    T* const out = y + position * s.c + first;
    int k = 0;
    for (; k + kChannels<T> <= count; k += kChannels<T>)
      sum_window(s, picture + k, weights + k, out + k, top, left,
                 std::integral_constant<int, kChannels<T>>{});
    if (k < count) sum_window(s, picture + k, weights + k, out + k, top, left, count - k);
  });
}

template <class T>
__global__ void depthwise_backward_data_kernel(PatchShape s, const T* dy, const T* w, T* dx,
                                               std::int64_t pixels) {
  for_runs(pixels, s.c, [=](std::int64_t pixel, std::int64_t first, int count) SIMT_LAMBDA {
    const auto [n, iy, ix] = place_of(pixel, s.h, s.w);
    compute_t<T> sum[kRun] = {};
    for (int ky = 0; ky < s.kernel_h; ++ky) {
      // The output row that reads iy through this tap, if any.
      const int y_reach = iy + s.pad_top - ky, oy = y_reach / s.stride;
      if (y_reach < 0 || oy * s.stride != y_reach || oy >= s.out_h) continue;
      for (int kx = 0; kx < s.kernel_w; ++kx) {
        const int x_reach = ix + s.pad_left - kx, ox = x_reach / s.stride;
        if (x_reach < 0 || ox * s.stride != x_reach || ox >= s.out_w) continue;
        const T* const from = dy + ((n * s.out_h + oy) * s.out_w + ox) * s.c + first;
        const T* const tap = w + (static_cast<std::int64_t>(ky) * s.kernel_w + kx) * s.c + first;
        SIMT_SIMD
        for (int k = 0; k < count; ++k) sum[k] += load(from, k) * load(tap, k);
      }
    }
    for (int k = 0; k < count; ++k) store(dx, pixel * s.c + first + k, sum[k]);
  });
}

// partials [pieces, KH*KW, C]: row (piece, ky, kx) adds the output lines (n,oy) of its
// piece.
template <class T>
__global__ void depthwise_filter_pieces_kernel(PatchShape s, const T* x, const T* dy,
                                               compute_t<T>* partials, std::int64_t pieces,
                                               std::int64_t lines_per_piece) {
  const std::int64_t taps = static_cast<std::int64_t>(s.kernel_h) * s.kernel_w,
                     lines = s.n * s.out_h;
  for_runs(pieces * taps, s.c, [=](std::int64_t row, std::int64_t first, int count) SIMT_LAMBDA {
    const std::int64_t piece = row / taps;
    const int tap = static_cast<int>(row - piece * taps), ky = tap / s.kernel_w,
              kx = tap - ky * s.kernel_w;
    const std::int64_t begin = piece * lines_per_piece,
                       end = begin + lines_per_piece < lines ? begin + lines_per_piece : lines;
    compute_t<T> sum[kRun] = {};
    for (std::int64_t line = begin; line < end; ++line) {
      const std::int64_t n = line / s.out_h;
      const int iy = static_cast<int>(line - n * s.out_h) * s.stride - s.pad_top + ky;
      if (iy < 0 || iy >= s.h) continue;
      for (int ox = 0; ox < s.out_w; ++ox) {
        const int ix = ox * s.stride - s.pad_left + kx;
        if (ix < 0 || ix >= s.w) continue;
        const T* const from = x + ((n * s.h + iy) * s.w + ix) * s.c + first;
        const T* const above = dy + (line * s.out_w + ox) * s.c + first;
        SIMT_SIMD
        for (int k = 0; k < count; ++k) sum[k] += load(from, k) * load(above, k);
      }
    }
    for (int k = 0; k < count; ++k) partials[row * s.c + first + k] = sum[k];
  });
}

template <class T>
__global__ void depthwise_filter_total_kernel(const compute_t<T>* partials, T* dw,
                                              std::int64_t pieces, std::int64_t weights) {
  for_elements(weights, [=](std::int64_t i) SIMT_LAMBDA {
    compute_t<T> sum = 0;
    for (std::int64_t piece = 0; piece < pieces; ++piece) sum += partials[piece * weights + i];
    store(dw, i, sum);
  });
}
}  // namespace

template <class D, class T>
void depthwise_forward(Stream& stream, const PatchShape& s, const T* x, const T* w, T* y) {
  const std::int64_t positions = s.n * s.out_h * s.out_w;
  stream.moves((s.n * s.h * s.w + positions + s.kernel_h * s.kernel_w) * s.c * sizeof(T));
  simt::launch_range<depthwise_forward_kernel<T>>(stream, positions * s.c, s, x, w, y, positions);
}

template <class D, class T>
void depthwise_backward_data(Stream& stream, const PatchShape& s, const T* dy, const T* w, T* dx) {
  const std::int64_t pixels = s.n * s.h * s.w;
  stream.moves((s.n * s.out_h * s.out_w + pixels + s.kernel_h * s.kernel_w) * s.c * sizeof(T));
  simt::launch_range<depthwise_backward_data_kernel<T>>(stream, pixels * s.c, s, dy, w, dx, pixels);
}

template <class D, class T>
void depthwise_backward_filter(Stream& stream, const PatchShape& s, const T* x, const T* dy,
                               T* dw) {
  const std::int64_t lines = s.n * s.out_h,
                     weights = static_cast<std::int64_t>(s.kernel_h) * s.kernel_w * s.c;
  const std::int64_t lines_per_piece = (lines + kMostPieces - 1) / kMostPieces,
                     pieces = lines > 0 ? (lines + lines_per_piece - 1) / lines_per_piece : 0;
  const std::size_t sums = pieces * weights * sizeof(compute_t<T>);
  const Buffer partials(stream.device(), sums);
  stream.moves((s.n * s.h * s.w + lines * s.out_w) * s.c * sizeof(T) + sums);
  simt::launch_range<depthwise_filter_pieces_kernel<T>>(
      stream, pieces * weights, s, x, dy, partials.as<compute_t<T>>(), pieces, lines_per_piece);
  stream.moves(sums + weights * sizeof(T));
  simt::launch_range<depthwise_filter_total_kernel<T>>(stream, weights, partials.as<compute_t<T>>(),
                                                       dw, pieces, weights);
}

SIMT_INSTANTIATE(depthwise_forward)
SIMT_INSTANTIATE(depthwise_backward_data)
SIMT_INSTANTIATE(depthwise_backward_filter)
}  // namespace kernels
