// Sampling one image at positions given by an affine map or a control grid. Pixel centres lie at whole coordinates;
// bilinear; outside the source the nearest edge pixel. Src: uint8_t (read as x/255) or float; Dst: float.
#pragma once
#include "kernels/core/stream.h"

namespace kernels {

// source position = (a*x + b*y + c, d*x + e*y + f) for destination pixel (x, y)
struct Affine {
  float a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;
};

// supersample k > 1 averages k x k positions inside each destination pixel (shrinking without aliasing).
template <class D, class Src>
void affine_warp(Stream&, const Src* source /*[SH,SW,C]*/, int source_h, int source_w,
                 float* out /*[H,W,C]*/, int h, int w, int channels, const Affine&,
                 int supersample);

// A 5x5 grid of source positions in pixels of the source (row-major, x then y), bilinearly interpolated over the
// destination: grid node (i, j) lies at destination pixel (j*(w-1)/4, i*(h-1)/4).
struct WarpGrid {
  float x[25], y[25];
};
template <class D, class Src>
void grid_warp(Stream&, const Src* source /*[SH,SW,C]*/, int source_h, int source_w,
               float* out /*[H,W,C]*/, int h, int w, int channels, const WarpGrid&);

// Area-averaging shrink or bilinear enlargement to an exact size.
template <class D, class Src>
void resize(Stream&, const Src* source /*[SH,SW,C]*/, int source_h, int source_w,
            float* out /*[H,W,C]*/, int h, int w, int channels);

}  // namespace kernels
