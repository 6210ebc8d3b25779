// The view: the part of the canonical crop that a model sees.
#pragma once
#include "faceswap/faces/face.h"
#include "kernels/image/augment.h"

namespace faceswap {

using View = kernels::Region;  // {center_x, center_y, side}, in shares of the crop's side

// The face from hairline to chin, with a margin for the random warp.
inline constexpr View kModelView{0.5f, 0.55f, 0.85f};

// Pixel (i, j) of a size x size picture of the view -> its centre in canonical
// coordinates (256 x 256). Pixel centres lie at whole coordinates, so the areas are
// what is scaled:
//   x = ((i + 1/2) / size - 1/2) * side * 256 + center_x * 256 - 1/2
inline Similarity view_to_canonical(const View& view, int size) {
  const double side = view.side * kCanonicalSize, pixel = side / size;
  const double offset = 0.5 * pixel - 0.5 * side - 0.5;
  return {pixel, 0, offset + view.center_x * kCanonicalSize,
          offset + view.center_y * kCanonicalSize};
}
}  // namespace faceswap
