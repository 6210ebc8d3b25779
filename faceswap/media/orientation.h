// The map from a stored to an upright picture: one of eight rotations and reflections.
// Videos give it as a display matrix, photographs as an EXIF tag. The pixel (x, y) of a
// stored picture of w x h lands at
//   upright x = a*x + c*y + (a < 0 ? w-1 : 0) + (c < 0 ? h-1 : 0)
//   upright y = b*x + d*y + (b < 0 ? w-1 : 0) + (d < 0 ? h-1 : 0)
#pragma once
#include <cstddef>
#include <cstdint>

#include "faceswap/image.h"

namespace faceswap {

struct Orientation {
  int a = 1, b = 0, c = 0, d = 1;
  bool swaps_sides() const { return a == 0; }
  bool identity() const { return a == 1 && d == 1; }
};

Orientation orientation_of_exif(int value);  // 1 to 8; anything else is upright
// Upright unless near a multiple of 90 degrees.
Orientation orientation_of_matrix(double a, double b, double c, double d);
int clockwise_degrees(const Orientation&);  // 0, 90, 180 or 270, without the reflection

// Copies a stored RGB picture into an upright Image, and reuses its memory.
void to_upright(const std::uint8_t* stored,  // [height, width, 3], rows `stride` bytes apart
                std::ptrdiff_t stride, int width, int height, const Orientation&, Image& out);
// The inverse, for the pixels of `box` (in stored coordinates).
void to_stored(const Image& upright, const Orientation&, int width, int height, const Box& box,
               std::uint8_t* out,  // [box.height, box.width, 3], rows `stride` bytes apart
               std::ptrdiff_t stride);
// An upright box in stored coordinates.
Box stored_box(const Box& upright, const Orientation&, int width, int height);
}  // namespace faceswap
