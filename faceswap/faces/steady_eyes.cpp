#include "faceswap/faces/steady_eyes.h"

#include <algorithm>
#include <cmath>

namespace faceswap {
namespace {

// Of a frontal face: the canonical eyes are 80 apart, and the mouths of two rendered people
// and those of four clips lie 82 below them.
constexpr double kFrontalRatio = 80. / 82;
constexpr double kLeastRatio = 0.71 * kFrontalRatio;
constexpr double kAcross = 0.6;  // of the least distance: below, their own direction is noise
}  // namespace

std::array<Point, 2> steady_eyes(const std::array<Point, 2>& eyes, Point mouth) {
  const Point middle{(eyes[0].x + eyes[1].x) / 2, (eyes[0].y + eyes[1].y) / 2};
  const double apart = distance(eyes[0], eyes[1]), height = distance(middle, mouth),
               least = kLeastRatio * height;
  if (apart >= least || apart <= 0) return eyes;
  const double own = std::clamp((apart / least - kAcross) / (1 - kAcross), 0., 1.);
  Point along{own * (eyes[1].x - eyes[0].x) / apart + (1 - own) * (mouth.y - middle.y) / height,
              own * (eyes[1].y - eyes[0].y) / apart - (1 - own) * (mouth.x - middle.x) / height};
  const double length = std::hypot(along.x, along.y);
  if (!(length > 0)) return eyes;
  along = {along.x / length * least / 2, along.y / length * least / 2};
  return {Point{middle.x - along.x, middle.y - along.y},
          Point{middle.x + along.x, middle.y + along.y}};
}
}  // namespace faceswap
