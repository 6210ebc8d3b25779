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

// A picture with oblong pixels beside the same one with square pixels: pixels of the former
// per pixel of the latter, by axis. A similarity holds between square pixels only.
struct PixelScale {
  double x = 1, y = 1;
  Point oblong(Point square) const {
    return {square.x * x + (0.5 * x - 0.5), square.y * y + (0.5 * y - 0.5)};
  }
  Point square(Point oblong) const {
    return {(oblong.x + 0.5) / x - 0.5, (oblong.y + 0.5) / y - 0.5};
  }
  // For the warp kernels: a similarity to square pixels, and on to oblong ones; and one
  // from square pixels, taken from oblong ones, `origin` being their first.
  kernels::Affine to_oblong(const Similarity& to_square) const;
  kernels::Affine from_oblong(Point origin, const Similarity& from_square) const;
};

Similarity rotation_about(Point center, double angle, double scale = 1);

// Scales a picture by `scale`. Pixel centres lie at whole coordinates and a pixel's
// area starts half a pixel earlier, so areas are scaled, not centres.
Similarity pixel_scaling(double scale);

// Least-squares similarity from -> to; at least two points.
Similarity fit_similarity(const std::vector<Point>& from, const std::vector<Point>& to);
}  // namespace faceswap
