// Masks and blending.
#pragma once
#include "kernels/core/stream.h"

namespace kernels {

// Separable Gaussian, edges clamped; radius = ceil(3 sigma), at most 64. sigma <= 0 copies. out may not be image.
template <class D>
void gaussian_blur(Stream&, const float* image /*[H,W,C]*/, float* out, int h, int w, int channels,
                   float sigma);

// Grey erosion (minimum over a disc of the radius in pixels) or, for a negative radius, dilation.
template <class D>
void erode(Stream&, const float* mask /*[H,W]*/, float* out, int h, int w, float radius);

// out = mask * foreground + (1 - mask) * background
template <class D>
void blend(Stream&, const float* foreground /*[H,W,C]*/, const float* background,
           const float* mask /*[H,W]*/, float* out, int h, int w, int channels);

}  // namespace kernels
