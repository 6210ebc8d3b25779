// The grey value of a pixel, ITU-R BT.601.
#pragma once
#include "faceswap/image.h"

namespace faceswap {

inline double luma(const Image& image, int x, int y) {
  const std::uint8_t* p = image.at(x, y);
  return 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
}
}  // namespace faceswap
