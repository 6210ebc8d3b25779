// Sampling an image at other positions. Pixel centres lie at whole coordinates; reading
// is bilinear, and outside the source reads the nearest edge pixel. Src is uint8_t
// (read as x/255) or float. Source and result have the same 1 to 4 channels.
#pragma once
#include "kernels/core/stream.h"
#include "kernels/image/picture.h"

namespace kernels {

// source position = (a*x + b*y + c, d*x + e*y + f) for destination pixel (x, y)
struct Affine {
  float a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;
};

// supersample k > 1 averages k x k positions per destination pixel: shrinks without
// aliasing.
template <class D, class Src>
void affine_warp(Stream&, Picture<const Src> source, Picture<float> out, const Affine&,
                 int supersample);

// Area-averaging shrink or bilinear enlargement to an exact size.
template <class D, class Src> void resize(Stream&, Picture<const Src> source, Picture<float> out);
}  // namespace kernels
