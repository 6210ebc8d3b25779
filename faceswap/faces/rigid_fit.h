// Similarities of space: rotation, uniform scale, shift.
#pragma once
#include <span>

namespace faceswap {

struct Point3 {
  double x = 0, y = 0, z = 0;
};

// p' = scale * rotation * p + shift
struct Placement {
  double scale = 1;
  double rotation[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
  Point3 shift;
  Point3 operator()(Point3) const;
  Point3 inverse(Point3) const;
};

// Least squares from -> to, two lists of equal length, three points at least that do not
// lie on one line (B. Horn, Closed-form solution of absolute orientation using unit
// quaternions, JOSA A 4, 1987). Always finite.
Placement fit_placement(std::span<const Point3> from, std::span<const Point3> to);
}  // namespace faceswap
