// The eight ways a stored picture can be turned and mirrored to stand upright. Video files say it with a display matrix,
// photographs with EXIF; both become this one map, for stored pixels (x, y) of a picture w x h:
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

Orientation orientation_of_exif(int value);  // 1..8; anything else is upright
Orientation orientation_of_matrix(double a, double b, double c,
                                  double d);  // not near a multiple of 90 degrees: upright
int clockwise_degrees(const Orientation&);    // 0, 90, 180, 270; of the turn, mirroring aside

// Copies a stored RGB picture (rows `stride` bytes apart) into an upright Image, whose memory is used again where it fits.
void to_upright(const std::uint8_t* stored, std::ptrdiff_t stride, int width, int height,
                const Orientation&, Image& out);
// The other way: the stored pixels (x, y, box.width, box.height) of `box` (stored coordinates of a picture width x height), out of an
// upright Image, into rows `stride` bytes apart.
void to_stored(const Image& upright, const Orientation&, int width, int height, const Box& box,
               std::uint8_t* out, std::ptrdiff_t stride);
// An upright box in stored coordinates.
Box stored_box(const Box& upright, const Orientation&, int width, int height);

}  // namespace faceswap
