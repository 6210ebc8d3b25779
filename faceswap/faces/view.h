// Where the model's picture lies in the canonical crop.
#pragma once
#include "faceswap/faces/face.h"
#include "kernels/image/augment.h"

namespace faceswap {

// Pixel (i, j) of a picture of size x size that shows `view` -> its centre in canonical coordinates (256 x 256). Pixel centres lie at whole
// coordinates on both sides, so it is the areas that are scaled:
//   x = ((i + 1/2) / size - 1/2) * side * 256 + center_x * 256 - 1/2
inline Similarity view_to_canonical(const kernels::Region& view, int size) {
  const double side = view.side * kCanonicalSize, pixel = side / size;
  const double offset = 0.5 * pixel - 0.5 * side - 0.5;
  return {pixel, 0, offset + view.center_x * kCanonicalSize,
          offset + view.center_y * kCanonicalSize};
}

}  // namespace faceswap
