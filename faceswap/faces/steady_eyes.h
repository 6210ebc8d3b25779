// Eyes for aligning a face that may be seen from the side.
#pragma once
#include <array>

#include "faceswap/faces/similarity.h"

namespace faceswap {

// The eyes, in profile views spread apart. There they nearly meet, and a crop scaled by
// their distance would show one eye. So their distance is at least the share of the height
// of the face, from eyes to mouth, that it has at 45 degrees of yaw; the line through them
// turns from their own direction to the one across the face. mouth: its middle.
std::array<Point, 2> steady_eyes(const std::array<Point, 2>& eyes, Point mouth);
}  // namespace faceswap
