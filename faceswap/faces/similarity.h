// Similarity transforms of the plane: rotation, uniform scale, shift.
#pragma once
#include <cmath>
#include <vector>

#include "faceswap/image.h"
#include "kernels/image/resample.h"

namespace faceswap {

inline double distance(Point a, Point b) { return std::hypot(a.x - b.x, a.y - b.y); }

// x' = a*x - b*y + tx, y' = b*x + a*y + ty
struct Similarity {
  double a = 1, b = 0, tx = 0, ty = 0;
  Point operator()(Point p) const { return {a * p.x - b * p.y + tx, b * p.x + a * p.y + ty}; }
  Similarity inverse() const;
  Similarity then(const Similarity& next) const;  // next(this(p))
  double scale() const;                           // length ratio
  double angle() const;                           // radians
  // For the warp kernels. They map a target pixel to its source: pass the inverse's.
  kernels::Affine affine() const;
};

Similarity rotation_about(Point center, double angle, double scale = 1);

// Scales a picture by `scale`. Pixel centres lie at whole coordinates and a pixel's
// area starts half a pixel earlier, so areas are scaled, not centres.
Similarity pixel_scaling(double scale);

// Least-squares similarity from -> to; at least two points.
Similarity fit_similarity(const std::vector<Point>& from, const std::vector<Point>& to);
}  // namespace faceswap
