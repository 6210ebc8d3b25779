// Masks and blending. Results have the size of the picture they are made from.
#pragma once
#include "kernels/core/stream.h"
#include "kernels/image/picture.h"

namespace kernels {

// Separable Gaussian of radius ceil(3 sigma), at most 64; edges clamped. sigma <= 0
// copies. At most 4 channels. out may not be the image.
template <class D> void gaussian_blur(Stream&, Picture<const float> image, float* out, float sigma);

// Grey erosion: the minimum over a disc of `radius` pixels. A negative radius dilates.
template <class D>
void erode(Stream&, Picture<const float> mask /* c = 1 */, float* out, float radius);

// out = mask * foreground + (1 - mask) * background
template <class D>
void blend(Stream&, Picture<const float> foreground,
           const float* background,  // [h,w,c]
           const float* mask,        // [h,w]
           float* out);              // [h,w,c]
}  // namespace kernels
