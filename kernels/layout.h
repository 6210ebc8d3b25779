// Data movement without arithmetic: pixel shuffle, rows of channels (concat, split),
// padded pictures, im2col.
#pragma once
#include "kernels/core/stream.h"

namespace kernels {

// Depth to space with block-major channels (row, column, channel), as in TensorFlow:
//   y[n, h*r + i, w*r + j, c] = x[n, h, w, (i*r + j)*C + c]
template <class D, class T>
void pixel_shuffle(Stream&, const T* x /*[N,H,W,r*r*C]*/, T* y /*[N,H*r,W*r,C]*/, std::int64_t n,
                   int h, int w, int c, int r);
// Its inverse, which is also its gradient.
template <class D, class T>
void pixel_unshuffle(Stream&, const T* y /*[N,H*r,W*r,C]*/, T* x /*[N,H,W,r*r*C]*/, std::int64_t n,
                     int h, int w, int c, int r);

// dst[i, 0..columns) = src[i, 0..columns) for row-major matrices with row pitches in
// elements. Concatenation and splitting of channels are calls of this.
template <class D, class T>
void copy_columns(Stream&, const T* src, std::int64_t src_pitch, T* dst, std::int64_t dst_pitch,
                  std::int64_t rows, std::int64_t columns);

// dst[i, 0..columns) = src[i], and zero in dst[i, columns..padded).
template <class D, class T>
void pad_columns(Stream&, const T* src /*[rows, columns]*/, T* dst /*[rows, padded]*/,
                 std::int64_t rows, std::int64_t columns, std::int64_t padded);

// y[n, i, j] = x[n, i - top, j - left], and zero where x has no such pixel: margins, or
// edges cut off where numbers are negative. Its gradient is the same from [H2,W2] to
// [H,W], by -top and -left.
struct PadShape {
  std::int64_t n;
  int h, w, c, top, left, out_h, out_w;
};
template <class D, class T>
void pad_picture(Stream&, const PadShape&, const T* x /*[N,H,W,C]*/, T* y /*[N,H2,W2,C]*/);

// Patch matrix of a convolution, 0 outside the image:
//   columns[(n,oy,ox), (ky,kx,c)] = x[n, oy*s - pad_top + ky, ox*s - pad_left + kx, c]
struct PatchShape {
  std::int64_t n;
  int h, w, c, kernel_h, kernel_w, stride, pad_top, pad_left, out_h, out_w;
};
template <class D, class T>
void im2col(Stream&, const PatchShape&, const T* x /*[N,H,W,C]*/,
            T* columns /*[N*OH*OW, KH*KW*C]*/);
// Sums overlapping patches; x is assigned.
template <class D, class T> void col2im(Stream&, const PatchShape&, const T* columns, T* x);
}  // namespace kernels
